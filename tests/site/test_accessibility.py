"""Every page under axe-core: no serious finding, wide by day and narrow by night."""

import pytest

from .conftest import PAGES, ROOT

# What stays as it is: rule, the beginning of its place, and why.
EXCEPTIONS: list[tuple[str, str, str]] = []

RUN = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(({ target, html, failureSummary }) =>
      [id, target.flat().join(" "), html.slice(0, 160), failureSummary.slice(0, 300)]));
}"""

# A long chapter has twenty thousand coloured pieces of code, on which axe would spend minutes. A block stays
# as it is if it has a kind of piece that none before it has on its background; the others lose their colours.
PLAIN_CODE = """() => {
  const colour = (element) => getComputedStyle(element).backgroundColor;
  const seen = new Set();
  for (const block of document.querySelectorAll("pre")) {
    let ground = block;
    while (colour(ground) === "rgba(0, 0, 0, 0)" && ground.parentElement) ground = ground.parentElement;
    const background = colour(ground);
    const kinds = Array.from(block.querySelectorAll("span"), ({ className }) => className + background);
    if (kinds.every((kind) => seen.has(kind))) block.textContent = block.textContent;
    kinds.forEach((kind) => seen.add(kind));
  }
}"""


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", ["small"])
def test_no_serious_findings(read, name, page):
    script = (ROOT / "build" / "tools" / "axe.min.js").read_text("utf8")
    for width, mode in ((1280, "light"), (375, "dark")):
        reader = read(name, "http", width, mode)
        reader.open(f"{page}.html")
        # Everything unfolded, the lab's settings too.
        reader.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        for lab in reader.page.locator(".lab").all():
            lab.scroll_into_view_if_needed()
            lab.locator(".lab-status").filter(has_text="steps").wait_for()
        # What fades in is looked at when it is there.
        reader.page.wait_for_timeout(300)
        reader.page.evaluate(PLAIN_CODE)
        reader.page.evaluate(script)
        found = [
            one
            for one in reader.page.evaluate(RUN)
            if not any(one[0] == rule and one[1].startswith(place) for rule, place, _ in EXCEPTIONS)
        ]
        lines = "\n".join(" | ".join(one) for one in found)
        assert found == [], f"{page} at {width} px, {mode}:\n{lines}"
        reader.page.context.close()
