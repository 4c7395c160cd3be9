"""A progress bar for people at a terminal or in a notebook."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Progress:
    """What is reported to a bar, or to nobody."""

    def __init__(self, bar: Any = None) -> None:
        self._bar = bar

    def updates(self, count: int) -> None:
        """Updates of models that were done since the last report."""
        if self._bar is not None:
            self._bar.update(count)

    def loaded(self, updates: int) -> None:
        """Updates that need not be done: the time left is judged by the others."""
        self.more(-updates)

    def more(self, updates: int) -> None:
        """Updates that must be done beside those that were asked for."""
        if self._bar is not None:
            self._bar.total += updates
            self._bar.refresh()

    def note(self, text: str) -> None:
        """Say something behind the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(text)


@contextmanager
def progress_bar(show: bool | None, total: int) -> Iterator[Progress]:
    """A bar over a number of model updates; None shows it to a person."""
    if show is None:
        show = sys.stderr.isatty() or _in_notebook()
    if not show:
        yield Progress()
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of notebooks without ipywidgets, where a plain bar will do
        from tqdm.auto import tqdm
    with tqdm(total=total, unit=" updates", unit_scale=True, leave=False) as bar:
        yield Progress(bar)


def _in_notebook() -> bool:
    """Whether this is a Jupyter kernel, found without importing anything."""
    if "ipykernel" not in sys.modules or "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and "IPKernelApp" in shell.config
