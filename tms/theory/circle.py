"""One-hot inputs, tied ReLU model, end bias: the lossless circle, and polygons short of it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import xarray as xr

from tms import _check
from tms._check import fail
from tms.geometry import gram


def circle_squared_norm(n_features: int) -> float:
    """Least squared norm at which n features on a circle are reproduced without loss: 1 / (1 − cos(2π/n)).

    The tied model x̂ = ReLU(WᵀW x + b) gives back every one-hot input exactly if and only if
    b_i = 1 − ‖W_i‖² and W_i · (W_i − W_j) ≥ 1 for all j ≠ i. On a circle of squared radius s that reads
    s (1 − cos θ) ≥ 1 for the angle θ between neighbours, and θ can be at most 2π/n for all of them. The
    chapter on the end bias proves more: no lossless arrangement in the plane, of whatever shape, keeps all
    its directions shorter, and only the regular polygon keeps them as short.

    Parameters
    ----------
    n_features
        n, at least 2.

    Returns
    -------
    float
        s. The bias that goes with it is 1 − s.

    Raises
    ------
    ValueError
        If n_features is no whole number, or less than 2.

    Examples
    --------
    >>> import tms
    >>> round(tms.circle_squared_norm(6), 12)
    2.0
    """
    n = _check.integer(2, 65_536)("n_features", n_features)
    return 1.0 / (2.0 * math.sin(math.pi / n) ** 2)


def circle_solution(n_features: int, *, squared_norm: float | None = None) -> xr.Dataset:
    """The regular n-gon with the end bias that reproduces all one-hot inputs without loss.

    W_i = √s (cos 2πi/n, sin 2πi/n) and b_i = 1 − s, so that output i is 1 + s (cos θ_ij − 1), at most 0 for
    every other input j. See `circle_squared_norm` for the source.

    Parameters
    ----------
    n_features
        n, at least 2.
    squared_norm
        s, at least `circle_squared_norm`, which is the default.

    Returns
    -------
    xarray.Dataset
        ``W`` [feature, hidden], with two hidden dimensions, and ``b`` [feature]: as a selection from what
        `train` returns.

    Raises
    ------
    ValueError
        If n_features is not as described, or squared_norm is so small that neighbours interfere.

    Examples
    --------
    >>> import tms
    >>> solution = tms.circle_solution(6)
    >>> round(float(solution.b[0]), 12)
    -1.0
    """
    least = circle_squared_norm(n_features)
    s = least
    if squared_norm is not None:
        s = float(_check.number(0.0)("squared_norm", squared_norm))
        if s < least * (1 - 1e-12):
            raise fail("squared_norm", squared_norm, f"at least 1 / (1 − cos(2π/n)) = {least:.6g}")
    turn = 2 * np.pi * np.arange(n_features) / n_features
    W = math.sqrt(s) * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return xr.Dataset({"W": (("feature", "hidden"), W), "b": ("feature", np.full(n_features, 1.0 - s))})


def lossless_margin(runs: xr.Dataset) -> xr.DataArray:
    """How far the directions are from, or inside, the lossless set: min over i ≠ j of W_i · (W_i − W_j) − 1.

    Where it is not negative, and only there, end biases exist with which a tied ReLU model reproduces all
    one-hot inputs without loss; they are b_i = 1 − ‖W_i‖². It depends on the directions alone and holds in
    any number of hidden dimensions. (Output i is W_i · W_j + b_i for input j; it must be 1 for j = i and at
    most 0 otherwise.)

    Parameters
    ----------
    runs
        What `train` returned, or a selection of it; of a tied model with at least two features.

    Returns
    -------
    xarray.DataArray
        One number a model.

    Raises
    ------
    ValueError
        If there are no directions, or only one feature.

    Examples
    --------
    >>> import tms
    >>> solution = tms.circle_solution(10, squared_norm=7.0)
    >>> round(float(tms.lossless_margin(solution)), 6)  # 7 (1 − cos 36°) − 1
    0.336881
    """
    _check.runs(runs, "W")
    n = runs.sizes["feature"]
    if n < 2:
        raise fail("runs", f"{n} feature", "of at least two features")
    if "W_out" in runs:
        raise fail("runs", "an untied model", "of a tied model")
    response = gram(runs.W)
    own = xr.DataArray(np.eye(n, dtype=bool), dims=["feature", "other_feature"])
    norm = response.where(own, 0.0).sum("other_feature", skipna=False)
    gap = (norm - response - 1.0).where(~own, np.inf)
    return gap.min(["feature", "other_feature"], skipna=False).rename("lossless_margin")


class PolygonStability(NamedTuple):
    """Second derivatives at a polygon with the other features at zero. `polygon_stability` makes these.

    Parameters
    ----------
    block
        Least second derivative of the loss over unit moves of the directions of live unlearnt features, all
        else held. Positive: no such feature can start by itself.
    escape_rate
        Exponential rate, per unit of time of gradient flow on the summed loss, at which the point is left
        when all parameters may move.

    Examples
    --------
    >>> import tms
    >>> found = tms.polygon_stability(10, 6, squared_norm=2.6)
    >>> found.block > 0, found.escape_rate > 0  # none can start alone, and yet it is left
    (True, True)
    """

    block: float
    escape_rate: float


def polygon_stability(
    n_features: int, n_learnt: int, *, squared_norm: float | None = None, n_live: int | None = None
) -> PolygonStability:
    """Can another feature start, once m features form a lossless polygon and the rest are at zero?

    The point: m features at the corners of a regular polygon of squared radius s, with bias 1 − s; k live
    features with W_u = 0 and b_u = 1/n, the best constant; the n − m − k others at zero with a negative bias,
    dead. The loss is the squared error summed over the n one-hot inputs. Put W_u = ε_u for live u, and let
    W_j move by η_j and b_j by β_j for the others; with E = Σ_u ε_u and H = Σ_j η_j, to second order

        L − L₀ = Σ_u (ms/2 − 2) ‖ε_u‖² + (2/n) ‖E‖² + (2/n) E · H + Σ_j (2 W_j · η_j + β_j)² + n Σ_u β_u²,

    the last two sums over learnt and live features. The first two terms are the block of the live features:
    its least second derivative is ms − 4 for k ≥ 2 and ms − 4 + 4/n for k = 1. The third couples E to H,
    which can be moved at no cost, by β_j = −2 W_j · η_j, if s is above its least value. So the whole form is
    indefinite. Gradient flow leaves at the rate λ > 0 with

        λ² + 2Aλ = (4k/n²) (d + (m/2) (1 + (λ + 2) / (λ + 2 + 8s))),
        A = ms/2 − 2 + 2k/n,    d = n − m − k,

    where the last fraction is the share of radial moves, which have to drag a bias along. At the least s
    itself there is a kink; the rate is an upper bound there. At s = 1, possible for m ≤ 4, the
    learnt outputs have no bias and open for the live inputs; ``block`` leaves out what that adds, Σ_uj
    ReLU(W_j · ε_u)², which is never negative.

    Parameters
    ----------
    n_features, n_learnt
        n, and m with 3 ≤ m < n.
    squared_norm
        s, at least 1 and at least `circle_squared_norm` of m; the least such value by default.
    n_live
        k, from 1 to n − m; all of them by default.

    Returns
    -------
    PolygonStability
        ``block`` and ``escape_rate``.

    Raises
    ------
    ValueError
        If a number is outside the ranges named.

    Examples
    --------
    >>> import tms
    >>> tms.polygon_stability(10, 6).block  # six of ten features, s = 2
    8.0
    """
    n = _check.integer(4, 65_536)("n_features", n_features)
    m = _check.integer(3, n - 1)("n_learnt", n_learnt)
    k = n - m if n_live is None else _check.integer(1, n - m)("n_live", n_live)
    least = max(1.0, circle_squared_norm(m))
    s = least if squared_norm is None else float(_check.number(0.0)("squared_norm", squared_norm))
    if s < least * (1 - 1e-12):
        raise fail("squared_norm", squared_norm, f"at least {least:.6g}, or the point is not stationary")
    alone = m * s / 2 - 2
    together = alone + 2 * k / n
    block = 2 * (together if k == 1 else alone)

    from scipy.optimize import brentq  # scipy takes a moment to load, and few need it

    def excess(rate: float) -> float:
        movable = n - m - k + m / 2 * (1 + (rate + 2) / (rate + 2 + 8 * s))
        value: float = rate**2 + 2 * together * rate - 4 * k / n**2 * movable
        return value

    highest = math.sqrt(together**2 + 4 * k * (n - k) / n**2) - together  # if all could move freely
    rate = float(brentq(excess, 0.0, highest, xtol=1e-15))
    return PolygonStability(round(block, 12), rate)
