"""The data of every figure: taken from the run, kept beside its notebook, staged as one file for each figure.

While a chapter runs, each figure that it shows carries its table (``figure_data``) in an output of its own
kind. That is taken out again before the notebook is kept, so that what readers download stays as it is.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from .chapters import Chapter, content_hash
from .layout import Book, BookError

MIME_TYPE = "application/vnd.tms.figure-data"
FAILED = "failed: "

# Run at the start of every kernel. What is wrong with the data of a figure is said by the build; IPython
# would only print it. Matplotlib is left to those chapters that draw.
SHOW_DATA = """\
def _show_data():
    import sys
    from importlib.util import module_from_spec, spec_from_file_location

    from IPython import get_ipython
    from IPython.core.formatters import BaseFormatter

    # Not registered for the type: the inline backend takes away what is, whenever formats are chosen.
    class FigureData(BaseFormatter):
        def __call__(self, shown):
            figures = sys.modules.get("matplotlib.figure")
            if figures is None or not isinstance(shown, figures.Figure):
                return None
            try:
                specification = spec_from_file_location("figure_data", {path!r})
                module = module_from_spec(specification)
                specification.loader.exec_module(module)
                return module.to_csv(shown)
            except Exception as error:
                return {failed!r} + f"{{type(error).__name__}}: {{error}}"

    formatter = get_ipython().display_formatter
    formatter.formatters[{mime_type!r}] = FigureData(parent=formatter)


_show_data()
del _show_data
"""


def kernel_start() -> str:
    """What a kernel runs first, so that figures are shown with their data."""
    path = str(Path(__file__).with_name("figure_data.py"))
    return SHOW_DATA.format(mime_type=MIME_TYPE, path=path, failed=FAILED)


def data_file(book: Book, page: str) -> Path:
    """Beside the executed notebook."""
    return book.executed / f"{page}.data.json"


def file_name(figure: str) -> str:
    """The name of the file with a figure's data, from the figure's own: its label on the page."""
    return re.sub(r"[^a-z0-9_]+", "-", figure.lower()).strip("-") + ".csv"


def take_data(notebook: Any) -> dict[str, str]:
    """Take the data of all figures out of an executed notebook: from the name of the file to the table.

    Raises:
        BookError: the data of a figure could not be written down.
    """
    tables: dict[str, str] = {}
    for cell in notebook.cells:
        name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
        for output in cell.get("outputs", []):
            table = output.get("data", {}).pop(MIME_TYPE, None)
            if table is None or not name:
                continue
            if table.startswith(FAILED):
                raise BookError(f"the data of the figure {name}: {table.removeprefix(FAILED)}")
            tables[file_name(name)] = table
    return tables


def write_data(path: Path, tables: dict[str, str], stamp: dict[str, str]) -> None:
    """Keep the data of one run with its stamp and a checksum."""
    data = {"stamp": stamp, "sha256": _checksum(tables), "tables": tables}
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", "utf8")
    draft.replace(path)


def read_data(book: Book, chapter: Chapter, environment: str) -> dict[str, str]:
    """The data of a chapter's figures, of its present run.

    Raises:
        BookError: the file is missing or damaged, or is of another run.
    """
    path = data_file(book, chapter.name)
    try:
        data = json.loads(path.read_text("utf8"))
        tables = dict(data["tables"])
        sound = data["sha256"] == _checksum(tables)
        current = data["stamp"] == {"size": book.size, "hash": content_hash(book, chapter, environment)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        sound, current, reason = False, False, str(error)
    else:
        reason = "wrong checksum" if not sound else "of another run"
    if not (sound and current):
        again = f"remove {book.executed / chapter.name}.ipynb to run the chapter again"
        raise BookError(f"{chapter.name}: the data of its figures cannot be read ({reason}); {again}")
    return tables


def _checksum(tables: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()
