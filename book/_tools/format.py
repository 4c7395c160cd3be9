"""Settle the layout of the code in chapters, and check it, with ruff: as for other code, but narrower.

Ruff reads notebooks, and with them IPython's magics and names that an earlier cell has made; it does not read
MyST Markdown. So it is given each chapter as a notebook, and what it makes of a cell is put back there.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from .chapters import Chapter, cell_line, read_chapters
from .layout import Book, BookError

# What fits on a page: wider code has to be scrolled.
WIDTH = 84
# In a chapter print shows something, names such as W are global, and zip(..., strict=True) distracts.
IGNORED = ["B905", "N816", "T201"]


def format_chapters(book: Book) -> list[str]:
    """Give the code of all chapters ruff's layout, and return the names of those that changed.

    Raises:
        BookError: the code of a chapter cannot be read as Python.
    """
    changed = []
    for chapter in read_chapters(book):
        text = formatted(book, chapter)
        if text != chapter.text:
            book.page_file(chapter.name).write_text(text, "utf8")
            changed.append(chapter.name)
    return changed


def check_chapters(book: Book) -> None:
    """See that the code of all chapters has ruff's layout and none of the mistakes that ruff finds.

    Raises:
        BookError: it is not so; the message says where.
    """
    complaints = []
    for chapter in read_chapters(book):
        complaints += mistakes(book, chapter)
        text = formatted(book, chapter)
        if text != chapter.text:
            pairs = enumerate(zip(chapter.text.splitlines(), text.splitlines(), strict=False), start=1)
            line = next((number for number, (old, new) in pairs if old != new), 1)
            complaints.append(f"{chapter.name}.md:{line}: not laid out as ruff does; run make format")
    if complaints:
        raise BookError("\n".join(complaints))


def formatted(book: Book, chapter: Chapter) -> str:
    """The chapter's text with its cells of code laid out by ruff, and nothing else changed."""
    cells = _cells(chapter)
    if not any(cell["cell_type"] == "code" for cell in cells):
        return chapter.text
    done = _ruff(book, chapter, cells, "format")
    if done.returncode != 0:
        raise BookError(f"{chapter.name}.md: its code cannot be laid out:\n{done.stderr.strip()}")
    pieces, position = [], 0
    for cell, new in zip(cells, json.loads(done.stdout)["cells"], strict=True):
        old = cell["source"]
        start = chapter.text.find(old, position)
        if start < 0:
            raise BookError(f"{chapter.name}.md: this cell is not in the file as it is read:\n{old}")
        replaced = "".join(new["source"]) if cell["cell_type"] == "code" else old
        pieces += [chapter.text[position:start], replaced]
        position = start + len(old)
    return "".join([*pieces, chapter.text[position:]])


def mistakes(book: Book, chapter: Chapter) -> list[str]:
    """What ruff has to say about the code, each with its line of the chapter's file."""
    cells = _cells(chapter)
    done = _ruff(
        book, chapter, cells, "check", "--output-format=json", f"--extend-ignore={','.join(IGNORED)}"
    )
    if done.returncode not in (0, 1):
        raise BookError(f"{chapter.name}.md: its code cannot be checked:\n{done.stderr.strip()}")
    sources = [cell["source"] for cell in cells]
    found = []
    for mistake in json.loads(done.stdout):
        first = cell_line(chapter.text, sources, mistake["cell"] - 1)
        line = first + mistake["location"]["row"] - 1
        found.append(f"{chapter.name}.md:{line}: {mistake['code'] or 'error'} {mistake['message']}")
    return found


def _cells(chapter: Chapter) -> list[dict[str, Any]]:
    # Imported here: this is slow, and the other commands do without.
    import jupytext

    if not chapter.is_notebook:
        return []
    cells = jupytext.reads(chapter.text, fmt="md:myst").cells
    return [{"cell_type": cell.cell_type, "source": cell.source} for cell in cells]


def _ruff(
    book: Book, chapter: Chapter, cells: list[dict[str, Any]], command: str, *options: str
) -> subprocess.CompletedProcess[str]:
    empty: dict[str, dict[str, Any]] = {
        "code": {"metadata": {}, "outputs": [], "execution_count": None},
        "markdown": {"metadata": {}},
        "raw": {"metadata": {}},
    }
    full = [{"id": f"c{i}", **cell, **empty[cell["cell_type"]]} for i, cell in enumerate(cells)]
    metadata = {"language_info": {"name": "python"}}
    notebook = {"cells": full, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    # The name need not exist; the settings are those of the folder that it is in.
    name = book.root / f"{chapter.name}.ipynb"
    ruff = str(Path(sys.executable).with_name("ruff"))
    return subprocess.run(
        [ruff, command, f"--line-length={WIDTH}", *options, "--stdin-filename", str(name), "-"],
        input=json.dumps(notebook),
        cwd=book.root,
        capture_output=True,
        text=True,
        check=False,
    )
