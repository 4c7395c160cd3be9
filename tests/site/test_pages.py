"""Every page, wide and narrow, light and dark, from a server and from disk, in a real browser."""

import pytest

from .conftest import PAGES, SITES

EQUATIONS = """() => [...document.querySelectorAll('.math')]
    .filter(e => !e.querySelector('mjx-container') || e.querySelector('mjx-merror, [data-mjx-error]'))
    .map(e => e.textContent.trim().slice(0, 80))"""
IMAGES = """() => [...document.images]
    .filter(i => !i.alt.trim() || (i.complete && !i.naturalWidth)).map(i => i.src)"""
# Controls of ipywidgets need Python; on a page they would be dead.
DEAD = "() => [...document.querySelectorAll('.jupyter-button, .widget-slider')].map(e => e.outerHTML)"
OVERFLOW = """() => document.scrollingElement.scrollWidth > innerWidth ?
    [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
    .slice(0, 5).map(e => e.outerHTML.slice(0, 100)).concat('page') : []"""


@pytest.mark.parametrize("protocol", ["http", "file"])
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", SITES)
def test_page(read, name, page, protocol):
    # Colours do not depend on the width, nor the width on colours; long pages take seconds each time.
    for width, mode in [(1280, "light"), (375, "dark"), (320, "light")]:
        reader = read(name, protocol, width, mode)
        reader.open(f"{page}.html")
        found = {
            "went wrong": reader.problems,
            "equations not typeset": reader.page.evaluate(EQUATIONS),
            "images without alternative text or content": reader.page.evaluate(IMAGES),
            "controls without effect": reader.page.evaluate(DEAD),
            "wider than the window": reader.page.evaluate(OVERFLOW),
        }
        assert not any(found.values()), (width, mode, {k: v for k, v in found.items() if v})
        assert reader.page.evaluate("document.documentElement.dataset.theme") == mode
        reader.page.context.close()


@pytest.mark.parametrize("protocol", ["http", "file"])
@pytest.mark.parametrize("name", SITES)
def test_search_finds_the_pentagon(read, name, protocol):
    reader = read(name, protocol)
    reader.open("search.html?q=pentagon")
    reader.page.wait_for_selector("#search-results li a")
    reader.page.wait_for_function(
        "document.querySelector('#search-results .search-summary').textContent.includes('finished')"
    )
    assert reader.problems == []
    reader.page.click("#search-results li a >> nth=0")
    reader.page.wait_for_load_state("load")
    assert "pentagon" in reader.page.content().lower()


@pytest.mark.xdist_group("example")
@pytest.mark.parametrize("protocol", ["http", "file"])
def test_everything_a_chapter_may_use(read, protocol):
    reader = read("example", protocol)
    reader.open("book/chapter.html")
    page = reader.page
    assert page.evaluate(EQUATIONS) == []
    assert page.locator("mjx-container").count() > 3
    # Two sliders linked in the browser, no kernel behind them.
    first, second = page.locator(".widget-readout").all()
    first.fill("40")
    first.press("Enter")
    assert second.text_content() == "40"
    # A widget with a script of its own.
    button = page.locator(".example-counter")
    button.click()
    assert button.text_content() == "count 1"
    assert reader.problems == []


@pytest.mark.xdist_group("example")
def test_a_figure_keeps_its_light_ground_on_a_dark_page(read):
    reader = read("example", "file", mode="dark")
    reader.open("book/chapter.html")
    ground = "getComputedStyle(document.querySelector('#fig-pentagon img')).backgroundColor"
    assert reader.page.evaluate(ground) == "rgb(255, 255, 255)"
