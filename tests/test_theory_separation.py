"""Untied models without bias: against linear programs, brute force, a semidefinite search and the engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import xarray as xr

import tms

EXACT = 1e-12


def one_hot_loss(W: Any, W_out: Any) -> float:
    """Written out: every input, every output."""
    W, W_out = np.asarray(W), np.asarray(W_out)
    total = 0.0
    for j in range(len(W)):
        for i in range(len(W)):
            total += (float(i == j) - max(float(W_out[i] @ W[j]), 0.0)) ** 2
    return total


def separable_by_program(W: np.ndarray, i: int) -> bool:
    """Whether some u has u·W_i = 1 and u·W_j ≤ 0, by linear programming."""
    others = np.delete(W, i, axis=0)
    found = scipy.optimize.linprog(
        np.zeros(W.shape[1]),
        A_ub=others,
        b_ub=np.zeros(len(others)),
        A_eq=W[i : i + 1],
        b_eq=[1.0],
        bounds=(None, None),
    )
    return bool(found.status == 0)


@pytest.mark.parametrize("shape", [(3, 2), (4, 2), (5, 2), (5, 3), (8, 3), (6, 1)])
def test_separation_against_linear_programs(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    for _ in range(20):
        W = rng.normal(size=shape)
        found = tms.separation(W)
        expected = [separable_by_program(W, i) for i in range(shape[0])]
        assert (found.margin.values > 0).tolist() == expected
        for i in np.flatnonzero(expected):
            response = found.W_out.values[i] @ W.T
            assert response[i] == pytest.approx(1.0, abs=1e-9)
            assert (np.delete(response, i) <= 1e-9).all()
            length = np.linalg.norm(W[i]) * float(found.margin[i])
            assert np.linalg.norm(found.W_out.values[i]) == pytest.approx(1 / length)
        assert np.isnan(found.W_out.values[~np.array(expected)]).all()


def test_the_read_direction_is_the_shortest() -> None:
    """Against a constrained search."""
    W = tms.light_cone(7).W.values * np.linspace(1, 2, 7)[:, None]
    found = tms.separation(W).W_out.values
    for i in range(7):
        others = np.delete(W, i, axis=0)
        best = scipy.optimize.minimize(
            lambda u: u @ u,
            found[i] * 1.3,
            method="SLSQP",
            constraints=[
                {"type": "eq", "fun": lambda u, w=W[i]: u @ w - 1},
                {"type": "ineq", "fun": lambda u, w=others: -(w @ u)},
            ],
        )
        assert best.fun == pytest.approx(float(found[i] @ found[i]), rel=1e-5)


def test_separation_of_many_models_and_of_zero() -> None:
    W = np.random.default_rng(0).normal(size=(3, 2, 4, 2))
    W[1, 1, 2] = 0.0
    many = tms.separation(xr.DataArray(W, dims=["a", "b", "feature", "hidden"]))
    assert many.margin.dims == ("a", "b", "feature")
    assert float(many.margin[1, 1, 2]) == 0.0
    one = tms.separation(W[2, 0])
    np.testing.assert_allclose(many.margin[2, 0], one.margin, atol=EXACT)
    assert float(tms.separation([[3.0, 4.0]]).margin[0]) == 1.0


def test_at_most_four_in_the_plane() -> None:
    """Brute force: of many random arrangements, none of five has all of its features separated."""
    rng = np.random.default_rng(1)
    most = max(int((tms.separation(rng.normal(size=(5, 2))).margin > 0).sum()) for _ in range(300))
    assert most <= 4
    assert bool((tms.separation([[1.0, 0.2], [-1.0, -0.2], [0.3, 1.0], [-0.3, -1.0]]).margin > 0).all())


@pytest.mark.parametrize("n", [4, 5, 6, 9])
@pytest.mark.parametrize("ratio", [0.7, 1.0, 2.0, 30.0])
def test_ladder_against_the_loss_written_out(n: int, ratio: float) -> None:
    steps = tms.ladder(n, ratio)
    loss = one_hot_loss(steps.W, steps.W_out)
    assert float(tms.ladder_loss(n, ratio)) == pytest.approx(loss, rel=EXACT, abs=EXACT)
    # No other length of the read directions is better.
    for factor in (0.99, 1.01):
        assert one_hot_loss(steps.W, factor * steps.W_out) >= loss - EXACT


def test_ladder_of_five_and_its_limit() -> None:
    ratio = np.array([1.0, 2.0, 10.0, 1e4])
    np.testing.assert_allclose(tms.ladder_loss(5, ratio), 4 / (1 + ratio**2), rtol=EXACT)
    for n in (5, 8, 12):
        assert float(tms.ladder_loss(n, 1e6)) < 1e-9


@pytest.mark.parametrize("n", [4, 5, 7, 12, 40])
def test_light_cone_has_no_loss(n: int) -> None:
    cone = tms.light_cone(n)
    assert one_hot_loss(cone.W, cone.W_out) < EXACT * n**4
    assert bool((tms.separation(cone.W).margin > 0).all())
    if n > 4:  # indefinite: with four the third dimension is not used
        assert float(tms.tied_distance(cone.W, cone.W_out)) > 0.1
    trained = tms.Experiment(
        model=tms.Autoencoder(n_features=n, n_hidden=3, tied=False, bias="none"),
        inputs=tms.OneHot(),
        loss=tms.MSE(reduction="sum"),
        optimizer=tms.SGD(lr=0.0),
        init=tms.Given(W=cone.W.values, W_out=cone.W_out.values),
        dtype="float64",
        steps=1,
    )
    assert float(tms.train(trained).loss[0]) < EXACT * n**4


def test_tied_distance_against_a_search() -> None:
    """The nearest tied map, by minimising over tied weights."""
    rng = np.random.default_rng(3)
    for n, m in ((4, 2), (5, 3)):
        W, W_out = rng.normal(size=(2, n, m))
        G = W_out @ W.T

        def miss(v: np.ndarray, G: np.ndarray = G, n: int = n, m: int = m) -> float:
            V = v.reshape(n, m)
            return float(((G - V @ V.T) ** 2).sum())

        least = min(
            scipy.optimize.minimize(miss, rng.normal(size=n * m), method="BFGS").fun for _ in range(10)
        )
        assert float(tms.tied_distance(W, W_out)) == pytest.approx((least / (G**2).sum()) ** 0.5, rel=1e-5)


def test_tied_distance_does_not_depend_on_the_gauge() -> None:
    rng = np.random.default_rng(4)
    W, W_out = rng.normal(size=(2, 10, 6, 3))
    A = rng.normal(size=(3, 3))
    turned = tms.tied_distance(W @ A, W_out @ np.linalg.inv(A).T)
    np.testing.assert_allclose(turned, tms.tied_distance(W, W_out), rtol=1e-9)
    assert turned.shape == (10,)
    np.testing.assert_allclose(tms.tied_distance(W @ A, W @ np.linalg.inv(A).T), 0, atol=1e-7)
    assert float(tms.tied_distance(np.zeros((2, 1)), np.zeros((2, 1)))) == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tms.separation(np.zeros(3)), "W"),
        (lambda: tms.separation([[np.nan, 0.0]]), "W must be finite numbers"),
        (lambda: tms.ladder(3, 2.0), "n_features"),
        (lambda: tms.ladder(5, 0.0), "ratio"),
        (lambda: tms.ladder_loss(5, [1.0, -1.0]), "ratio"),
        (lambda: tms.ladder_loss(2.5, 1.0), "n_features"),
        (lambda: tms.light_cone(3), "n_features"),
        (lambda: tms.tied_distance([[1.0], [np.inf]], [[1.0], [1.0]]), "W, W_out"),
        (lambda: tms.tied_distance([[1.0]], [[1.0, 2.0]]), "W_out"),
    ],
)
def test_wrong_input_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
