"""Merged pairs: against the exact loss of weights, the spectrum of sampled covariances, and arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import tms
from tests.made import made
from tests.wrong import rejects


def pairs(p: float, c: float) -> tms.GroupedSparse:
    return tms.GroupedSparse(set_size=2, feature_probability=p, correlation=c)


@pytest.mark.parametrize("p", [0.05, 0.4, 1.0])
@pytest.mark.parametrize("c", [0.0, 0.3, 1.0])
def test_merged_pairs_lose_exactly_that(p: float, c: float) -> None:
    W = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]) / 2**0.5
    loss = float(tms.expected_loss(made(W, inputs=pairs(p, c))))
    assert loss == pytest.approx(2 * float(tms.merged_pair_loss(p, c)), rel=1e-12)


@pytest.mark.parametrize("c", [0.0, 0.5, 1.0])
def test_it_is_the_smaller_eigenvalue(c: float) -> None:
    """Of the covariance of samples of our own."""
    p, count, rng = 0.3, 400_000, np.random.default_rng(0)
    own, both = rng.random((count, 2)) < p, rng.random((count, 1)) < p
    active = np.where(rng.random((count, 1)) < c, both, own)
    x = np.where(active, rng.random((count, 2)), 0.0)
    least = np.linalg.eigvalsh(np.cov(x.T))[0]
    assert least == pytest.approx(float(tms.merged_pair_loss(p, c)), rel=0.01)


@pytest.mark.parametrize("c", [0.0, 0.25, 1.0])
def test_where_superposition_loses_as_much(c: float) -> None:
    """Unit vectors, each opposite one of the other pair."""
    p = float(tms.merging_probability(c))
    W = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    apart = float(tms.expected_loss(made(W, inputs=pairs(p, c))))
    assert apart == pytest.approx(2 * p**2 / 3, rel=1e-12)
    assert apart == pytest.approx(2 * float(tms.merged_pair_loss(p, c)), rel=1e-12)


def test_labels_are_kept() -> None:
    p = xr.DataArray([0.1, 0.2], dims="p", coords={"p": [0.1, 0.2]})
    c = xr.DataArray([0.0, 1.0], dims="c")
    assert tms.merged_pair_loss(p, c).dims == ("p", "c")
    assert tms.merging_probability(c).name == "merging_probability"


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, "much"])
def test_out_of_range(value: Any) -> None:
    rejects(lambda: tms.merged_pair_loss(value), "feature_probability")
    rejects(lambda: tms.merged_pair_loss(0.1, value), "correlation")
    rejects(lambda: tms.merging_probability(value), "correlation")
