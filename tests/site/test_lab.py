"""The lab on the built page, in a real browser."""

import re

import pytest

PAGE = "book/reproduction.html"


@pytest.fixture
def lab(read):
    """A function that opens the page at its lab and returns window and lab."""

    def start(protocol="http", address="", page=PAGE, calm=False, **settings):
        reader = read("small", protocol, **settings)
        if calm:  # nothing starts by itself
            reader.page.emulate_media(reduced_motion="reduce")
        reader.page.goto(f"{reader.base}/{page}{address}", wait_until="load")
        found = reader.page.locator(".lab").first
        found.wait_for(timeout=20_000)
        found.scroll_into_view_if_needed()
        return reader, found

    return start


def steps(found):
    text = found.locator(".lab-status").inner_text()
    return int(re.match(r"([\d,]+) steps", text)[1].replace(",", "")) if text else 0


def wait_for_steps(reader, found, at_least):
    for _ in range(100):
        if steps(found) >= at_least:
            return
        reader.page.wait_for_timeout(50)
    raise AssertionError(f"{steps(found)} steps, not {at_least}")


@pytest.mark.parametrize("protocol", ["http", "file"])
def test_it_trains_pauses_and_goes_on(lab, protocol):
    reader, found = lab(protocol)
    wait_for_steps(reader, found, 1000)  # by itself, once it is on the screen
    found.get_by_role("button", name="Pause").click()
    reader.page.wait_for_timeout(200)
    at = steps(found)
    reader.page.wait_for_timeout(200)
    assert steps(found) == at
    found.get_by_role("button", name="One step").click()
    reader.page.wait_for_timeout(100)
    assert steps(found) == at + 1
    found.get_by_role("button", name="Play").click()
    wait_for_steps(reader, found, at + 1000)
    found.get_by_role("button", name="Restart").click()
    assert reader.problems == []


def test_a_pentagon_appears(lab):
    reader, found = lab()
    found.get_by_role("button", name="Restart").click()
    picture = found.locator(".lab-directions")
    for _ in range(100):
        if "5 of 5 features" in picture.get_attribute("aria-label"):
            break
        reader.page.wait_for_timeout(100)
    assert "5 of 5 features" in picture.get_attribute("aria-label")


def test_a_run_of_python_is_replayed(lab):
    reader, _ = lab()
    found = reader.page.locator(".lab").nth(1)
    found.scroll_into_view_if_needed()
    slider = found.get_by_label("Time")
    slider.focus()
    reader.page.keyboard.press("End")
    reader.page.wait_for_timeout(200)
    last = steps(found)
    assert last == 60  # of the small run
    reader.page.keyboard.press("Home")
    reader.page.wait_for_timeout(200)
    assert steps(found) == 0
    found.get_by_role("button", name="Play").click()
    wait_for_steps(reader, found, last)
    found.get_by_role("button", name="Train here instead").click()
    found.get_by_role("button", name="Play").click()
    wait_for_steps(reader, found, 200)
    assert reader.problems == []


def test_settings_by_keyboard_go_on_from_the_weights(lab):
    reader, found = lab()
    wait_for_steps(reader, found, 500)
    found.locator("summary").focus()
    reader.page.keyboard.press("Enter")
    slider = found.get_by_label("feature probability p")
    slider.focus()
    before = steps(found)
    for _ in range(5):
        reader.page.keyboard.press("ArrowRight")
    shown = float(found.locator("output[for$=feature_probability]").inner_text())
    assert shown > 0.05
    wait_for_steps(reader, found, before + 100)  # it did not begin anew
    features = found.get_by_label("features", exact=True)
    features.focus()
    reader.page.keyboard.press("ArrowRight")
    assert found.locator("output[for$=n_features]").inner_text() == "6"
    assert found.get_by_label("Preset").input_value() == ""
    assert reader.problems == []


def test_presets_and_links(lab):
    reader, found = lab()
    found.get_by_label("Preset").select_option("digons")
    found.get_by_role("button", name="Copy link").click()
    address = reader.page.evaluate("location.hash")
    assert "feature_probability" in address
    other, again = lab(address=address)
    assert again.get_by_label("Preset").input_value() == "digons"
    assert other.problems == []


def test_wrong_settings_in_a_link(lab):
    reader, found = lab(
        address="#lab=pentagon&settings=feature_probability%3D7%2Cn_features%3D-3%2Cactivation%3Dtext"
    )
    alarm = found.locator(".lab-alarm").inner_text()
    for name in ("feature_probability", "n_features", "activation"):
        assert name in alarm
    wait_for_steps(reader, found, 100)
    assert reader.problems == []


def test_a_rate_too_high_stops_and_says_so(lab):
    reader, found = lab(address="#lab=pentagon&settings=optimizer%3Dsgd%2Clr%3D100%2Cfeature_probability%3D1")
    found.locator(".lab-alarm").filter(has_text="learning rate is too high").wait_for(timeout=5000)
    assert found.get_by_role("button", name="Play").is_visible()
    assert reader.problems == []


def test_less_motion_does_not_start_by_itself(browser, address):
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{address('small', 'http')}/{PAGE}")
    found = page.locator(".lab").first
    found.wait_for()
    found.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    assert steps(found) == 0
    found.get_by_role("button", name="Play").click()
    page.wait_for_timeout(500)
    assert steps(found) > 0
    context.close()


def test_it_stops_out_of_sight(lab):
    reader, found = lab()
    wait_for_steps(reader, found, 100)
    reader.page.evaluate("window.scrollTo(0, 0)")
    reader.page.wait_for_timeout(400)
    at = steps(found)
    reader.page.wait_for_timeout(300)
    assert steps(found) == at


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_narrow_screens(lab, mode):
    reader, found = lab(width=375, mode=mode)
    wait_for_steps(reader, found, 100)
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= 375
    assert reader.problems == []


def angles(found):
    """The mean angles of the legend, in degrees."""
    return [float(text.removesuffix("°")) for text in found.locator(".lab-angle").all_inner_texts()]


def test_reads_are_compared_with_the_dual_frame(lab):
    """Of a linear model's reads: the legend names both rules, and the angle to the first vanishes."""
    settings = "n_features=4,tied=false,inputs=one_hot,bias=none,reduction=sum,activation=linear,seed=1"
    reader, found = lab(page="book/povm.html", address=f"#lab=povm&settings={settings}", calm=True)
    legend = found.locator(".lab-compare")
    for words in ("dual frame", "pretty-good measurement"):
        assert legend.get_by_role("checkbox", name=words).is_checked()
    found.locator(".lab-status").filter(has_text="0 steps").wait_for()
    to_dual, to_pretty_good = angles(found)
    assert to_dual > 5
    assert to_pretty_good > 5
    assert to_dual != to_pretty_good
    picture = found.locator(".lab-directions")
    pixels = "canvas => canvas.toDataURL()"
    before = picture.evaluate(pixels)
    legend.get_by_role("checkbox", name="dual frame").focus()
    reader.page.keyboard.press("Space")
    reader.page.wait_for_timeout(100)
    assert picture.evaluate(pixels) != before
    reader.page.keyboard.press("Space")
    reader.page.wait_for_timeout(100)
    assert picture.evaluate(pixels) == before
    found.get_by_role("button", name="Play").click()
    wait_for_steps(reader, found, 3000)
    found.get_by_role("button", name="Pause").click()
    reader.page.wait_for_timeout(200)
    # The other angle shrinks as well, in longer training: how far depends on when the button was reached.
    assert angles(found)[0] < 0.5
    assert "reads and dual frame" in picture.get_attribute("aria-label")
    assert reader.problems == []


def test_without_scripts_a_picture_stands_there(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address('small', 'http')}/{PAGE}")
    assert page.locator(".lab-still img").first.is_visible()
    assert page.locator(".lab-still img").first.get_attribute("alt")
    context.close()


def test_memory_is_steady(lab):
    """Ten seconds of training; benchmarks/lab.py looks for two minutes."""
    reader, found = lab()
    wait_for_steps(reader, found, 2000)
    client = reader.page.context.new_cdp_session(reader.page)

    def used():
        client.send("HeapProfiler.collectGarbage")
        return client.send("Runtime.getHeapUsage")["usedSize"]

    reader.page.wait_for_timeout(3000)  # until the curves have their full length
    before = used()
    reader.page.wait_for_timeout(7000)
    assert used() - before < 2_000_000
