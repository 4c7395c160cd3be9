"""Executed notebooks for the branch that Colab and Binder open."""

import json
from pathlib import Path

from .chapters import environment_hash, read_chapters
from .execute import executed_file, is_current
from .layout import Book, BookError
from .render import repository_address

INSTALL = """\
# Where the book's library is missing (Colab), install it from the book's repository.
try:
    import myst_nb
    import tms
except ModuleNotFoundError:
    %pip install --quiet "tms-superposition[notebook] @ git+{address}"
"""


def export_notebooks(book: Book, folder: Path) -> list[Path]:
    """Write the executed notebooks of all chapters to a folder, each able to install the library first.

    Raises:
        BookError: a chapter has not been executed as it is now.
    """
    environment = environment_hash(book)
    address = repository_address(book)
    written = []
    for chapter in read_chapters(book):
        if not chapter.is_notebook:
            continue
        if not is_current(book, chapter, environment):
            raise BookError(f"{chapter.name}: not executed as it is now; run make book first")
        notebook = json.loads(executed_file(book, chapter.name).read_text("utf8"))
        if address:
            notebook["cells"].insert(0, _code_cell(INSTALL.format(address=address)))
        target = folder / f"{chapter.name}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf8")
        written.append(target)
    return written


def _code_cell(source: str) -> dict[str, object]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": "install",
        "metadata": {"tags": ["remove-cell"]},
        "outputs": [],
        "source": source,
    }
