"""Axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tms
from tests.wrong import rejects
from tms.axis import RESERVED, Axis


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=12, unique=True))
def test_numbers_label_themselves(values: list[float]) -> None:
    """Values and labels are the numbers; numpy's become Python's; equal axes are equal and hash alike."""
    made = tms.axis("p", np.array(values))
    assert made.values == made.labels == tuple(values)
    assert all(type(value) is float for value in made.values)
    assert len(made) == len(values)
    assert made == tms.axis("p", iter(values))
    assert hash(made) == hash(tms.axis("p", values))
    assert made != tms.axis("q", values)


@given(st.lists(st.floats(-9, 9) | st.sampled_from(["a", "b'"]), min_size=1, max_size=8, unique=True))
def test_repr_can_be_read_back(values: list[Any]) -> None:
    """eval(repr(axis)) is the axis, for up to eight values."""
    made = tms.axis("p", values)
    assert eval(repr(made), {"axis": tms.axis}) == made


def test_long_repr_is_short() -> None:
    """An axis of a hundred thousand values does not fill the screen."""
    assert repr(tms.axis("p", range(100_000))) == "<axis 'p': 0 … 99999, 100000 values>"


def test_labels_by_default() -> None:
    """Names of strings and functions, descriptions as text; one type for all, as a coordinate has one."""
    assert tms.axis("a", ["relu", max]).labels == ("relu", "max")
    assert tms.axis("o", [tms.SGD(lr=0.1), tms.Adam()]).labels == ("SGD(lr=0.1)", "Adam()")
    assert tms.axis("lr", [0.1, tms.Linear(start=0.2)]).labels == ("0.1", "Linear(start=0.2)")
    assert tms.axis("batch", [None, 4]).labels == ("None", "4")
    assert tms.axis("tied", [True, False]).labels == (True, False)


def test_labels_given() -> None:
    """For values that are no labels."""
    made = tms.axis("p", [[0.1, 0.2], [0.3, 0.4]], labels=["low", "high"])
    assert made.labels == ("low", "high")
    assert np.asarray(made.values[1]).tolist() == [0.3, 0.4]


@pytest.mark.parametrize("name", [*sorted(RESERVED), "", "two words", "1st", "a-b", None, 3, b"p"], ids=repr)
def test_wrong_names(name: Any) -> None:
    """Names that the result uses itself, for dimensions and variables, and what is no name."""
    rejects(lambda: tms.axis(name, [1.0]), "axis name", name, "an identifier that is none of")


def test_everything_in_a_result_is_reserved() -> None:
    """No axis can collide with a dimension or variable of the result, whatever the model has."""
    experiment = tms.Experiment(
        model=tms.Autoencoder(n_features=3, n_hidden=2, tied=False, bias="both"), inputs=tms.OneHot(), steps=1
    )
    runs = tms.train(experiment, engine="torch")
    assert set(runs.variables) | set(runs.dims) <= RESERVED


@pytest.mark.parametrize(
    "values", ["relu", b"ab", 3, None, {1.0, 2.0}, frozenset(), {"a": 1}, np.array(1.0)], ids=repr
)
def test_wrong_values(values: Any) -> None:
    """What has no order or is no sequence."""
    rejects(lambda: tms.axis("p", values), "values of axis 'p'", values, "a sequence")


@pytest.mark.parametrize("values", [[], (), np.array([]), range(0)], ids=repr)
def test_no_values(values: Any) -> None:
    """An axis without values."""
    rejects(lambda: tms.axis("p", values), "values of axis 'p'", values, "at least one value")


def test_nested() -> None:
    """An axis of axes, and ragged lists."""
    rejects(lambda: tms.axis("p", [tms.axis("q", [1.0])]), "values of axis 'p'", allowed="not axes")
    rejects(lambda: tms.axis("p", [[[1], [2, 3]]], labels=["a"]), "values of axis 'p'", allowed="rectangular")


@pytest.mark.parametrize(
    ("values", "labels", "allowed"),
    [
        ([1.0, 1.0], None, "distinct"),
        ([1.0, 2.0], [1, 1], "distinct"),
        ([1, True], None, "distinct"),
        ([1.0, 2.0], ["a"], "2 labels"),
        ([1.0, 2.0], [], "2 labels"),
        ([1.0, 2.0], ["a", 1], "all finite numbers, or all strings"),
        ([1.0, 2.0], [(1, 2), (3, 4)], "all finite numbers, or all strings"),
        ([1.0, 2.0], [None, "a"], "all finite numbers, or all strings"),
        ([1.0, 2.0], [{}, {}], "all finite numbers, or all strings"),
        ([float("nan"), 2.0], None, "all finite numbers, or all strings"),
        ([1.0, 2.0], [float("inf"), 2.0], "all finite numbers, or all strings"),
        ([[1.0, 2.0]], None, "given"),
        ([lambda x: x, lambda x: -x], None, "distinct"),
    ],
)
def test_wrong_labels(values: Any, labels: Any, allowed: str) -> None:
    """Repeated, too few, of two types, or nothing that a coordinate can hold."""
    rejects(lambda: tms.axis("p", values, labels=labels), "labels of axis 'p'", allowed=allowed)


def test_same_axis_over_other_values() -> None:
    """Checked values take the place of the given ones; name and labels stay."""
    assert tms.axis("p", [1, 2]).replace_values([1.0, 2.0]) == Axis("p", (1.0, 2.0), (1, 2))


def test_names_of_what_is_measured_are_reserved() -> None:
    """Dimensions of outputs, gaps and directions, and what methods call themselves."""
    for name in ("sample", "gap", "direction", "n_directions", "self", "cls"):
        rejects(lambda name=name: tms.axis(name, [1.0]), "axis name", name)


def test_tensors_are_values_and_labels() -> None:
    """Of torch: a vector of numbers, rows of a matrix, one that needs a gradient."""
    values = torch.tensor([0.25, 0.5], dtype=torch.float64, requires_grad=True)
    assert tms.axis("p", values) == tms.axis("p", [0.25, 0.5])
    assert tms.SparseUniform(feature_probability=tms.axis("p", values)).feature_probability.labels == (
        0.25,
        0.5,
    )
    rows = tms.axis("i", torch.eye(2), labels=values)
    assert rows.labels == (0.25, 0.5)
    assert tms.MSE(importance=rows) == tms.MSE(importance=tms.axis("i", np.eye(2), labels=[0.25, 0.5]))
