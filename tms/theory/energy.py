"""The tied ReLU model without bias on one-hot inputs: its loss as the energy of a measure on the sphere."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import xarray as xr

from tms import _check
from tms._check import fail
from tms.geometry import Weights, gram

# How far below zero a certificate may dip; its bound is lowered by as much. Above what the grid misses.
_SLACK = Fraction(2, 10**7)
_GRID = 4001


def direction_energy(W: Weights) -> xr.DataArray:
    """Energy of the squared norms on their directions: Σ_ij ReLU(W_i · W_j)² / (Σ_i ‖W_i‖²)².

    On one-hot inputs and without bias, a tied ReLU model has the loss (reduction "sum")

        L = n − 2M + M² I,   M = Σ_i ‖W_i‖²,

    and I, this number, depends only on where the mass M lies on the sphere, and not on which features share
    a direction. Over the scale of all weights L is least at M = 1 / I, where it is n − 1 / I. (Expand the
    squares; the book's chapter on tied models has the proof.)

    Parameters
    ----------
    W
        Directions, as for `gram`.

    Returns
    -------
    xarray.DataArray
        One number a model, between 0 and 1; NaN where all weights are zero.

    Raises
    ------
    ValueError
        If the array has no such dimensions.

    Examples
    --------
    >>> import tms
    >>> float(tms.direction_energy([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]))  # a square
    0.25
    """
    response = gram(W)
    own = xr.DataArray(np.eye(response.sizes["feature"]), dims=["feature", "other_feature"])
    mass = (response * own).sum(["feature", "other_feature"], skipna=False)
    # Divided before it is squared, so that small weights do not underflow.
    scaled = response / mass.where(mass > 0)
    energy: xr.DataArray = (scaled.clip(min=0.0) ** 2).sum(["feature", "other_feature"], skipna=False)
    return energy.rename("direction_energy")


def polygon_energy(n_directions: Any) -> Any:
    """Energy of d equal masses on the corners of a regular d-gon: `direction_energy` in closed form.

    The sum is I_d = (1/d) Σ_r ReLU(cos 2πr/d)². It is 1 for d = 1, ½ for d = 2, ¼ for every even d from 4 on,
    and for odd d ≥ 3

        I_d = ¼ (1 ∓ (sec(π/d) − 1) / d),   − for d = 4k + 1, + for d = 4k + 3

    (from the Dirichlet kernel Σ_{r=−k}^{k} cos(4πr/d), with the 2k + 1 corners that are nearer than a right
    angle). It is least at d = 5: I_5 = (7 − √5) / 20.

    Parameters
    ----------
    n_directions
        d, a whole number from 1 on, or an array of them.

    Returns
    -------
    numpy.ndarray
        One number for each d.

    Raises
    ------
    ValueError
        If d is not a positive whole number.

    Examples
    --------
    >>> import tms
    >>> tms.polygon_energy([1, 2, 3, 4, 5]).round(4).tolist()
    [1.0, 0.5, 0.3333, 0.25, 0.2382]
    """
    allowed = "whole numbers with 1 <= number"
    d = _check.floats("n_directions", n_directions, allowed, kinds="iu")
    if d.size == 0 or not (d >= 1).all():
        raise fail("n_directions", n_directions, allowed)
    odd = np.maximum(d, 3)  # the formula is not used below 3, where it would divide by zero
    bend = (1 / np.cos(np.pi / odd) - 1) / odd
    result = np.where(d % 4 == 1, (1 - bend) / 4, np.where(d % 4 == 3, (1 + bend) / 4, 0.25))
    return np.where(d <= 2, 1 / d, result)


def energy_bound(n_hidden: int, *, degree: int = 8) -> float:
    """A number that no `direction_energy` in m dimensions is below, for any number of features: proven.

    Linear programming (Delsarte, Goethals & Seidel, 1977; for energies Yudin, 1993): let P_k be the
    Gegenbauer polynomials of the sphere in m dimensions, P_k(1) = 1. If h(t) = Σ_k h_k P_k(t) ≤ ReLU(t)² on
    −1 ≤ t ≤ 1, and h_k ≥ 0 for k ≥ 1, then every I is at least h_0, since each P_k is positive definite. The
    best h is sought by a linear program on a grid, and rounded to rational numbers. That it lies below is
    then proved for all t: both pieces of ReLU(t)² − h(t) are written in Bernstein's basis, exactly, and
    halved until no coefficient is below −2 · 10⁻⁷. The bound is h_0 less that.

    Parameters
    ----------
    n_hidden
        m, at least 2.
    degree
        Of h, 4 to 16.

    Returns
    -------
    float
        The bound on I. No model has a loss (reduction "sum") below n − 1 / bound.

    Raises
    ------
    ValueError
        If a parameter is outside its range, or no certificate is found.

    Examples
    --------
    >>> import tms
    >>> bound = tms.energy_bound(2)
    >>> bool(bound < tms.polygon_energy(5) < bound + 1e-6)  # no arrangement is better than the pentagon
    True
    """
    from scipy.optimize import linprog  # takes a moment to load, and few need it

    m = _check.integer(2)("n_hidden", n_hidden)
    top = _check.integer(4, 16)("degree", degree)
    basis = _gegenbauer(m, top)
    t = np.cos(np.linspace(0, np.pi, _GRID))
    values = np.stack([np.polynomial.polynomial.polyval(t, [float(c) for c in p]) for p in basis], axis=1)
    found = linprog(
        -np.eye(top + 1)[0],
        A_ub=values,
        b_ub=np.maximum(t, 0) ** 2,
        bounds=[(None, None)] + [(0, None)] * top,
        method="highs",
    )
    if found.x is None:
        raise fail("n_hidden", m, "of a size for which the linear program is solved")
    h = [Fraction(round(float(x) * 10**10), 10**10) for x in found.x]
    total = [
        sum((c * p[i] for c, p in zip(h, basis, strict=True) if i < len(p)), Fraction(0))
        for i in range(top + 1)
    ]
    below = [-c for c in total]  # 0 − h(t), for t ≤ 0
    above = [c + (i == 2) for i, c in enumerate(below)]  # t² − h(t), for t ≥ 0
    mirrored = [c * (-1) ** i for i, c in enumerate(below)]  # t → −t
    if not (_at_least(mirrored, -_SLACK) and _at_least(above, -_SLACK) and min(h[1:]) >= 0):
        raise fail("degree", top, "one for which a certificate is found")
    return float(np.nextafter(float(h[0] - _SLACK), -1.0))


def _gegenbauer(m: int, degree: int) -> list[list[Fraction]]:
    """Coefficients of P_0 … P_degree, lowest power first: (k+m−2) P_{k+1} = (2k+m−2) t P_k − k P_{k−1}."""
    basis = [[Fraction(1)], [Fraction(0), Fraction(1)]]
    for k in range(1, degree):
        rising = [Fraction(0)] + [(2 * k + m - 2) * c for c in basis[k]]
        lower = [k * c for c in basis[k - 1]] + [Fraction(0), Fraction(0)]
        basis.append([(a - b) / (k + m - 2) for a, b in zip(rising, lower, strict=True)])
    return basis


def _at_least(polynomial: list[Fraction], low: Fraction, depth: int = 40) -> bool:
    """Whether a polynomial is at least `low` on 0 … 1: proven by Bernstein coefficients, which bound it."""
    n = len(polynomial) - 1
    start = [
        sum((Fraction(math.comb(i, j), math.comb(n, j)) * polynomial[j] for j in range(i + 1)), Fraction(0))
        - low
        for i in range(n + 1)
    ]
    # In whole numbers over one denominator; halving then doubles, and only the sign is asked for.
    unit = int(np.lcm.reduce([c.denominator for c in start], dtype=object))
    waiting = [([int(c * unit) for c in start], 0)]
    while waiting:
        row, level = waiting.pop()
        if min(row) >= 0:
            continue
        if level == depth or row[0] < 0 or row[-1] < 0:  # the ends are values of the polynomial
            return False
        left, right = [], []
        for step in range(n + 1):  # de Casteljau without dividing by two
            left.append(row[0] << (n - step))
            right.append(row[-1] << (n - step))
            row = [a + b for a, b in itertools.pairwise(row)]
        waiting += [(left, level + 1), (right[::-1], level + 1)]
    return True
