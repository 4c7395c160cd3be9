"""Put a complete site in place, and only a complete one."""

import json
import shutil
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from .chapters import Chapter, content_hash
from .claims import claims_file
from .execute import STAMP
from .layout import Book, BookError

RECORD = "build.json"

# jupyter-book writes one of these too, but with no icon, and browsers then ask the server for one in vain.
INDEX = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={first}.html">
<link rel="icon" href="data:,">
<title>{title}</title>
</head>
<body><p><a href="{first}.html">{title}</a></p></body>
</html>
"""


def published_key(book: Book) -> str:
    """The key of the site that is in place, empty if there is none."""
    try:
        record = json.loads((book.site / RECORD).read_text("utf8"))
        return str(record["key"]) if record["size"] == book.size else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def register_copy(book: Book) -> Path:
    """The judged register where machines look for it, there exactly as long as the full site is."""
    return book.root / "build" / "claims.json"


def withdraw(book: Book) -> None:
    """Take the site away before a new one is built, so that no page outlives what it was made from."""
    if book.site.exists():
        shutil.rmtree(book.former, ignore_errors=True)
        book.former.parent.mkdir(parents=True, exist_ok=True)
        book.site.rename(book.former)
    if book.size == "full":
        register_copy(book).unlink(missing_ok=True)


def publish(book: Book, chapters: list[Chapter], environment: str, key: str) -> Path:
    """Check the rendered pages against the chapters as they are now, and move them into place in one step.

    Returns:
        The site's first page.

    Raises:
        BookError: a page is missing, or was made from another run than the one expected, such as a small one.
    """
    for chapter in chapters:
        if not (book.rendered / f"{chapter.name}.html").exists():
            raise BookError(f"{chapter.name}: no page was rendered")
        if chapter.is_notebook:
            _check_run(book, chapter, content_hash(book, chapter, environment))
    if book.pages[0] != "index":
        (book.rendered / "index.html").write_text(_index(book), "utf8")
    (book.rendered / RECORD).write_text(json.dumps({"size": book.size, "key": key}), "utf8")
    book.site.parent.mkdir(parents=True, exist_ok=True)
    if book.size == "full":
        # Before the site: once that is in place, nothing is done any more.
        draft = register_copy(book).with_suffix(".tmp")
        shutil.copyfile(claims_file(book), draft)
        draft.replace(register_copy(book))
    book.rendered.rename(book.site)
    shutil.rmtree(book.former, ignore_errors=True)
    return book.site / "index.html"


def _check_run(book: Book, chapter: Chapter, expected: str) -> None:
    """The notebook that is offered for download is the one the page was rendered from; it says what it is."""
    offered = book.rendered / "_sources" / f"{chapter.name}.ipynb"
    try:
        notebook: dict[str, Any] = json.loads(offered.read_text("utf8"))
    except (OSError, ValueError) as error:
        raise BookError(f"{chapter.name}: its executed notebook cannot be read: {error}") from error
    stamp = notebook["metadata"].get(STAMP, {})
    if stamp.get("size") != book.size:
        raise BookError(
            f"{chapter.name}: a {stamp.get('size', 'nameless')} run is not published as a {book.size} one"
        )
    if stamp.get("hash") != expected:
        raise BookError(f"{chapter.name}: its page was made from an older text, library or parameter set")


def _index(book: Book) -> str:
    """A page at the address of the site itself, which sends its reader on to the book's first one."""
    config = yaml.safe_load((book.root / "_config.yml").read_text("utf8"))
    return INDEX.format(first=quote(book.pages[0]), title=escape(str(config.get("title", ""))))
