"""Descriptions of losses. Their values are tested with the engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tms
from tests.wrong import NOT_A_NUMBER, NOT_FINITE, rejects


@given(NOT_A_NUMBER | NOT_FINITE | st.floats(max_value=-1e-12))
def test_wrong_importance(value: Any) -> None:
    """Negative, not finite or no number; alone and at any place of a vector."""
    rejects(lambda: tms.MSE(importance=value), "MSE.importance", value, "0 <= value")


@given(st.integers(0, 4), st.sampled_from([np.nan, np.inf, -1.0]))
def test_wrong_importance_of_one_feature(where: int, value: float) -> None:
    """With its place."""
    importance = np.ones(5)
    importance[where] = value
    rejects(lambda: tms.MSE(importance=importance), f"MSE.importance[{where}]", value, "0 <= value")


@pytest.mark.parametrize("value", ["average", None, 1, "feature_mean", ""])
def test_wrong_reduction(value: Any) -> None:
    """Unknown reductions; a sum over features only belongs to MSE."""
    rejects(lambda: tms.MSE(reduction=value), "MSE.reduction", value, "'mean', 'feature_sum', 'sum'")
    rejects(lambda: tms.CrossEntropy(reduction=value), "CrossEntropy.reduction", value, "'mean', 'sum'")
    rejects(lambda: tms.CrossEntropy(reduction="feature_sum"), "CrossEntropy.reduction", "feature_sum")


def test_reduction_and_importance_are_told_apart() -> None:
    """Different losses are different; the default importance is the same for all."""
    assert tms.MSE() == tms.MSE(importance=1)
    assert len({tms.MSE(), tms.MSE(reduction="sum"), tms.MSE(importance=[1.0, 1.0]), tms.CrossEntropy()}) == 4


def test_the_reduction_is_always_shown() -> None:
    """Results depend on it, so the default is written out too."""
    assert repr(tms.MSE()) == "MSE(reduction='mean')"
    assert repr(tms.CrossEntropy()) == "CrossEntropy(reduction='mean')"
    assert "loss" not in repr(
        tms.Experiment(model=tms.Autoencoder(n_features=2, n_hidden=1), inputs=tms.OneHot(), steps=1)
    )
