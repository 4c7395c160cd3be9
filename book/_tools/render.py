"""Stage the pages and turn them into HTML with jupyter-book."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

from .chapters import Chapter, cell_line
from .data_files import read_data
from .execute import executed_file
from .layout import Book, BookError

# The branch that holds executed notebooks: Binder and Colab open those, since Colab cannot read MyST
# Markdown.
NOTEBOOK_BRANCH = "notebooks"
SOURCE_BRANCH = "main"


def stage(book: Book, chapters: list[Chapter], environment: str) -> None:
    """Bring ``book.source`` to exactly what jupyter-book is to read.

    A file is written only if its content changed: Sphinx goes by time stamps.

    Raises:
        BookError: the data of a chapter's figures are missing or damaged, or of another run.
    """
    files: dict[str, bytes] = {}
    for chapter in chapters:
        if chapter.is_notebook:
            files[f"{chapter.name}.ipynb"] = executed_file(book, chapter.name).read_bytes()
            for name, table in read_data(book, chapter, environment).items():
                files[f"data/{chapter.name}/{name}"] = table.encode()
        else:
            files[f"{chapter.name}.md"] = chapter.text.encode()
    for bibliography in (book.root / "book").glob("*.bib"):
        files[f"book/{bibliography.name}"] = bibliography.read_bytes()
    for folder in (book.root / "book" / "_assets", book.vendored):
        for path in folder.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                files[f"assets/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    for path in book.source.rglob("*"):
        if path.is_file() and path.relative_to(book.source).as_posix() not in files:
            path.unlink()
    for name, content in files.items():
        path = book.source / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def render(book: Book, chapters: list[Chapter]) -> None:
    """Run jupyter-book on the staged pages; warnings are errors.

    Sphinx keeps what it read from unchanged pages, but the HTML is written anew every time. So no page keeps
    an old title in its sidebar, and nothing of a deleted page is left over.

    Raises:
        BookError: jupyter-book failed or warned; the message holds its complaints.
    """
    shutil.rmtree(book.rendered, ignore_errors=True)
    succeeded = book.work / ".rendered"
    if not succeeded.exists():
        shutil.rmtree(book.rendered.parent / ".doctrees", ignore_errors=True)
    succeeded.unlink(missing_ok=True)
    config = book.work / "_config.yml"
    config.write_text(effective_config(book), "utf8")
    command = [
        # The console script, because jupyter-book cannot be started with -m.
        str(Path(sys.executable).with_name("jupyter-book")),
        *("build", str(book.source), "--path-output", str(book.work)),
        *("--config", str(config), "--toc", str(book.root / "_toc.yml")),
        *("-W", "--keep-going"),
    ]
    # So that Sphinx extensions are found by names such as book._tools.pages: the book's own, and those of
    # this builder, which may build a book that lies elsewhere.
    own = str(Path(__file__).parents[2])
    paths = [str(book.root), own, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        command,
        cwd=book.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    log = book.log / "render.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(done.stdout, "utf8")
    if done.returncode != 0:
        raise BookError(
            f"{_complaints(done.stdout, book, chapters)}\njupyter-book failed; all it said is in {log}"
        )
    succeeded.touch()


def _complaints(output: str, book: Book, chapters: list[Chapter]) -> str:
    """The warnings and errors among what jupyter-book said, or its last lines if there are none."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", output).replace(f"{book.source}{os.sep}", "")
    lines = plain.replace(f"{book.root}{os.sep}", "").splitlines()
    marked = [line for line in lines if re.search(r"\b(WARNING|ERROR|CRITICAL|SEVERE)\b", line)]
    return "\n".join(_in_markdown(line, book, chapters) for line in marked or lines[-30:])


def _in_markdown(complaint: str, book: Book, chapters: list[Chapter]) -> str:
    """Say where in the Markdown file it is, rather than where in the notebook made from it.

    Lines of a notebook are counted as 10,000 for each cell, from 1, and the line within the cell.
    """
    found = re.match(r"(\S+)\.ipynb:(\d+):(.*)", complaint)
    if not found:
        return complaint
    name, number, words = found[1], int(found[2]), found[3]
    chapter = next((c for c in chapters if c.name == name), None)
    if chapter is None:
        return complaint
    cells = json.loads(executed_file(book, name).read_text("utf8"))["cells"]
    index, line = number // 10_000 - 1, number % 10_000
    if not 0 <= index < len(cells):
        return complaint
    sources = ["".join(cell["source"]) for cell in cells]
    # A cell of code is known to begin where it does, but not how long its head is.
    inside = max(line - 1, 0) if cells[index]["cell_type"] == "markdown" else 0
    return f"{name}.md:{cell_line(chapter.text, sources, index) + inside}:{words}"


def repository_address(book: Book) -> str:
    """The repository's public address, set in one place: ``[tool.tms-book]`` in pyproject.toml."""
    project = book.root / "pyproject.toml"
    if not project.exists():
        return ""
    tool = tomllib.loads(project.read_text("utf8")).get("tool", {})
    return str(tool.get("tms-book", {}).get("repository", "")).rstrip("/")


def effective_config(book: Book) -> str:
    """``_config.yml`` and what depends on the build: nothing is executed; links if there is an address."""
    config: dict[str, Any] = yaml.safe_load((book.root / "_config.yml").read_text("utf8")) or {}
    sphinx = config.setdefault("sphinx", {}).setdefault("config", {})
    html = config.setdefault("html", {})
    config.setdefault("execute", {})["execute_notebooks"] = "off"
    config["only_build_toc_files"] = True
    address = repository_address(book)
    if address:
        config["repository"] = {"url": address, "branch": NOTEBOOK_BRANCH, "path_to_book": ""}
        config["launch_buttons"] = {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        }
        html.update(use_repository_button=True, use_edit_page_button=True, use_issues_button=True)
        markdown_name = "{{ file_name | replace('.ipynb', '.md') }}"
        # Built pages are notebooks, their sources are Markdown, on another branch than the one that is
        # launched.
        sphinx.setdefault("html_context", {}).update(
            edit_page_url_template=f"{address}/edit/{SOURCE_BRANCH}/{markdown_name}",
            edit_page_provider_name="GitHub",
        )
    if book.size == "small":
        html["announcement"] = "A small run for tests. Its figures and numbers are not the book's."
    return str(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
