"""State discrimination: against semidefinite programs, closed forms, brute force and the engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import xarray as xr

import tms

EXACT = 1e-12


def circle(n: int) -> np.ndarray:
    turn = 2 * np.pi * np.arange(n) / n
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def writes(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("shape", [(2, 2), (5, 2), (4, 3), (3, 5)])
def test_dual_frame_is_the_pseudo_inverse(shape: tuple[int, int]) -> None:
    W = writes(*shape)
    np.testing.assert_allclose(tms.dual_frame(W), np.linalg.pinv(W).T, atol=1e-10)


def test_dual_frame_is_what_a_linear_model_learns() -> None:
    runs = tms.train(
        tms.Experiment(
            model=tms.Autoencoder(n_features=4, n_hidden=2, tied=False, bias="none", activation="linear"),
            inputs=tms.OneHot(),
            loss=tms.MSE(reduction="sum"),
            optimizer=tms.Adam(lr=tms.Linear(start=1e-2)),
            steps=4000,
            dtype="float64",
        ),
        seeds=3,
    )
    np.testing.assert_allclose(tms.dual_frame(runs.W), runs.W_out, atol=1e-3)


def test_dual_frame_is_the_most_confident() -> None:
    """Brute force: the chance of being right, given an outcome, for many random outcomes."""
    W = writes(5, 3)
    S = W.T @ W
    u = writes(20_000, 3, seed=1)
    chance = (u @ W.T) ** 2 / np.einsum("kh,hl,kl->k", u, S, u)[:, None]
    dual = tms.dual_frame(W).values
    best = (dual * W).sum(1)
    assert (chance.max(0) <= best + EXACT).all()
    assert chance.max(0) == pytest.approx(best, rel=0.02)


@pytest.mark.parametrize("shape", [(2, 2), (5, 2), (6, 3)])
def test_pretty_good_is_complete_and_nearest(shape: tuple[int, int]) -> None:
    W = writes(*shape)
    R = tms.pretty_good(W).values
    np.testing.assert_allclose(R.T @ R, np.eye(shape[1]), atol=1e-10)
    for seed in range(200):
        other = np.linalg.qr(writes(*shape, seed=seed))[0]
        assert ((R - W) ** 2).sum() <= ((other - W) ** 2).sum() + EXACT


def test_directions_that_do_not_span() -> None:
    W = np.array([[1.0, 0.0, 0.0], [2.0, 1.0, 0.0]])
    np.testing.assert_allclose(tms.dual_frame(W).values @ W.T, np.eye(2), atol=1e-10)
    R = tms.pretty_good(W).values
    np.testing.assert_allclose(R.T @ R, np.diag([1.0, 1.0, 0.0]), atol=1e-10)
    assert not tms.dual_frame(np.zeros((2, 2))).values.any()


@pytest.mark.parametrize("prior", [0.5, 0.3, 0.05, 1.0])
@pytest.mark.parametrize("c", [0.0, 0.3, 0.8])
def test_minimum_error_of_two_states(c: float, prior: float) -> None:
    states = np.array([[1.0, 0.0], [c, np.sqrt(1 - c**2)]])
    found = tms.minimum_error(states * np.sqrt([[prior], [1 - prior]]))
    assert float(found.success) == pytest.approx(float(tms.helstrom(c, prior)), abs=1e-9)
    # By hand: the best projection, over all angles.
    turn = np.linspace(0, np.pi, 20_001)
    reads = np.stack([np.cos(turn), np.sin(turn)])
    right = prior * (states[0] @ reads) ** 2 + (1 - prior) * (1 - (states[1] @ reads) ** 2)
    assert float(tms.helstrom(c, prior)) == pytest.approx(right.max(), abs=1e-7)


@pytest.mark.parametrize("n", [3, 5, 8])
def test_minimum_error_on_the_circle(n: int) -> None:
    found = tms.minimum_error(circle(n))
    assert float(found.success) == pytest.approx(2 / n, abs=1e-12)
    assert float(found.bound) == pytest.approx(2 / n, abs=1e-12)


@pytest.mark.parametrize("shape", [(3, 2), (6, 2), (5, 3)])
def test_minimum_error_has_a_certificate(shape: tuple[int, int]) -> None:
    found = tms.minimum_error(writes(20, *shape), iterations=5000)
    assert found.success.dims == found.bound.dims
    R = found.W_out.values
    np.testing.assert_allclose(
        np.swapaxes(R, 1, 2) @ R, np.broadcast_to(np.eye(shape[1]), (20, shape[1], shape[1])), atol=1e-9
    )
    assert bool((found.bound >= found.success - EXACT).all())
    assert float((found.bound - found.success).max()) < 1e-3


def test_minimum_error_against_a_semidefinite_program() -> None:
    cp = pytest.importorskip("cvxpy")
    for W in writes(4, 5, 3):
        W = W / np.linalg.norm(W)
        E = [cp.Variable((3, 3), PSD=True) for _ in W]
        right = sum(cp.trace(e @ np.outer(w, w)) for e, w in zip(E, W, strict=True))
        problem = cp.Problem(cp.Maximize(right), [sum(E) == np.eye(3)])
        problem.solve(solver=cp.CLARABEL)
        found = tms.minimum_error(W, iterations=5000)
        assert float(found.success) == pytest.approx(problem.value, abs=1e-5)


@pytest.mark.parametrize("prior", [0.5, 0.4, 0.2])
@pytest.mark.parametrize("c", [0.1, 0.5, 0.9])
def test_unambiguous_by_brute_force(c: float, prior: float) -> None:
    """Both outcomes at a right angle to the other state; their weights on a grid."""
    s = np.sqrt(1 - c**2)
    u1, u2 = np.array([s, -c]), np.array([0.0, 1.0])
    best = 0.0
    for a in np.linspace(0, 1, 2001):
        # The most b for which I − a u1 u1ᵀ − b u2 u2ᵀ is positive.
        rest = np.eye(2) - a * np.outer(u1, u1)
        b = 0.0 if a == 1 else 1 / (u2 @ np.linalg.solve(rest, u2))
        best = max(best, prior * a * s**2 + (1 - prior) * max(b, 0.0) * s**2)
    assert float(tms.unambiguous(c, prior)) == pytest.approx(best, abs=1e-5)


def search(W: np.ndarray, i: int) -> float:
    """The least loss of output i by a general search; the cost is convex, so one start will do."""

    def cost(u: np.ndarray) -> float:
        heard = W @ u
        others = np.maximum(np.delete(heard, i), 0)
        return float((1 - heard[i]) ** 2 + others @ others)

    found = scipy.optimize.minimize(cost, W[i], tol=1e-14).x
    out = np.maximum(W @ found, 0)
    return float(((out - np.eye(len(W))[i]) ** 2).sum())


@pytest.mark.parametrize("shape", [(3, 2), (5, 2), (6, 3), (7, 3)])
def test_best_reads_by_search(shape: tuple[int, int]) -> None:
    for seed in range(5):
        W = writes(*shape, seed=seed)
        R = tms.best_reads(W).values
        out = np.maximum(R @ W.T, 0)
        loss = ((out - np.eye(len(W))) ** 2).sum(1)
        assert loss == pytest.approx([search(W, i) for i in range(len(W))], abs=1e-6)
        # The reads are those of maximum confidence among the features heard, and lose what that lacks.
        np.testing.assert_allclose(out @ W, W, atol=1e-7)
        np.testing.assert_allclose(loss, 1 - (R * W).sum(1), atol=1e-8)


def test_best_reads_take_the_shortest_and_bear_zeros() -> None:
    W = np.array([[1.0, 0.0], [-2.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(tms.best_reads(W), [[1.0, 0.0], [-0.5, 0.0], [0.0, 0.0]], atol=EXACT)
    many = tms.best_reads(xr.DataArray(writes(2, 4, 2), dims=["set", "feature", "hidden"]))
    np.testing.assert_allclose(many[1], tms.best_reads(writes(2, 4, 2)[1]), atol=EXACT)


@pytest.mark.parametrize("shape", [(3, 3), (5, 2), (7, 3)])
def test_naimark(shape: tuple[int, int]) -> None:
    R = tms.pretty_good(writes(*shape)).values
    basis = tms.naimark(R).values
    n = shape[0]
    assert basis.shape == (n, n)
    np.testing.assert_allclose(basis @ basis.T, np.eye(n), atol=EXACT)
    np.testing.assert_allclose(basis[:, : shape[1]], R, atol=EXACT)


def test_tight_distance() -> None:
    assert float(tms.tight_distance(circle(5))) == pytest.approx(0, abs=EXACT)
    assert float(tms.tight_distance(3 * circle(3))) == pytest.approx(0, abs=EXACT)
    assert float(tms.tight_distance([[2.0, 0.0]])) == pytest.approx(np.sqrt(0.5))
    assert float(tms.tight_distance(np.zeros((2, 2)))) == 0
    assert tms.tight_distance(writes(3, 5, 2)).shape == (3,)


def test_only_the_dual_follows_the_coordinates() -> None:
    W, A = writes(5, 3), writes(3, 3, seed=4)
    np.testing.assert_allclose(
        tms.dual_frame(W @ A.T), tms.dual_frame(W).values @ np.linalg.inv(A), atol=1e-9
    )
    assert abs(tms.pretty_good(W @ A.T) - tms.pretty_good(W).values @ np.linalg.inv(A)).max() > 0.1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tms.dual_frame([1.0, 2.0]), "W must be"),
        (lambda: tms.dual_frame([[np.nan, 1.0]]), "W must be finite numbers"),
        (lambda: tms.pretty_good([[np.inf, 1.0]]), "W must be finite numbers"),
        (lambda: tms.minimum_error([[0.0, 0.0]]), "W must be directions of which some are not zero"),
        (lambda: tms.minimum_error([[1.0, 0.0]], iterations=0), "iterations must be"),
        (lambda: tms.best_reads([[np.nan, 1.0]]), "W must be finite numbers"),
        (lambda: tms.naimark([[1.0], [1.0]]), "R must be the directions of a complete measurement"),
        (lambda: tms.naimark(np.ones((2, 3, 1))), "R must be one model"),
        (lambda: tms.tight_distance([[np.nan]]), "W must be finite numbers"),
        (lambda: tms.helstrom(1.2), "overlap must be"),
        (lambda: tms.helstrom(0.2, prior=-1), "prior must be"),
        (lambda: tms.unambiguous("half"), "overlap must be"),
    ],
)
def test_wrong_input(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
