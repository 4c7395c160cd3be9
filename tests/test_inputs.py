"""Descriptions of inputs. What is drawn from them is tested with the engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tms
from tests.wrong import NOT_A_NUMBER, NOT_A_WHOLE_NUMBER, NOT_FINITE, rejects


@given(
    NOT_A_NUMBER | NOT_FINITE | st.floats(max_value=-1e-12) | st.floats(min_value=1.000001, allow_nan=False)
)
def test_wrong_probability(value: Any) -> None:
    """Outside [0, 1], not finite, or no number."""
    rejects(
        lambda: tms.SparseUniform(feature_probability=value), "feature_probability", value, "0 <= value <= 1"
    )
    on_axis = lambda: tms.SparseUniform(feature_probability=tms.axis("p", [0.5, value], labels=["a", "b"]))  # noqa: E731
    rejects(on_axis, "feature_probability (axis 'p')", allowed="0 <= value <= 1")


@given(st.floats(0, 1) | st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_probability(value: Any) -> None:
    """A number or one per feature, ends included."""
    kept = tms.SparseUniform(feature_probability=value).feature_probability
    assert np.array_equal(np.asarray(kept), np.asarray(value))


@given(NOT_A_WHOLE_NUMBER | st.integers(max_value=0))
def test_wrong_k(value: Any) -> None:
    """At least one active feature."""
    rejects(lambda: tms.KSparse(k=value), "KSparse.k", value, "a whole number")


@pytest.mark.parametrize("value", ["normal", 1.0, None])
def test_wrong_kind_of_values(value: Any) -> None:
    """Uniform or one."""
    rejects(lambda: tms.KSparse(k=1, values=value), "KSparse.values", value, "'uniform', 'one'")


@given(NOT_A_NUMBER | NOT_FINITE | st.floats(max_value=-1.000001) | st.floats(min_value=1.000001))
def test_wrong_correlation(value: Any) -> None:
    """From −1 to 1."""
    rejects(
        lambda: tms.GroupedSparse(set_size=2, feature_probability=0.1, correlation=value),
        "GroupedSparse.correlation",
        value,
        "-1 <= value <= 1",
    )


@pytest.mark.parametrize("on_axes", ["", "p", "c", "p c", "same"])
def test_features_that_avoid_each_other_are_rare(on_axes: str) -> None:
    """At most one of k is active, each with probability p: k p is at most 1, at every grid point."""

    def make(p: float, c: float) -> tms.GroupedSparse:
        chance: Any = tms.axis("p", [0.1, p]) if "p" in on_axes else p
        correlation: Any = tms.axis("c", [1.0, c]) if "c" in on_axes else c
        if on_axes == "same":
            chance, correlation = (tms.axis("x", x, labels=[0, 1]) for x in ([p, 0.1], [c, 1.0]))
        return tms.GroupedSparse(set_size=3, feature_probability=chance, correlation=correlation)

    rejects(lambda: make(0.34, -0.1), "GroupedSparse.feature_probability", 0.34, "at most 1 / set_size")
    make(1 / 3, -1.0)
    make(0.34, 0.1)
    if on_axes == "same":  # the two are never together
        tms.GroupedSparse(
            set_size=3,
            feature_probability=tms.axis("x", [0.9, 0.1]),
            correlation=tms.axis("x", [0.5, -0.5], labels=[0.9, 0.1]),
        )


def test_sampled() -> None:
    """Which inputs are drawn anew at every step."""
    assert tms.SparseUniform(feature_probability=0.5).sampled
    assert tms.KSparse(k=1).sampled
    assert tms.GroupedSparse(set_size=1, feature_probability=0.1, correlation=1.0).sampled
    assert not tms.OneHot().sampled
    assert not tms.Dataset(data=[[1.0]]).sampled


@pytest.mark.parametrize("make", [np.array, torch.tensor, list])
def test_data(make: Any) -> None:
    """Arrays, tensors and lists; a copy is kept."""
    source = make([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    inputs = tms.Dataset(data=source)
    source[0][0] = 9.0
    assert np.asarray(inputs.data).tolist() == [[1, 2], [3, 4], [5, 6]]
    assert inputs.n_samples == 3


@given(
    st.integers(0, 2),
    st.integers(0, 1),
    st.sampled_from([np.nan, np.inf]),
    st.sampled_from(["data", "targets"]),
)
def test_nan_in_data(row: int, column: int, value: float, name: str) -> None:
    """NaN anywhere in data or targets, with its place."""
    arrays = {"data": np.ones((3, 2)), "targets": np.ones((3, 2))}
    arrays[name][row, column] = value
    rejects(lambda: tms.Dataset(**arrays), f"Dataset.{name}[{row}, {column}]", value)


@pytest.mark.parametrize("shape", [(3, 1), (2, 2), (1, 2)])
def test_targets_of_another_shape(shape: tuple[int, int]) -> None:
    """Each sample has a target of the same length."""
    rejects(
        lambda: tms.Dataset(data=np.ones((3, 2)), targets=np.ones(shape)), "Dataset.targets", allowed="(3, 2)"
    )


def test_targets_on_axes() -> None:
    """Along one axis data and targets go together; along two each goes with each."""
    data = tms.axis("set", [np.ones((3, 2)), np.ones((5, 2))], labels=["a", "b"])
    tms.Dataset(data=data, targets=tms.axis("set", [np.zeros((3, 2)), np.zeros((5, 2))], labels=["a", "b"]))
    other = tms.axis("target", [np.zeros((3, 2)), np.zeros((5, 2))], labels=["a", "b"])
    rejects(lambda: tms.Dataset(data=data, targets=other), "Dataset.targets", allowed="shape")
