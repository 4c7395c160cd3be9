"""What a chapter is, and the hash that decides whether it must run again."""

import ast
import hashlib
import importlib.metadata
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .layout import Book, BookError

# Counts up when the pipeline itself starts to produce other notebooks from the same chapter.
PIPELINE = 4


@dataclass(frozen=True)
class Chapter:
    """A page of the book; a notebook if its front matter names a kernel.

    Attributes:
        name: as in ``_toc.yml``, for example ``book/reproduction``.
        text: the whole MyST Markdown file.
        front_matter: its YAML head.
    """

    name: str
    text: str
    front_matter: dict[str, Any]

    @property
    def is_notebook(self) -> bool:
        return "kernelspec" in self.front_matter

    @property
    def reads(self) -> list[str]:
        """Folders of measured data that the chapter draws, from its front matter."""
        return list((self.front_matter.get("tms") or {}).get("reads") or [])

    def parameters(self, book: Book) -> dict[str, Any]:
        """What papermill puts in place of the chapter's own parameters: nothing at full size."""
        if book.size == "full":
            return {}
        small = (self.front_matter.get("tms") or {}).get("small") or {}
        if not isinstance(small, dict):
            raise BookError(
                f"{self.name}: 'tms: small:' must be a mapping from parameter to value, not {small!r}"
            )
        return dict(small)


def read_chapters(book: Book) -> list[Chapter]:
    """Read all pages that the table of contents names, in its order."""
    chapters = []
    for page in book.pages:
        path = book.page_file(page)
        if not path.exists():
            raise BookError(f"_toc.yml names {page}, but there is no {page}.md")
        text = path.read_text("utf8")
        chapters.append(Chapter(name=page, text=text, front_matter=_front_matter(page, text)))
    return chapters


def _front_matter(page: str, text: str) -> dict[str, Any]:
    lines = text.splitlines()
    if not lines or lines[0].strip() != "---":
        return {}
    try:
        end = next(i for i, line in enumerate(lines[1:], start=1) if line.strip() == "---")
        head = yaml.safe_load("\n".join(lines[1:end]))
    except (StopIteration, yaml.YAMLError) as error:
        raise BookError(f"{page}.md: the front matter cannot be read: {error}") from error
    return head if isinstance(head, dict) else {}


def check_parameters(chapter: Chapter, parameters: dict[str, Any], sources: list[str]) -> None:
    """Refuse a small size that names parameters which the chapter does not have.

    Papermill would only log it, and the small run would silently be a full one.

    Args:
        chapter: the chapter.
        parameters: what would be passed.
        sources: the code of its cells with the tag ``parameters``.

    Raises:
        BookError: there is not exactly one such cell, or it does not assign one of the parameters.
    """
    if not parameters:
        return
    if len(sources) != 1:
        raise BookError(
            f"{chapter.name}: needs exactly one cell with the tag 'parameters', has {len(sources)}"
        )
    known = assigned(sources[0])
    unknown = sorted(set(parameters) - known)
    if unknown:
        raise BookError(
            f"{chapter.name}: 'tms: small:' sets {', '.join(unknown)}, but its parameters cell "
            f"assigns {', '.join(sorted(known)) or 'nothing'}"
        )


def assigned(source: str) -> set[str]:
    """The names that a cell of parameters assigns."""
    return {
        target.id
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        if isinstance(target, ast.Name)
    }


def cell_line(text: str, sources: list[str], index: int) -> int:
    """The line of a chapter's file on which one of its cells begins, counted from 1.

    Args:
        text: the whole file.
        sources: all its cells in order; in MyST Markdown each lies in the file as it is.
        index: which of them.
    """
    position = 0
    for source in sources[:index]:
        found = text.find(source, position)
        position = found + len(source) if found >= 0 else position
    return text.count("\n", 0, max(position, text.find(sources[index], position))) + 1


def environment_hash(book: Book) -> str:
    """Hash of all that every chapter depends on: the library, the pinned packages, torch and Python."""
    digest = hashlib.sha256()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest.update(f"pipeline {PIPELINE}, python {python}, torch {_version('torch')}\n".encode())
    lock = book.root / "requirements.lock"
    digest.update(lock.read_bytes() if lock.exists() else b"")
    digest.update(tree_hash(book.root / "tms").encode())
    return digest.hexdigest()


def content_hash(book: Book, chapter: Chapter, environment: str) -> str:
    """Hash of all that one chapter's run depends on. Time stamps play no part.

    The size is in it beside the parameters, so that a small run never passes for a full one, not even where a
    chapter has nothing to make smaller.
    """
    parts = [environment, book.size, json.dumps(chapter.parameters(book), sort_keys=True), chapter.text]
    parts += [tree_hash(book.root / folder) for folder in chapter.reads]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def tree_hash(folder: Path) -> str:
    """Hash of the names and contents of all files below a folder, compiled and hidden ones left out."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in inside.parts):
            digest.update(f"{inside.as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
