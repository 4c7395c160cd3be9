"""Links within the site lead somewhere, and no page names another host for what it loads."""

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from .conftest import SITES

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
# A link element may also just say something about the page.
NOT_LOADED = {"canonical", "next", "prev", "index", "search", "author", "license"}


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.anchors |= {v for k, v in values.items() if k in ("id", "name") and v}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if values.get(LOADED.get(tag, "")) and values.get("rel") not in NOT_LOADED:
            self.loaded.append(values[LOADED[tag]])


@cache
def _parse(path: Path) -> _Links:
    parser = _Links()
    parser.feed(path.read_text("utf8"))
    return parser


@pytest.mark.parametrize("name", SITES)
def test_links(site, name):
    wrong = []
    for path in sorted(site(name).rglob("*.html")):
        if "_static" in path.relative_to(site(name)).parts:
            continue  # templates of the theme
        page = _parse(path)
        wrong += [(path.name, url) for url in page.loaded if urlsplit(url).netloc]
        for url in page.links + page.loaded:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = path.parent / unquote(parts.path) if parts.path else path
            if not target.exists():
                wrong.append((path.name, url))
            elif parts.fragment and target.suffix == ".html":
                known = unquote(parts.fragment) in _parse(target.resolve()).anchors
                wrong += [] if known else [(path.name, url)]
    assert wrong == []


@pytest.mark.builds
@pytest.mark.parametrize("name", SITES)
def test_a_site_says_which_size_it_is(site, name):
    assert f'"size": "{name}"' in (site(name) / "build.json").read_text()
    banner = "A small run for tests" in (site(name) / "book/intro.html").read_text()
    assert banner == (name == "small")
