"""The README's picture: the figure of the front page, drawn by the front page itself."""

import json
from collections.abc import Callable
from pathlib import Path

from .chapters import environment_hash, read_chapters
from .execute import execute, executed_file
from .layout import Book, BookError
from .locks import hold


def write_picture(book: Book, say: Callable[[str], None]) -> Path:
    """Run the front page if it has changed, and write its first figure to ``book/_assets/front.svg``.

    Raises:
        BookError: the front page fails, or has no figure.
    """
    with hold(book.work / ".lock"):
        front = read_chapters(book)[0]
        execute(book, [front], environment_hash(book), say)
        notebook = json.loads(executed_file(book, front.name).read_text("utf8")) if front.is_notebook else {}
    for cell in notebook.get("cells", []):
        for output in cell.get("outputs", []):
            if "image/svg+xml" in output.get("data", {}):
                target = book.root / "book" / "_assets" / "front.svg"
                target.parent.mkdir(parents=True, exist_ok=True)
                svg = "".join(output["data"]["image/svg+xml"])
                target.write_text(svg.rstrip() + "\n", "utf8")
                return target
    raise BookError(f"{front.name}: there is no figure on the front page")
