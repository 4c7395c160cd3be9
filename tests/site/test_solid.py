"""Solids to turn by hand, on the example's page, in a real browser."""

import pytest

from .conftest import ROOT
from .test_accessibility import RUN

pytestmark = pytest.mark.xdist_group("example")

PAGE = "book/chapter.html"
DRAWN = "svg => svg.outerHTML"


@pytest.fixture
def solids(read):
    """A function that opens the page at its solids and returns window and widget."""

    def start(protocol="http", **settings):
        reader = read("example", protocol, **settings)
        reader.open(PAGE)
        found = reader.page.locator(".solid")
        found.wait_for()
        found.scroll_into_view_if_needed()
        return reader, found

    return start


def settled(reader):
    """Two frames later what was asked for is drawn."""
    reader.page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


@pytest.mark.parametrize("protocol", ["http", "file"])
def test_they_turn_by_mouse_keys_and_buttons(solids, protocol):
    reader, found = solids(protocol)
    first, second = found.locator("svg").all()
    assert first.locator(".solid-edge").count() == 6
    assert second.locator(".solid-edge").count() == 16
    assert first.get_attribute("aria-label") == (
        "tetrahedron: 4 directions in space. The hull has 4 faces and 6 edges. The arrow keys turn it."
    )
    assert found.locator("figcaption").all_inner_texts() == ["tetrahedron", "square antiprism"]
    start, other = first.evaluate(DRAWN), second.evaluate(DRAWN)
    reader.page.wait_for_timeout(200)
    assert first.evaluate(DRAWN) == start  # nothing moves by itself
    box = first.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    reader.page.mouse.move(*middle)
    reader.page.mouse.down()
    reader.page.mouse.move(middle[0] + 40, middle[1] + 10, steps=4)
    settled(reader)
    dragged = first.evaluate(DRAWN)
    assert dragged != start
    reader.page.mouse.up()
    reader.page.mouse.move(middle[0] - 40, middle[1])
    settled(reader)
    assert first.evaluate(DRAWN) == dragged  # it was let go
    assert second.evaluate(DRAWN) == other
    second.focus()
    for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"):
        before = second.evaluate(DRAWN)
        reader.page.keyboard.press(key)
        settled(reader)
        assert second.evaluate(DRAWN) != before
    found.get_by_role("button", name="Turn left").click()
    settled(reader)
    assert first.evaluate(DRAWN) != dragged
    found.get_by_role("button", name="Reset the view").click()
    settled(reader)
    assert (first.evaluate(DRAWN), second.evaluate(DRAWN)) == (start, other)
    assert reader.problems == []


def test_keys_do_not_scroll_the_page(solids):
    reader, found = solids()
    found.locator("svg").first.focus()
    before = reader.page.evaluate("scrollY")
    for _ in range(5):
        reader.page.keyboard.press("ArrowDown")
    reader.page.wait_for_timeout(200)
    assert reader.page.evaluate("scrollY") == before


def test_a_finger_scrolls_the_page_or_turns(browser, address):
    """Up and down the page scrolls; across the solid turns."""
    context = browser.new_context(viewport={"width": 375, "height": 700}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{address('example', 'http')}/{PAGE}", wait_until="load")
    svg = page.locator(".solid svg").first
    svg.wait_for()
    page.wait_for_timeout(500)  # until formulas have their height
    svg.evaluate("node => node.scrollIntoView({ block: 'center', behavior: 'instant' })")
    page.wait_for_timeout(200)
    client = context.new_cdp_session(page)

    def swipe(across, down):
        box = svg.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        client.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        for k in range(1, 11):
            point = {"x": x + across * k / 10, "y": y + down * k / 10}
            client.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_timeout(400)

    start, at = svg.evaluate(DRAWN), page.evaluate("scrollY")
    swipe(60, 0)
    turned = svg.evaluate(DRAWN)
    assert turned != start
    assert page.evaluate("scrollY") == at
    swipe(0, -120)
    assert page.evaluate("scrollY") > at + 50
    context.close()


@pytest.mark.parametrize(("width", "mode"), [(1280, "light"), (375, "dark"), (320, "light")])
def test_no_serious_findings_and_nothing_too_wide(solids, width, mode):
    reader, found = solids(width=width, mode=mode)
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
    ground = found.evaluate("node => getComputedStyle(node).backgroundColor")
    assert ground == ("rgb(21, 24, 28)" if mode == "dark" else "rgb(255, 255, 255)")
    arrow = found.locator(".solid-arrow").first
    color = arrow.evaluate("node => getComputedStyle(node).color")
    kind = "--night" if mode == "dark" else "--day"
    given = arrow.evaluate("(node, kind) => node.style.getPropertyValue(kind)", kind)
    assert color == f"rgb{tuple(bytes.fromhex(given.removeprefix('#')))}"
    assert reader.problems == []
    reader.page.evaluate((ROOT / "build" / "tools" / "axe.min.js").read_text("utf8"))
    inside = [one for one in reader.page.evaluate(RUN) if ".solid" in one[1] or "solid" in one[2]]
    assert inside == []


def test_a_link_leads_there(solids):
    _, found = solids()
    assert found.get_attribute("id") == "solids"
    assert found.get_attribute("aria-label") == "Two solids"


def test_without_scripts_a_picture_stands_there(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address('example', 'http')}/{PAGE}")
    still = page.locator(".lab-still img")
    assert still.is_visible()
    assert still.get_attribute("alt")
    context.close()


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_with_scripts_the_picture_steps_back(solids, mode):
    """And leaves nothing behind, not even the light ground that outputs have on dark pages."""
    reader, _ = solids(mode=mode)
    still = reader.page.locator(".lab-still")
    assert still.is_hidden()
    assert still.evaluate("node => node.parentElement.getBoundingClientRect().height") == 0
