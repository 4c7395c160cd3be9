"""One-hot inputs under softmax: against torch's cross-entropy, autograd and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import xarray as xr

import tms
from tests.wrong import rejects

EXACT = 1e-12


def circle(n: int, radius: float) -> np.ndarray:
    turn = 2 * np.pi * np.arange(n) / n
    return radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)


def cross_entropy(W: torch.Tensor, W_out: torch.Tensor | None = None) -> torch.Tensor:
    """Summed over the one-hot inputs, by torch."""
    logits = W @ (W if W_out is None else W_out).T
    return torch.nn.functional.cross_entropy(logits, torch.arange(len(W)), reduction="sum")


@pytest.mark.parametrize("n", [1, 2, 3, 12, 40])
@pytest.mark.parametrize("radius", [0.0, 0.7, 3.0])
def test_circle_loss(n: int, radius: float) -> None:
    other = float(cross_entropy(torch.from_numpy(circle(n, radius)))) / n
    assert float(tms.softmax_circle_loss(radius, n)) == pytest.approx(other, rel=EXACT, abs=EXACT)


def test_circle_loss_keeps_its_digits_when_small() -> None:
    """Two neighbours and the others, by a sum of exact terms."""
    terms = [math.exp(-400.0 * 2 * math.sin(math.pi * j / 7) ** 2) for j in range(1, 7)]
    assert float(tms.softmax_circle_loss(20.0, 7)) == pytest.approx(math.fsum(terms), rel=1e-9, abs=0)
    assert tms.softmax_circle_loss([[1.0, 2.0]], 5).shape == (1, 2)


def test_probabilities() -> None:
    """By a loop over inputs, with a bias for each model."""
    rng = np.random.default_rng(0)
    W, R, b = rng.normal(size=(3, 5, 2)), rng.normal(size=(3, 5, 2)), rng.normal(size=(3, 5))
    dims = ["seed", "feature", "hidden"]
    given = tms.softmax_probabilities(
        xr.DataArray(W, dims=dims), xr.DataArray(b, dims=dims[:2]), W_out=xr.DataArray(R, dims=dims)
    )
    assert given.dims == ("seed", "feature", "other_feature")
    for s in range(3):
        for j in range(5):
            weight = [math.exp(R[s, i] @ W[s, j] + b[s, i]) for i in range(5)]
            np.testing.assert_allclose(given.values[s, :, j], np.array(weight) / sum(weight), rtol=EXACT)


def test_probabilities_of_long_and_of_diverged_weights() -> None:
    assert tms.softmax_probabilities([[100.0], [-100.0]]).values.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert bool(tms.softmax_probabilities([[np.nan], [1.0]]).isnull().any())


@pytest.mark.parametrize("tied", [True, False])
def test_hessian_by_autograd(tied: bool) -> None:
    rng = np.random.default_rng(1)
    n, m, k = 5, 3, 4
    W, R = rng.normal(size=(2, n, m))
    V, S = rng.normal(size=(2, k, n, m))
    at, moves = [torch.from_numpy(W)], torch.from_numpy(V).reshape(k, -1)
    if not tied:
        at.append(torch.from_numpy(R))
        moves = torch.cat([moves, torch.from_numpy(S).reshape(k, -1)], dim=1)
    size = n * m

    def loss(flat: torch.Tensor) -> torch.Tensor:
        parts = [flat[i * size : (i + 1) * size].reshape(n, m) for i in range(len(at))]
        return cross_entropy(*parts)

    whole = torch.autograd.functional.hessian(loss, torch.cat([part.reshape(-1) for part in at]))
    other = (moves @ whole @ moves.T).numpy()
    more = {} if tied else {"W_out": R, "moves_out": S}
    given = tms.softmax_hessian(W, V, **more)
    np.testing.assert_allclose(given, other, rtol=EXACT, atol=EXACT * abs(other).max())


@pytest.mark.parametrize("n", [4, 6, 7, 12])
@pytest.mark.parametrize("radius", [1.0, 2.7, 4.0, 7.5])
def test_missing_feature_by_the_whole_hessian(n: int, radius: float) -> None:
    """Among all moves of vector symmetry, taken out of the whole Hessian by a projection."""
    W = torch.from_numpy(np.vstack([circle(n - 1, radius), np.zeros((1, 2))]))
    whole = torch.autograd.functional.hessian(lambda v: cross_entropy(v.reshape(n, 2)), W.reshape(-1)).numpy()
    turn = 2 * np.pi / (n - 1)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    step = np.zeros((2 * n, 2 * n))  # one step of the symmetry: feature i goes where feature i + 1 was
    for i in range(n):
        to = (i + 1) % (n - 1) if i < n - 1 else i
        step[2 * to : 2 * to + 2, 2 * i : 2 * i + 2] = rotation
    power, projection = np.eye(2 * n), np.zeros((2 * n, 2 * n))
    for k in range(n - 1):
        projection += 2 / (n - 1) * np.cos(turn * k) * power
        power = step @ power
    values, vectors = np.linalg.eigh((projection + projection.T) / 2)
    basis = vectors[:, values > 0.5]
    least = np.linalg.eigvalsh(basis.T @ whole @ basis)[0]
    assert float(tms.missing_feature_curvature(radius, n)) == pytest.approx(least, rel=1e-9, abs=1e-9)


def test_wrong_input_is_named() -> None:
    pair = [[1.0], [2.0]]
    rejects(lambda: tms.softmax_circle_loss(-1.0, 5), "radius", -1.0)
    rejects(lambda: tms.softmax_circle_loss(1.0, 0), "n_features", 0)
    rejects(lambda: tms.missing_feature_curvature(1.0, 3), "n_features", 3)
    rejects(lambda: tms.missing_feature_curvature(float("nan"), 5), "radius")
    rejects(lambda: tms.softmax_probabilities(pair, [1.0, 2.0, 3.0]), "b", "shape (3,)")
    rejects(lambda: tms.softmax_probabilities(pair, xr.DataArray([1.0, 2.0], dims=["seed"])), "b")
    rejects(lambda: tms.softmax_hessian([1.0], [[[1.0]]]), "W", "shape (1,)")
    rejects(lambda: tms.softmax_hessian([[np.nan]], [[[1.0]]]), "W", "NaN or infinity in it")
    rejects(lambda: tms.softmax_hessian(pair, [[[1.0]]]), "moves", "shape (1, 1, 1)")
    rejects(lambda: tms.softmax_hessian([[1.0]], [[[1.0]]], W_out=[[1.0]]), "moves_out", None)
    two = [[[1.0]], [[1.0]]]
    rejects(lambda: tms.softmax_hessian([[1.0]], [[[1.0]]], W_out=[[1.0]], moves_out=two), "moves_out")
