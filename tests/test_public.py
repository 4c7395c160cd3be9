"""The library as a whole: its import, its public names and their examples."""

from __future__ import annotations

import doctest
import inspect
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

import tms
import tms.plot


def test_import_is_light_and_silent() -> None:
    """`import tms` prints nothing and loads none of the heavy packages."""
    heavy = {"torch", "matplotlib", "numba", "ipywidgets", "tqdm"}
    code = f"import sys, tms; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
    assert done.stderr == ""


METHODS = {
    tms.Experiment: ("axes", "shape", "size", "isel", "sel", "to_json", "from_json"),
    tms.Given: ("from_runs",),
    tms.Evidence: ("statement", "replacement", "answer", "instead", "pieces"),
}


def public() -> dict[str, Any]:
    """What the API page shows: names, figures, and methods."""
    found = {name: getattr(tms, name) for name in tms.__all__ if name not in ("plot", "store")}
    found |= {f"store.{name}": getattr(tms.store, name) for name in tms.store.__all__}
    found |= {f"plot.{name}": getattr(tms.plot, name) for name in tms.plot.__all__}
    return found | {
        f"{c.__name__}.{name}": getattr(c, name) for c, names in METHODS.items() for name in names
    }


PUBLIC = public()

# They are made by the library: their docstrings describe what they hold, and no parameters.
MADE_BY_US = (
    "DivergenceWarning",
    "EvidenceError",
    "Factor",
    "Fraction",
    "Mean",
    "StoreError",
    "StoreWarning",
    "SweepError",
)
# They write or record something, and return nothing.
RETURN_NOTHING = (
    "glue",
    "plot.save",
    *(f"Evidence.{kind}" for kind in ("statement", "replacement", "answer", "instead")),
)


def test_methods_are_those_of_the_api_page() -> None:
    """What it lists under :members:."""
    page = (Path(__file__).parents[1] / "book/api.md").read_text("utf8")
    listed = {
        f"{name}.{member.strip()}"
        for name, members in re.findall(r"autoclass:: (\w+)\n +:members: (.*)", page)
        for member in members.split(",")
    }
    assert listed == {name for name in PUBLIC if "." in name and not name.startswith(("plot.", "store."))}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_has_an_example_that_runs(name: str) -> None:
    """A docstring with an Examples section, whose doctests pass."""
    value = PUBLIC[name]
    text = inspect.getdoc(value) or ""
    assert "Examples\n--------\n" in text
    finder = doctest.DocTestFinder(recurse=False)
    (test,) = finder.find(value, name, globs={})
    assert test.examples
    with warnings.catch_warnings():  # an example may set filters
        result = doctest.DocTestRunner(verbose=False).run(test)
    plt.close("all")
    assert result.failed == 0


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_docstrings_are_complete(name: str) -> None:
    """Parameters all named; for functions what comes back and what is raised."""
    value = PUBLIC[name]
    text = inspect.getdoc(value) or ""
    if isinstance(value, property) or name in MADE_BY_US:
        return
    asked = [] if inspect.isclass(value) else ["Raises"]
    if not inspect.isclass(value) and name not in RETURN_NOTHING:
        asked.append("Returns")
    names = [n for n in inspect.signature(value).parameters if n not in ("self", "cls")]
    if names:
        asked.append("Parameters")
        section = re.search(r"Parameters\n-+\n(.*?)(?:\n\n\S[^\n]*\n---|\Z)", text, flags=re.S)
        assert section
        entries = ", ".join(line for line in section[1].splitlines() if line and not line.startswith(" "))
        assert {entry.strip().lstrip("*") for entry in entries.split(",")} == set(names)
    for heading in asked:
        assert f"{heading}\n{'-' * len(heading)}\n" in text
    assert not re.search(r"(?<!\|)\|[^|\s]+\|(?!\|)", text)  # a substitution in reST


def test_tms_lists_its_names() -> None:
    """plot too, which is loaded when used."""
    assert set(tms.__all__) <= set(dir(tms))
    code = "import sys, tms; dir(tms); assert 'tms.plot' not in sys.modules; tms.plot.figure"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="nothing"):
        tms.nothing  # noqa: B018


def test_type_checkers_know_our_names(tmp_path: Path) -> None:
    """Wrong names and parameters are found, right ones pass."""
    code = (
        "import tms\n"
        "tms.plot.directions\n"
        "tms.Autoencoder(n_features=5, n_hidden=2, tied=tms.axis('tied', [True, False]))\n"
        "tms.nothing\n"
        "tms.Autoencoder(n_features=5, n_hiden=2)\n"
        "tms.Autoencoder(5, 2)\n"
    )
    (tmp_path / "user.py").write_text(code)
    root = Path(__file__).parents[1]
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        "",
        "--no-error-summary",
        "--follow-imports=silent",
    ]
    command += [
        "--ignore-missing-imports",
        "--cache-dir",
        str(root / ".mypy_cache/user"),
        str(tmp_path / "user.py"),
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    lines = {int(line) for line in re.findall(r"user\.py:(\d+): error", done.stdout)}
    assert lines == {4, 5, 6}, done.stdout + done.stderr
