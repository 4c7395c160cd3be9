"""The steps of a build, in order."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from . import assets
from .chapters import Chapter, content_hash, environment_hash, read_chapters, tree_hash
from .claims import check_figures, gather, publish_claims, read_register, write_claims
from .execute import execute
from .layout import Book
from .locks import hold
from .publish import publish, published_key, withdraw
from .render import effective_config, render, stage


def build(book: Book, say: Callable[[str], None] = print) -> Path:
    """Build the book and return its first page.

    Only what changed is done again, judged by content. If nothing changed the site stays as it is; otherwise
    it is withdrawn first, so that while a build runs, and after one that failed, there is no site rather than
    an old one.

    Args:
        book: which book, in which size.
        say: takes each line of progress.

    Raises:
        BookError: something is wrong with the book; what is finished is kept for the next time.
    """
    with hold(book.work / ".lock"):
        chapters = read_chapters(book)
        environment = environment_hash(book)
        key = _site_key(book, chapters, environment)
        if published_key(book) == key:
            say("Nothing changed.")
            return book.site / "index.html"
        withdraw(book)
        read_register(book)  # what is wrong with it is said before chapters run for minutes
        assets.fetch(book)
        execute(book, chapters, environment, say)
        register = gather(book, chapters, environment)
        write_claims(book, register)
        started = time.monotonic()
        stage(book, chapters, environment)
        render(book, chapters)
        check_figures(book, register)
        publish_claims(book)
        first = publish(book, chapters, environment, key)
        say(f"Rendered {len(chapters)} pages in {time.monotonic() - started:.0f} s")
        return first


def _site_key(book: Book, chapters: list[Chapter], environment: str) -> str:
    """Hash of all that the site is made from."""
    parts = [environment, effective_config(book), (book.root / "_toc.yml").read_text("utf8")]
    parts += [content_hash(book, chapter, environment) for chapter in chapters]
    parts += [tree_hash(book.root / "book")]
    lock = book.root / "package-lock.json"
    parts += [lock.read_text("utf8") if lock.exists() else ""]
    # The builder belongs to it as well, also when it builds a book that lies elsewhere.
    parts += [tree_hash(Path(__file__).parent)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
