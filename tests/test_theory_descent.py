"""Descents on the exact loss: against rational arithmetic, finite differences, and minima found apart."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import xarray as xr

import tms
from tests.made import made
from tests.wrong import rejects


def exact(W: np.ndarray, b: np.ndarray, p: float, importance: np.ndarray) -> float:
    """In rational numbers."""
    runs = made(W, b=b, p=p, loss=tms.MSE(importance=importance, reduction="feature_sum"))
    return float(tms.expected_loss(runs))


@pytest.mark.parametrize(("n", "m"), [(2, 1), (3, 2), (4, 2), (5, 3)])
@pytest.mark.parametrize("kind", ["plain", "a small feature", "tiny weights", "one feature off", "dense"])
def test_loss_is_exact(n: int, m: int, kind: str) -> None:
    """Small weights, where sums over corners would cancel, included."""
    rng = np.random.default_rng(n)
    p, importance = (1.0 if kind == "dense" else 0.3), rng.random(n) + 0.5
    for _ in range(5):
        W, b = rng.normal(size=(n, m)), 0.2 * rng.normal(size=n)
        W[0] *= {"a small feature": 1e-3, "one feature off": 0.0}.get(kind, 1.0)
        if kind == "tiny weights":
            W, b = 1e-2 * W, 1e-4 * b
        found = tms.exact_descent(W, b, feature_probability=p, importance=importance, steps=0)
        assert float(found.loss) == pytest.approx(exact(W, b, p, importance), rel=1e-9, abs=1e-12)
        assert np.array_equal(found.W, W)
        assert np.array_equal(found.b, b)


@pytest.mark.parametrize("n", [8, 10])
@pytest.mark.parametrize(("kind", "error"), [("plain", 1e-12), ("small cosines", 1e-8)])
def test_loss_of_many_features_is_exact(n: int, kind: str, error: float) -> None:
    """Up to the most that are allowed; sums over corners cancel most where all cosines are small."""
    rng = np.random.default_rng(n)
    W = np.eye(n) + 0.03 * rng.normal(size=(n, n)) if kind == "small cosines" else rng.normal(size=(n, 3)) / 2
    b, importance = 0.05 * rng.normal(size=n), rng.random(n)
    found = tms.exact_descent(W, b, feature_probability=0.5, importance=importance, steps=0)
    assert float(found.loss) == pytest.approx(exact(W, b, 0.5, importance), rel=error)


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each descent is one thread's alone."""
    p = xr.DataArray(np.linspace(0.05, 0.95, 50), dims="p")
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("TMS_THREADS", threads)
        found.append(tms.exact_descent([[1.0], [-0.5]], feature_probability=p))
    xr.testing.assert_identical(*found)


def test_symmetry_is_kept() -> None:
    """A regular pentagon stays one, and lies where a search over its length and bias finds it."""
    angles = 2 * np.pi * np.arange(5) / 5
    unit = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = tms.exact_descent(unit, feature_probability=0.15)
    gram = tms.gram(found.W).values
    assert np.ptp([np.diag(np.roll(gram, k, axis=1)) for k in range(5)], axis=1) == pytest.approx(0, abs=1e-9)
    best = scipy.optimize.minimize(
        lambda x: exact(x[0] * unit, np.full(5, x[1]), 0.15, np.ones(5)), [1.0, 0.0], method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-13},
    )  # fmt: skip
    assert float(found.loss) == pytest.approx(best.fun, rel=1e-9)
    assert found.W[0] @ found.W[0] == pytest.approx(best.x[0] ** 2, rel=1e-5)


@pytest.mark.parametrize(("n", "m"), [(2, 1), (3, 2), (4, 3)])
@pytest.mark.parametrize("small", [1.0, 1e-2, 1e-4])
def test_gradient(n: int, m: int, small: float) -> None:
    """Against differences of the loss."""
    from tms.theory import _exact

    rng = np.random.default_rng(m)
    chance, importance = np.full(n, 0.4), np.linspace(1, 2, n)
    gradient, other = np.zeros(n * m + n), np.zeros(n * m + n)
    room = np.empty((2 * n + 6, n + 1)), np.empty((2, n), np.int64)
    for _ in range(10):
        x = rng.normal(size=n * m + n)
        x[:m] *= small
        _exact.loss(x, n, m, chance, importance, gradient, *room)
        step = 1e-6 * np.eye(len(x))
        slopes = [
            (
                _exact.loss(x + d, n, m, chance, importance, other, *room)
                - _exact.loss(x - d, n, m, chance, importance, other, *room)
            )
            / 2e-6
            for d in step
        ]
        assert gradient == pytest.approx(np.array(slopes), abs=1e-6)


@pytest.mark.parametrize(("p", "r"), [(0.05, 1.0), (0.3, 0.25), (0.6, 0.8), (0.9, 1.0)])
def test_minimum_against_another_search(p: float, r: float) -> None:
    """The best of several starts is what a search without gradients finds on the rational loss."""
    starts = xr.DataArray(
        [[[1.0], [0.0]], [[0.0], [1.0]], [[1.0], [-1.0]], [[1.0], [-0.4]]],
        dims=["start", "feature", "hidden"],
    )
    found = tms.exact_descent(starts, p / 4, feature_probability=p, importance=[1.0, r])
    best = found.isel(start=int(found.loss.argmin("start")))
    assert float(best.slope) < 1e-6

    def loss(x: np.ndarray) -> float:
        return exact(x[:2, None], x[2:], p, np.array([1.0, r]))

    x = np.r_[best.W.values.ravel(), best.b.values]
    other = min(
        scipy.optimize.minimize(
            loss, start, method="Nelder-Mead", options={"maxiter": 400, "xatol": 1e-7, "fatol": 1e-12}
        ).fun
        for start in (x, x + 0.1, [0.9, -0.6, 0.1, 0.2])
    )
    assert float(best.loss) == pytest.approx(loss(x), rel=1e-10)
    assert float(best.loss) <= other * (1 + 1e-9)


def test_names_are_broadcast() -> None:
    """One model for each start, probability and importance; or a probability for each feature."""
    W = xr.DataArray([[[1.0], [-1.0]], [[1.0], [0.5]]], dims=["start", "feature", "hidden"])
    p = xr.DataArray([0.1, 0.5, 1.0], dims=["p"], coords={"p": [0.1, 0.5, 1.0]})
    r = xr.DataArray([[1.0, 1.0], [1.0, 0.3]], dims=["r", "feature"])
    found = tms.exact_descent(W, feature_probability=p, importance=r, steps=0)
    assert dict(found.loss.sizes) == {"start": 2, "p": 3, "r": 2}
    one = tms.exact_descent(W[1], feature_probability=0.5, importance=[1.0, 0.3], steps=0)
    assert float(found.loss.sel(p=0.5)[1, 1]) == pytest.approx(float(one.loss), rel=1e-14)
    own = tms.exact_descent([[1.0], [0.0]], [0.0, 0.25], feature_probability=[0.2, 0.5], steps=0)
    assert float(own.loss) == pytest.approx(float(tms.constant_loss(0.5)), rel=1e-12)


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.7, 0.95])
def test_onset(p: float) -> None:
    """Below it no small step leads down from the solution without feature 2; above it one does."""
    onset = float(tms.onset_importance(p))
    small = 1e-3 * p
    half = p / 4 + (1 - p) ** 2
    s = p**2 / 4 / (half + np.sqrt(half**2 + p**3 * (1 - p) / 4))
    W = [[1 - 0.75 * (s - p / 2) * small], [-small]]
    for factor, below in ((0.9, False), (1.1, True)):
        settings = {"feature_probability": p, "importance": [1.0, factor * onset], "steps": 0}
        here = tms.exact_descent([[1.0], [0.0]], [0.0, p / 2], **settings)
        there = tms.exact_descent(W, [s * small, p / 2 * (1 + small)], **settings)
        assert bool(there.loss < here.loss) is below


def test_onset_keeps_names() -> None:
    """A DataArray comes back with its coordinates."""
    p = xr.DataArray([0.1, 0.2], dims=["p"], coords={"p": [0.1, 0.2]})
    assert tms.onset_importance(p).p.equals(p.p)


def test_wrong_parameters() -> None:
    """Named, with what is allowed."""
    W = [[1.0], [0.0]]
    rejects(lambda: tms.exact_descent([1.0, 0.0], feature_probability=0.1), "W")
    rejects(lambda: tms.exact_descent(W, [0.0], feature_probability=0.1), "b")
    rejects(
        lambda: tms.exact_descent(W, feature_probability=1.5), "feature_probability", 1.5, "0 <= value <= 1"
    )
    rejects(lambda: tms.exact_descent(W, feature_probability=0.1, importance=-1), "importance", -1)
    rejects(lambda: tms.exact_descent([[np.nan], [0.0]], feature_probability=0.1), "W")
    rejects(lambda: tms.exact_descent(W, feature_probability=0.1, steps=-1), "steps", -1)
    rejects(lambda: tms.exact_descent(np.eye(11), feature_probability=0.1), "W", allowed="at most 10")
    rejects(lambda: tms.exact_descent(xr.DataArray([1.0], dims=["x"]), feature_probability=0.1), "W")
    wide = xr.DataArray([1.0], dims=["hidden"])
    rejects(lambda: tms.exact_descent(W, wide, feature_probability=0.1), "b")
    rejects(lambda: tms.onset_importance(0.0), "feature_probability", 0.0, "0 < value <= 1")
