"""The folded cells with controls: dead on a page without Python, so they are tried in a kernel."""

from pathlib import Path
from queue import Empty
from time import monotonic
from typing import Any

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from book._tools.chapters import Chapter, read_chapters
from book._tools.execute import STORE
from book._tools.layout import Book

ROOT = Path(__file__).parents[2]
CHAPTERS = [chapter for chapter in read_chapters(Book(ROOT)) if chapter.is_notebook]
# The front page has one figure to show, the pages of measurements have none of models.
WITHOUT = {"book/intro", "book/how_fast", "book/sweeps"}

# As a reader does it, by the button; what a callback raises is written into the widget's output.
PRESS = """
controls = rerun.widget
controls.manual_button.click()
"""
# And as a function, so that an error is one.
CALL = "rerun(**rerun.widget.kwargs)"


class Client(NotebookClient):
    """Looks every second whether a cell's answer has come.

    A widget's output is sent back through the channel on which the answer arrives. If both happen at once,
    the arrival may go unnoticed until the time for the cell is up.
    """

    async def async_start_new_kernel_client(self) -> Any:
        client = await super().async_start_new_kernel_client()
        look = client.shell_channel.get_msg

        async def get_msg(timeout: float) -> Any:
            end = monotonic() + timeout
            while True:
                try:
                    return await look(timeout=min(1.0, timeout))
                except Empty:
                    if monotonic() >= end:
                        raise

        client.shell_channel.get_msg = get_msg
        return client


def rerun_cells(chapter: Chapter) -> list[int]:
    cells = jupytext.reads(chapter.text, fmt="md:myst").cells
    return [i for i, cell in enumerate(cells) if "rerun" in cell.metadata.get("tags", [])]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_chapters_that_train_have_one(chapter):
    expected = 0 if chapter.name in WITHOUT else 1
    assert len(rerun_cells(chapter)) == expected


@pytest.mark.parametrize("chapter", [c for c in CHAPTERS if rerun_cells(c)], ids=lambda chapter: chapter.name)
def test_it_trains_and_draws(chapter):
    notebook = jupytext.reads(chapter.text, fmt="md:myst")
    [at] = rerun_cells(chapter)
    assert {"hide-input", "remove-output"} <= set(notebook.cells[at].metadata.tags)
    cells = [cell for cell in notebook.cells[: at + 1] if cell.cell_type == "code"]
    small = "\n".join(
        f"{name} = {value!r}" for name, value in chapter.parameters(Book(ROOT, "small")).items()
    )
    small += f"\nstore = {STORE!r}"  # where the chapters at small size are, if they have been built
    parameters = next(i for i, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", []))
    cells.insert(parameters + 1, nbformat.v4.new_code_cell(small))
    cells += [nbformat.v4.new_code_cell(source) for source in (PRESS, CALL)]
    notebook.cells = cells
    Client(notebook, timeout=300, resources={"metadata": {"path": str(ROOT)}}).execute()
    pictures = [output for output in cells[-1].outputs if "image/svg+xml" in output.get("data", {})]
    assert pictures
    [button] = [
        state
        for state in notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"].values()
        if state["model_name"] == "ButtonModel"
    ]
    assert button["state"]["description"] == "Rerun it"
