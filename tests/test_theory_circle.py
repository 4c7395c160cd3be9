"""The lossless circle and polygons short of it, against brute force and derivatives taken by torch."""

import numpy as np
import pytest
import torch
import xarray as xr

import tms


def one_hot_loss(W: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The summed squared error over the identity, from its definition."""
    n = len(W)
    outputs = torch.relu(W @ W.T + b[:, None])  # [output, input]
    return ((outputs - torch.eye(n, dtype=W.dtype)) ** 2).sum()


def of(solution: xr.Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(solution.W.values), torch.tensor(solution.b.values)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 10, 40])
def test_circle_is_lossless_and_no_smaller_one_is(n):
    s = tms.circle_squared_norm(n)
    assert one_hot_loss(*of(tms.circle_solution(n))) < 1e-24
    assert one_hot_loss(*of(tms.circle_solution(n, squared_norm=3 * s))) < 1e-20
    W, _ = of(tms.circle_solution(n))
    small = 0.99**0.5 * W
    assert one_hot_loss(small, 1 - (small**2).sum(1)) > 1e-6
    # The definition, by brute force: the least s on a fine grid at which no output answers a wrong input.
    grid = np.linspace(0.5 * s, 1.5 * s, 2001)
    worst = max(np.cos(2 * np.pi * np.arange(1, n) / n))
    assert grid[grid * worst + 1 - grid <= 1e-12][0] == pytest.approx(s, rel=1e-3)


def test_margin_tells_where_biases_exist():
    rng = np.random.default_rng(0)
    W = rng.normal(size=(300, 4, 3)) * rng.uniform(0.5, 4, (300, 1, 1))
    runs = xr.Dataset({"W": (("seed", "feature", "hidden"), W)})
    margin = tms.lossless_margin(runs)
    assert margin.dims == ("seed",)
    for one, found in zip(W, margin.values, strict=True):
        directions = torch.tensor(one)
        loss = one_hot_loss(directions, 1 - (directions**2).sum(1))
        assert (loss < 1e-20) == (found >= 0)
    assert 0 < int((margin >= 0).sum()) < 300


def test_margin_of_circle():
    assert float(tms.lossless_margin(tms.circle_solution(7))) == pytest.approx(0, abs=1e-12)
    assert float(tms.lossless_margin(tms.circle_solution(7, squared_norm=9.0))) == pytest.approx(
        9 * (1 - np.cos(2 * np.pi / 7)) - 1
    )


def hessian(n: int, m: int, s: float, k: int) -> np.ndarray:
    """All second derivatives at the polygon, W first, by torch."""
    polygon = tms.circle_solution(m, squared_norm=s)
    W, b = torch.zeros(n, 2, dtype=torch.float64), torch.full((n,), -0.3, dtype=torch.float64)
    W[:m], b[:m] = of(polygon)
    b[m : m + k] = 1 / n
    start = torch.cat([W.ravel(), b])

    def loss(v: torch.Tensor) -> torch.Tensor:
        return one_hot_loss(v[: 2 * n].reshape(n, 2), v[2 * n :])

    assert torch.autograd.functional.jacobian(loss, start).abs().max() < 1e-12
    return torch.autograd.functional.hessian(loss, start).numpy()


@pytest.mark.parametrize(
    ("n", "m", "k", "factor"),
    [(10, 6, 4, 1.3), (10, 6, 1, 1.3), (10, 6, 2, 1.1), (9, 5, 4, 2), (5, 3, 2, 2.5)],
)
def test_polygon_stability_is_the_hessian(n, m, k, factor):
    s = factor * tms.circle_squared_norm(m)
    second = hessian(n, m, s, k)
    found = tms.polygon_stability(n, m, squared_norm=s, n_live=k)
    live = slice(2 * m, 2 * (m + k))
    assert found.block == pytest.approx(np.linalg.eigvalsh(second[live, live])[0], rel=1e-9)
    assert found.escape_rate == pytest.approx(-np.linalg.eigvalsh(second)[0], rel=1e-9)
    assert found.escape_rate > 0


def test_triangle_lets_others_start_until_it_is_wide():
    assert tms.polygon_stability(10, 3, squared_norm=1.3).block < 0
    assert tms.polygon_stability(10, 3, squared_norm=1.4).block > 0
    assert tms.polygon_stability(10, 4).block == 0
    assert all(tms.polygon_stability(20, m).block > 0 for m in range(5, 20))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tms.circle_squared_norm(1), "n_features"),
        (lambda: tms.circle_solution(2.5), "n_features"),
        (lambda: tms.circle_solution(6, squared_norm=1.9), "squared_norm"),
        (lambda: tms.lossless_margin(tms.circle_solution(3).isel(feature=[0])), "feature"),
        (lambda: tms.lossless_margin(xr.Dataset()), "W"),
        (lambda: tms.polygon_stability(10, 2), "n_learnt"),
        (lambda: tms.polygon_stability(10, 10), "n_learnt"),
        (lambda: tms.polygon_stability(10, 6, squared_norm=1.0), "squared_norm"),
        (lambda: tms.polygon_stability(10, 6, n_live=5), "n_live"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_margin_wants_a_tied_model():
    run = tms.circle_solution(4)
    with pytest.raises(ValueError, match="untied"):
        tms.lossless_margin(run.assign(W_out=run.W))
