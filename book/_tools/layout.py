"""Where everything lies, and which pages the book has."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

Size = Literal["full", "small"]


class BookError(Exception):
    """The book cannot be built; the message says why, for a person to read."""


@dataclass(frozen=True)
class Book:
    """One book in one size.

    Attributes:
        root: the repository: ``_toc.yml``, ``_config.yml``, ``book/``, ``tms/``.
        size: ``full`` is what gets published. ``small`` runs every chapter with the few seeds and steps that
            its front matter gives under ``tms: small:``; it is a test, and lives in a folder of its own.
    """

    root: Path
    size: Size = "full"

    @property
    def work(self) -> Path:
        """Everything that a build of this size makes, but the published site."""
        return self.root / "build" / self.size

    @property
    def executed(self) -> Path:
        """Executed notebooks; ``book/x.md`` becomes ``book/x.ipynb`` here."""
        return self.work / "executed"

    @property
    def source(self) -> Path:
        """The staged pages that jupyter-book reads."""
        return self.work / "src"

    @property
    def rendered(self) -> Path:
        """Where jupyter-book writes the pages before they are published."""
        return self.work / "_build" / "html"

    @property
    def former(self) -> Path:
        """The last complete site, kept for the author while a newer one is being built."""
        return self.work / "former"

    @property
    def site(self) -> Path:
        """The site. The full one is ``build/html``; the small one stays in its own folder."""
        return self.root / "build" / "html" if self.size == "full" else self.work / "html"

    @property
    def vendored(self) -> Path:
        """Scripts and fonts from npm, the same for both sizes."""
        return self.root / "build" / "assets"

    @property
    def log(self) -> Path:
        return self.work / "log"

    @cached_property
    def pages(self) -> tuple[str, ...]:
        """Names of all pages in reading order, as ``_toc.yml`` gives them (no endings).

        Raises:
            BookError: it cannot be read, or names none.
        """
        try:
            pages = tuple(_entries(yaml.safe_load((self.root / "_toc.yml").read_text("utf8"))))
        except (OSError, yaml.YAMLError) as error:
            raise BookError(f"_toc.yml cannot be read: {error}") from error
        if not pages:
            raise BookError("_toc.yml names no page; it needs at least 'root: book/intro'")
        return pages

    def page_file(self, page: str) -> Path:
        return self.root / f"{page}.md"


def _entries(node: Any) -> list[str]:
    """Walk a table of contents and collect the files it names."""
    if isinstance(node, list):
        return [name for item in node for name in _entries(item)]
    if not isinstance(node, dict):
        return []
    own = [str(node[key]) for key in ("root", "file") if key in node]
    return own + [name for key in ("parts", "chapters", "sections") for name in _entries(node.get(key))]
