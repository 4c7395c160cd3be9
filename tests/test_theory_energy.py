"""The energy of directions: against the loss itself, the plain sums, and linear programs solved apart."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import scipy.special
import sympy

import tms
from tests.made import made
from tests.wrong import rejects
from tms.theory.energy import _at_least, _gegenbauer

EXACT = 1e-12  # float64, relative


def loss(W: np.ndarray) -> float:
    """Straight from the definition, input by input."""
    n = len(W)
    return float(((np.eye(n) - np.maximum(W @ W.T, 0)) ** 2).sum())


@pytest.mark.parametrize("m", [1, 2, 3, 7])
@pytest.mark.parametrize("size", [1e-3, 0.5, 3.0])
def test_loss_is_a_function_of_mass_and_energy(m: int, size: float) -> None:
    """L = n − 2M + M² I, and n − 1/I at the best scale."""
    W = size * np.random.default_rng(m).normal(size=(9, m))
    mass, energy = (W**2).sum(), float(tms.direction_energy(W))
    assert 9 - 2 * mass + mass**2 * energy == pytest.approx(loss(W), rel=EXACT)
    best = W / np.sqrt(mass * energy)
    assert loss(best) == pytest.approx(9 - 1 / energy, rel=EXACT)
    assert min(loss(0.99 * best), loss(1.01 * best)) > loss(best)


def test_energy_knows_neither_scale_nor_owners() -> None:
    """Squared norm may be handed from one feature to another of its direction, at any size of the weights."""
    rng = np.random.default_rng(0)
    unit = rng.normal(size=(4, 3))
    shares = rng.dirichlet(np.ones(3), size=4)
    split = (unit[:, None] * np.sqrt(shares)[..., None]).reshape(12, 3)
    whole = float(tms.direction_energy(unit))
    assert float(tms.direction_energy(split)) == pytest.approx(whole, rel=EXACT)
    for scale in (1e-150, 1e-3, 1e60):
        assert float(tms.direction_energy(scale * unit)) == pytest.approx(whole, rel=EXACT)
    assert np.isnan(float(tms.direction_energy(np.zeros((2, 2)))))


def test_energy_of_runs_by_name() -> None:
    """One number for every model of a stack."""
    W = np.random.default_rng(1).normal(size=(5, 2))
    runs = made(W=W)
    assert float(tms.direction_energy(runs.W)) == pytest.approx(float(tms.direction_energy(W)), rel=EXACT)


def test_polygons_against_their_sums() -> None:
    """The closed form is the plain sum, for the vectors themselves too."""
    d = np.arange(1, 61)
    sums = [np.mean(np.maximum(np.cos(2 * np.pi * np.arange(k) / k), 0) ** 2) for k in d]
    assert tms.polygon_energy(d) == pytest.approx(sums, rel=EXACT)
    for k in (1, 2, 3, 5, 8):
        turn = 2 * np.pi * np.arange(k) / k
        W = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        assert float(tms.direction_energy(W)) == pytest.approx(float(tms.polygon_energy(k)), rel=EXACT)
    assert d[np.argmin(tms.polygon_energy(d))] == 5
    assert float(tms.polygon_energy(5)) == pytest.approx(float((7 - sympy.sqrt(5)) / 20), rel=EXACT)


@pytest.mark.parametrize("m", [2, 3, 4, 5])
def test_bound_holds_for_everything_tried(m: int) -> None:
    """Random arrangements and the best that are known lie above; the rounding has cost next to nothing."""
    bound = tms.energy_bound(m)
    rng = np.random.default_rng(m)
    W = rng.normal(size=(2000, 12, m)) * rng.random((2000, 12, 1))
    assert float(tms.direction_energy(W).min()) > bound
    best = {2: (7 - 5**0.5) / 20, 3: 7 / 45, 4: 13 / 114, 5: 7 / 80}[m]
    assert bound < best
    assert bound > {2: best - 1e-6, 3: 0.1533, 4: 0.1113, 5: 0.0869}[m]


def test_bound_of_the_uniform_measure_alone() -> None:
    """The uniform measure has energy 1/(2m), and no bound is above it."""
    for m in (2, 3, 6, 8):
        assert tms.energy_bound(m, degree=4) < 1 / (2 * m)


@pytest.mark.parametrize("m", [2, 3, 5, 8])
def test_gegenbauer_polynomials(m: int) -> None:
    """Against scipy's, normalised at 1."""
    t = np.linspace(-1, 1, 7)
    for k, p in enumerate(_gegenbauer(m, 9)):
        ours = np.polynomial.polynomial.polyval(t, [float(c) for c in p])
        if m == 2:
            theirs = np.cos(k * np.arccos(t))
        else:
            theirs = scipy.special.eval_gegenbauer(k, m / 2 - 1, t)
            theirs = theirs / scipy.special.eval_gegenbauer(k, m / 2 - 1, 1.0)
        assert ours == pytest.approx(theirs, abs=1e-12)


def test_proof_of_a_sign() -> None:
    """(t − 1/3)² + c, from below: proven where it is so, and not where it is not."""
    square = [Fraction(1, 9), Fraction(-2, 3), Fraction(1)]
    assert _at_least(square, Fraction(-1, 10**9))
    assert not _at_least([square[0] - Fraction(1, 10**6), *square[1:]], Fraction(0))
    assert not _at_least([Fraction(-1), Fraction(1)], Fraction(-1, 2))


def test_wrong_parameters() -> None:
    """Named, with what is allowed."""
    rejects(lambda: tms.polygon_energy(0), "n_directions", 0, "whole numbers")
    rejects(lambda: tms.polygon_energy(2.5), "n_directions", 2.5, "whole numbers")
    rejects(lambda: tms.polygon_energy([]), "n_directions", [], "whole numbers")
    rejects(lambda: tms.energy_bound(1), "n_hidden", 1, "2 <= number")
    rejects(lambda: tms.energy_bound(3, degree=2), "degree", 2, "4 <= number")
    rejects(lambda: tms.direction_energy([1.0, 2.0]), "W")
