"""The library as a whole: its import, its public names and their examples."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
import warnings
from typing import Any

import pytest

import tms


def test_import_is_light_and_silent() -> None:
    """`import tms` prints nothing and loads none of the heavy packages."""
    heavy = {"torch", "matplotlib", "numba", "ipywidgets", "tqdm"}
    code = f"import sys, tms; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
    assert done.stderr == ""


def public() -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(tms).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and getattr(value, "__module__", "").startswith("tms")
    }


@pytest.mark.parametrize("name", sorted(public()))
def test_every_public_name_has_an_example_that_runs(name: str) -> None:
    """A docstring with an Examples section, whose doctests pass."""
    value = public()[name]
    text = inspect.getdoc(value) or ""
    assert "Examples\n--------\n" in text
    finder = doctest.DocTestFinder(recurse=False)
    (test,) = finder.find(value, name, globs={})
    assert test.examples
    with warnings.catch_warnings():  # an example may set filters
        result = doctest.DocTestRunner(verbose=False).run(test)
    assert result.failed == 0
