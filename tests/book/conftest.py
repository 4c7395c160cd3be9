"""Tiny made-up books, so that the pipeline is tested in seconds."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from book._tools.build import build
from book._tools.chapters import environment_hash, read_chapters
from book._tools.execute import execute
from book._tools.layout import Book, Size
from tests.example import example_site

HEAD = """\
---
kernelspec:
  name: python3
  display_name: Python 3
{tms}---
# {title}

"""


class TinyBook:
    """A book in a temporary folder: notebooks, plain pages, a library of one file, a lock file.

    Chapters of a book without a library import the real one.
    """

    def __init__(self, root: Path, *, library: bool = True) -> None:
        self.root = root
        self.pages: list[str] = []
        self.said: list[str] = []
        self.write("_config.yml", "title: Tiny\nlatex: {use_jupyterbook_latex: false}\n")
        self.write("requirements.lock", "something==1.0\n")
        if library:
            self.write("tms/__init__.py", "answer = 42\n")
        self.plain("front", "# Front\n\nWords.")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf8")
        return path

    def plain(self, name: str, text: str) -> None:
        """Add or replace a page without code."""
        self._enter(name)
        self.write(f"book/{name}.md", text + "\n")

    def chapter(self, name: str, *cells: str, small: str = "", prose: str = "") -> None:
        """Add or replace a notebook with these words and code cells; ``small`` is YAML for its small size."""
        self._enter(name)
        tms = f"tms:\n  small: {small}\n" if small else ""
        body = "\n".join(f"```{{code-cell}} python\n{cell}\n```\n" for cell in cells)
        words = f"{prose}\n\n" if prose else ""
        self.write(f"book/{name}.md", HEAD.format(title=name.title(), tms=tms) + words + body)

    def remove(self, name: str) -> None:
        (self.root / "book" / f"{name}.md").unlink()
        self.pages.remove(name)
        self._write_toc()

    def book(self, size: Size = "full") -> Book:
        return Book(self.root, size)

    def execute(self, size: Size = "full") -> list[str]:
        """Run what is stale, and return the names of the chapters that ran."""
        self.said = []
        book = self.book(size)
        execute(book, read_chapters(book), environment_hash(book), self.said.append)
        return sorted(line.split(":")[0].split("/")[1] for line in self.said if line.startswith("  book/"))

    def build(self, size: Size = "full") -> Path:
        self.said = []
        return build(self.book(size), self.said.append)

    def notebook(self, name: str, size: Size = "full") -> dict:
        return json.loads(self.notebook_file(name, size).read_text("utf8"))

    def notebook_file(self, name: str, size: Size = "full") -> Path:
        return self.book(size).executed / "book" / f"{name}.ipynb"

    def _enter(self, name: str) -> None:
        if name not in self.pages:
            self.pages.append(name)
            self._write_toc()

    def _write_toc(self) -> None:
        root, *rest = (f"book/{page}" for page in self.pages)
        chapters = "chapters:\n" + "".join(f"  - file: {page}\n" for page in rest) if rest else ""
        self.write("_toc.yml", f"format: jb-book\nroot: {root}\n{chapters}")


@pytest.fixture
def tiny(tmp_path: Path) -> TinyBook:
    return TinyBook(tmp_path)


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The site of the example book, with or without a repository's address."""
    return partial(example_site, tmp_path_factory)
