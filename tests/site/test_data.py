"""Under every figure a link leads to what it shows, as a table that can be read."""

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from book._tools.chapters import read_chapters
from book._tools.figure_data import COLUMNS, EXTRA
from book._tools.layout import Book

from .conftest import ROOT, SITES

CHAPTERS = [chapter.name for chapter in read_chapters(Book(ROOT)) if chapter.is_notebook]


class _Figures(HTMLParser):
    """The identifiers of a page's figures, each with the links to data in it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[dict[str, str | None]]] = {}
        self.inside = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if tag == "figure":
            self.inside = values.get("id") or "nameless"
            self.found[self.inside] = []
        elif tag == "a" and self.inside and "figure-data" in (values.get("class") or "").split():
            self.found[self.inside].append(values)

    def handle_endtag(self, tag: str) -> None:
        if tag == "figure":
            self.inside = ""


def figures(path: Path) -> dict[str, list[dict[str, str | None]]]:
    parser = _Figures()
    parser.feed(path.read_text("utf8"))
    return parser.found


@pytest.mark.parametrize("page", CHAPTERS)
@pytest.mark.parametrize("name", SITES)
def test_every_figure_has_its_data(site, name, page):
    path = site(name) / f"{page}.html"
    found = figures(path)
    written = (ROOT / f"{page}.md").read_text("utf8")
    assert set(found) == set(re.findall(r"^    name: (fig-[\w-]+)$", written, flags=re.MULTILINE))
    labels = set()
    for figure, links in found.items():
        (link,) = links
        labels.add(link["aria-label"])
        target = path.parent / unquote(link["href"] or "")
        assert target.name == link["download"] == f"{figure}.csv"
        columns, *rows = csv.reader(io.StringIO(target.read_text("utf8"), newline=""))
        assert tuple(columns[: len(COLUMNS)]) == COLUMNS
        rest = columns[len(COLUMNS) :]
        assert rest == [column for column in EXTRA if column in rest]
        assert rows, figure
        assert {len(row) for row in rows} == {len(columns)}
        places = [i for i, column in enumerate(columns) if re.fullmatch(r"[xyz](_low)?", column)]
        assert any(float(row[i]) == float(row[i]) for row in rows for i in places if row[i]), figure
    assert len(labels) == len(found)


@pytest.mark.xdist_group("example")
@pytest.mark.parametrize("protocol", ["http", "file"])
def test_the_link_gives_the_file(read, protocol):
    reader = read("example", protocol)
    reader.open("book/chapter.html")
    with reader.page.expect_download() as started:
        reader.page.get_by_role("link", name="Data of Figure 1.1, CSV").click()
    assert started.value.suggested_filename == "fig-pentagon.csv"
    assert Path(started.value.path()).read_text("utf8").startswith(",".join(COLUMNS))
    # From disk, Chromium goes to the file, and calls it aborted when that turns out to be a download.
    assert [words for words in reader.problems if not words.endswith("/fig-pentagon.csv")] == []


@pytest.mark.xdist_group("example")
@pytest.mark.parametrize("width", [1280, 375])
def test_the_link_looks_like_one(read, width):
    """It stands at the end of the caption, on one line with its last word, and is underlined."""
    reader = read("example", "http", width)
    reader.open("book/chapter.html")
    link = reader.page.locator("#fig-wide .figure-data")
    assert "underline" in link.evaluate("one => getComputedStyle(one).textDecorationLine")
    assert reader.page.locator("#fig-wide .caption-text").inner_text().endswith(". Data")
    assert link.bounding_box()["height"] < 40
