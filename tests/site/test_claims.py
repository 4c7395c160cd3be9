"""The register of claims in a real browser: its filters, its links there and back, how it looks."""

import json

import pytest

from book._tools.claims import OPEN
from book._tools.pages import SYMBOLS, _slug

from .test_pages import OVERFLOW

CLAIMS, CHAPTER = "book/claims.html", "book/reproduction.html"

VISIBLE = (
    "() => [...document.querySelectorAll('tr.claim-row')].filter(r => r.checkVisibility()).map(r => r.id)"
)
# The whole of a link, or the beginning of a row, which may be higher than the window.
IN_VIEW = """element => {
    const {top, bottom} = element.getBoundingClientRect();
    const header = document.querySelector('.bd-header-article').getBoundingClientRect().bottom;
    const end = element.matches('tr') ? top + 40 : bottom;
    return top >= header && end <= innerHeight;
}"""
# Contrast of each element's text with what is behind it, as WCAG 2 defines it.
CONTRAST = """elements => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const rgba = colour => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const behind = element => {
        const colour = getComputedStyle(element).backgroundColor;
        const alpha = rgba(colour)[3];
        if (alpha !== 0 && alpha !== 255) throw new Error(`${colour} is neither opaque nor nothing`);
        return alpha ? colour : behind(element.parentElement);
    };
    const luminance = colour => {
        const [r, g, b] = rgba(colour).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    return elements.map(element => {
        const [a, b] = [luminance(getComputedStyle(element).color), luminance(behind(element))];
        return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.textContent.trim()];
    });
}"""
ACTIVE = "document.activeElement"


@pytest.fixture(scope="module")
def statements(site):
    """What the site says for machines."""
    return json.loads((site("small") / "claims.json").read_text("utf8"))["statements"]


def wanted(statements, text="", **chosen):
    """The statements that a filter should show."""

    def has(statement):
        pieces = [f"{e['what']} {e['when']} {e['shown']} {e['since']}" for e in statement["evidence"]]
        words = " ".join([statement["id"], statement["says"], statement["finding"], *pieces]).lower()
        return all(word in words for word in text.lower().split())

    return [s["id"] for s in statements if all(s[k] == v for k, v in chosen.items()) and has(s)]


def choose(page, text=None, **chosen):
    for field, value in chosen.items():
        page.get_by_label(field.title(), exact=True).select_option(_slug(value) if value else "")
    if text is not None:
        page.get_by_label("Text", exact=True).fill(text)


def check(page, statements, **chosen):
    """See that exactly the right rows are there, and that the count says how many."""
    expected = wanted(statements, **chosen)
    assert page.evaluate(VISIBLE) == expected, chosen
    assert (
        page.locator(".claims-count p").text_content() == f"{len(expected)} of {len(statements)} statements"
    )
    return expected


def settle(page):
    page.wait_for_load_state("load")
    page.evaluate("async () => { await window.MathJax?.startup?.promise }")
    page.wait_for_timeout(150)


def tab_to(page, condition):
    """Press Tab until the element with the focus, ``e``, fulfils a condition."""
    for _ in range(400):
        page.keyboard.press("Tab")
        if page.evaluate(f"(e => {condition})({ACTIVE})"):
            return
    raise AssertionError(f"Tab does not lead to {condition}")


def test_filters_show_what_the_register_says(read, statements):
    reader = read("small", "http")
    reader.open(CLAIMS)
    page = reader.page
    check(page, statements)
    for field in ("verdict", "chapter", "source"):
        options = page.get_by_label(field.title(), exact=True).locator("option")
        values = {s[field] for s in statements}
        assert {o.get_attribute("value") for o in options.all()} == {"", *map(_slug, values)}
        for value in sorted(values):
            own = page.get_by_label(field.title(), exact=True).locator(f"option[value='{_slug(value)}']")
            assert own.text_content().endswith(f" ({len(wanted(statements, **{field: value}))})")
            choose(page, **{field: value})
            assert check(page, statements, **{field: value})
        choose(page, **{field: ""})
    # One of a formula: it is found although MathJax has drawn it by now. Words may be apart, in any case.
    for text in ("triangle", "Antipodal", "0.05", "pairs orthogonal", "bottleneck-rank"):
        choose(page, text)
        assert check(page, statements, text=text)
    choose(page, "no such words")
    assert not check(page, statements, text="no such words")
    assert reader.problems == []


def test_filters_combine_and_are_cleared(read, statements):
    reader = read("small", "http")
    reader.open(CLAIMS)
    page = reader.page
    chosen = {"verdict": "corrected", "chapter": "reproduction", "source": "004"}
    choose(page, **chosen)
    some = check(page, statements, **chosen)
    choose(page, "four")
    fewer = check(page, statements, text="four", **chosen)
    assert 0 < len(fewer) < len(some)
    # Beside the options stands what each would leave, given the other filters.
    other = len(wanted(statements, text="four", **{**chosen, "verdict": "holds"}))
    assert page.locator("option[value=holds]").text_content() == f"holds ({other})"
    page.get_by_role("button", name="Clear filters").press("Enter")
    page.wait_for_function("!location.search")
    check(page, statements)
    assert page.get_by_label("Text", exact=True).input_value() == ""
    assert (
        page.locator("[aria-live=polite]").text_content()
        == f"{len(statements)} of {len(statements)} statements"
    )
    assert reader.problems == []


@pytest.mark.parametrize("protocol", ["http", "file"])
def test_the_address_keeps_what_is_chosen(read, statements, protocol):
    reader = read("small", protocol)
    reader.open(CLAIMS)
    page = reader.page
    chosen = {"verdict": "corrected", "source": "002"}
    choose(page, "triangle", **chosen)
    check(page, statements, text="triangle", **chosen)
    assert page.url.endswith("?text=triangle&verdict=corrected&source=002")
    page.reload()
    settle(page)
    check(page, statements, text="triangle", **chosen)
    assert page.get_by_label("Verdict", exact=True).input_value() == "corrected"
    reader.open("book/corrections.html")
    page.go_back()
    page.wait_for_url("**/claims.html?*")
    settle(page)
    check(page, statements, text="triangle", **chosen)
    reader.open(f"{CLAIMS}?chapter=nowhere&verdict=answered")
    check(page, statements, verdict="answered")
    assert reader.problems == []


def test_without_scripts_all_is_there(browser, address, statements):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address('small', 'http')}/{CLAIMS}?verdict=corrected")
    assert page.locator("tr.claim-row:visible").count() == len(statements)
    assert page.locator(".claims-filter").count() == 0
    context.close()


@pytest.mark.parametrize(("protocol", "width"), [("http", 1280), ("file", 375)])
def test_from_a_badge_to_its_row_and_back_by_keyboard(read, protocol, width):
    reader = read("small", protocol, width)
    reader.open(CHAPTER)
    page = reader.page
    tab_to(page, "e.id === 'claim-triangle-3-2'")
    assert page.evaluate(f"getComputedStyle({ACTIVE}).outlineStyle") != "none"
    page.keyboard.press("Enter")
    page.wait_for_url("**/claims.html#triangle-3-2")
    settle(page)
    row = page.locator("[id='triangle-3-2']")
    assert row.evaluate(IN_VIEW)
    assert row.evaluate("row => row.matches(':target') && row === document.activeElement")
    other = page.locator("tr.claim-row:not(:target)").first
    ground = "row => getComputedStyle(row).backgroundColor"
    assert row.evaluate(ground) != other.evaluate(ground)
    # The next stops are in the row.
    page.keyboard.press("Tab")
    assert row.evaluate("row => row.contains(document.activeElement)")
    tab_to(page, "e.hash === '#claim-triangle-3-2'")
    page.keyboard.press("Enter")
    page.wait_for_url("**/reproduction.html#claim-triangle-3-2")
    settle(page)
    badge = page.locator("[id='claim-triangle-3-2']")
    assert badge.evaluate(IN_VIEW)
    assert badge.evaluate("badge => badge.matches(':target') && badge === document.activeElement")
    assert reader.problems == []


@pytest.mark.parametrize("width", [1280, 375])
def test_a_link_to_a_row_shows_it_whatever_is_filtered(read, statements, width):
    reader = read("small", "http", width)
    reader.open(f"{CLAIMS}?verdict=holds#triangle-3-2")
    page = reader.page
    check(page, statements)
    assert page.locator("[id='triangle-3-2']").evaluate(IN_VIEW)
    assert page.url.endswith("claims.html#triangle-3-2")
    # The same where the page is open already; and a filter that lets the row pass stays.
    choose(page, verdict="corrected")
    assert page.url.endswith("?verdict=corrected")
    for name, verdict in (("starfish-antipodal.angles", "corrected"), ("bottleneck-rank", None)):
        page.evaluate("name => { location.hash = name }", name)
        page.wait_for_timeout(100)
        check(page, statements, **({"verdict": verdict} if verdict else {}))
        row = page.locator(f"[id='{name}']")
        assert row.evaluate(IN_VIEW)
        assert row.evaluate("row => row.matches(':target') && row === document.activeElement")
    assert reader.problems == []


def test_controls_have_names_and_are_reached_in_order(read):
    reader = read("small", "http", 375)
    reader.open(CLAIMS)
    page = reader.page
    page.locator("a[href$='claims.json']").focus()
    for role, name in (
        ("searchbox", "Text"),
        ("combobox", "Verdict"),
        ("combobox", "Chapter"),
        ("combobox", "Source"),
        ("button", "Clear filters"),
    ):
        page.keyboard.press("Tab")
        control = page.get_by_role(role, name=name, exact=True)
        assert control.evaluate("control => control === document.activeElement"), name
        assert control.evaluate("control => getComputedStyle(control).outlineStyle") != "none", name
    reader.open(CHAPTER)
    badge = page.get_by_role("link", name="corrected: triangle-3-2 in the register of claims")
    assert badge.count() == 2  # in the prose, and in the table at the end
    assert badge.first.get_attribute("id") == "claim-triangle-3-2"
    # A badge does not make its line higher.
    heights = badge.first.evaluate(
        """badge => { const line = badge.parentElement, before = line.clientHeight, box = badge.firstChild;
        box.style.border = box.style.padding = 0; return [before, line.clientHeight]; }"""
    )
    assert heights[0] == heights[1]
    assert reader.problems == []


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_badges_are_read_without_colour_and_with_enough_contrast(read, statements, mode):
    reader = read("small", "file", mode=mode)
    reader.open(f"{CLAIMS}#triangle-3-2")
    page = reader.page
    badges = page.locator(".claim-badge").evaluate_all(
        "all => all.map(b => [b.lastChild.data.trim(), b.querySelector('[aria-hidden=true]').textContent])"
    )
    assert {tuple(badge) for badge in badges} == set(SYMBOLS.items())
    texts = ".claim-badge, .claim-open, .claim-row:target :is(p, a, code, .claim-origin)"
    texts += ", .claims-filter :is(label, p, button, select)"
    low = [(ratio, text) for ratio, text in page.locator(texts).evaluate_all(CONTRAST) if ratio < 4.5]
    assert low == []
    assert any(s["verdict"] == OPEN for s in statements)
    assert reader.problems == []


def test_tables_fit(read):
    for width in (1280, 375):
        reader = read("small", "file", width)
        for path in (CLAIMS, "book/corrections.html", CHAPTER):
            reader.open(path)
            assert reader.page.evaluate(OVERFLOW) == [], (width, path)
            wide = reader.page.locator(".claims-table, .claims-table td, .claims-filter").evaluate_all(
                "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText.slice(0, 60))"
            )
            assert wide == [], (width, path)
            # Three columns, or one below the other.
            cells = reader.page.locator(".claims-table tbody tr").first.locator("td")
            tops = cells.evaluate_all("cells => new Set(cells.map(c => c.getBoundingClientRect().top)).size")
            assert tops == (1 if width == 1280 else 3)
        assert reader.problems == []
