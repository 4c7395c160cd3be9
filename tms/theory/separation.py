"""Untied models without bias: what can be told apart, explicit solutions, and the distance from tied ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from tms import _check
from tms._check import fail
from tms.geometry import _weights, gram

# A margin below this is rounding: directions that lie in the cone of the others give about 1e-16.
_ROUNDING = 1e-9


def separation(W: Any) -> xr.Dataset:
    """How far each write direction is from the cone of all others, and the direction to read it along.

    For one-hot inputs, no bias and a ReLU at the end the loss can be zero if and only if there is a read
    direction R_i for every i with R_i · W_i = 1 and R_i · W_j ≤ 0 for all j ≠ i. By Farkas' lemma that is so
    if and only if no W_i lies in the closed convex cone of the others. Let r be what is left of the unit
    vector Ŵ_i after projecting it onto that cone. Then (Moreau, 1962) r · W_j ≤ 0 for all j ≠ i and
    r · Ŵ_i = ‖r‖², so that R_i = r / (‖r‖² ‖W_i‖) is such a direction, and it is the shortest one.

    Parameters
    ----------
    W
        Write directions: a DataArray with dimensions "feature" and "hidden", or an array
        [..., feature, hidden].

    Returns
    -------
    xarray.Dataset
        ``margin`` [..., feature], ‖r‖ between 0 and 1: the sine of the angle between W_i and the cone, where
        that is acute; 0 for a zero vector. ``W_out`` [..., feature, hidden], the shortest read directions
        without loss; NaN where the margin is 0.

    Raises
    ------
    ValueError
        If the array has no such dimensions, or numbers in it are not finite.

    Examples
    --------
    >>> import tms
    >>> cross = tms.separation([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> cross.margin.values
    array([1., 1., 1., 1.])
    >>> cross.W_out.values[1]
    array([0. , 0.5])
    """
    from scipy.optimize import nnls  # scipy takes a moment to load, and few need it

    write = _weights("W", W, finite=True)
    values = write.values
    n, m = values.shape[-2:]
    margins, reads = np.zeros(values.shape[:-1]), np.full(values.shape, np.nan)
    for model in np.ndindex(values.shape[:-2]):
        lengths = np.linalg.norm(values[model], axis=1)
        unit = values[model] / np.where(lengths > 0, lengths, 1.0)[:, None]
        for i in np.flatnonzero(lengths):
            others = np.delete(unit, i, axis=0).T
            left = unit[i] - (others @ nnls(others, unit[i])[0] if n > 1 else np.zeros(m))
            size = float(np.linalg.norm(left))
            if size > _ROUNDING:
                margins[(*model, i)] = min(size, 1.0)
                reads[(*model, i)] = left / (size**2 * lengths[i])
    return xr.Dataset(
        {"margin": write.isel(hidden=0, drop=True).copy(data=margins), "W_out": write.copy(data=reads)}
    )


def ladder(n_features: int, ratio: float) -> xr.Dataset:
    """An explicit untied model of n features in the plane, whose loss falls to 0 as its vectors grow apart.

    Feature j (counted from 0) is written at the angle jα with α = π / (n − 2), each one `ratio` times as long
    as the one before, and read at a right angle to the feature after it. Then R_i · W_j = 0 for j = i + 1, it
    is negative for j > i + 1, and what comes from the shorter vectors before i is at most of the order of
    1 / ratio.

    Parameters
    ----------
    n_features
        n, at least 4.
    ratio
        How much longer each vector is than the one before; more than 0.

    Returns
    -------
    xarray.Dataset
        ``W`` and ``W_out`` [feature, hidden], with the read directions as long as makes the loss least. Each
        is scaled so that the middle of the ladder has length 1.

    Raises
    ------
    ValueError
        If there are fewer than 4 features, or the ratio is not positive.

    Examples
    --------
    >>> import tms
    >>> steps = tms.ladder(5, 10.0)
    >>> response = tms.gram(steps.W, steps.W_out).values[1]  # what reaches output 1
    >>> response.round(1).tolist()
    [0.1, 1.0, 0.0, -99.0, -990.1]
    """
    n, s = _ladder(n_features, ratio)
    step = np.pi / (n - 2)
    j = np.arange(n)
    middle = (n - 1) / 2
    gain = 1 / (1 + _ladder_interference(n, s))
    lengths = s ** (j - middle)
    W = lengths[:, None] * np.stack([np.cos(j * step), np.sin(j * step)], axis=1)
    read = np.stack([np.sin((j + 1) * step), -np.cos((j + 1) * step)], axis=1)
    W_out = (gain / (lengths * np.sin(step)))[:, None] * read
    dims = ("feature", "hidden")
    return xr.Dataset({"W": (dims, W), "W_out": (dims, W_out)})


def ladder_loss(n_features: int, ratio: Any) -> Any:
    """Loss of `ladder` for one-hot inputs, reduction "sum", in closed form.

    Output i receives the interference t_i = Σ_{k=1}^{i} (sin((k+1)α)₊ / sin α)² ratio^{−2k}, where α =
    π / (n − 2), in units of its own response. With the best gain, 1 / (1 + t_i), it loses t_i / (1 + t_i).
    For n = 5 the sum over i is 4 / (1 + ratio²); for n = 4 it is 0.

    Parameters
    ----------
    n_features
        n, at least 4.
    ratio
        A positive number, or an array of them.

    Returns
    -------
    numpy.ndarray
        Of the shape of `ratio`.

    Raises
    ------
    ValueError
        If there are fewer than 4 features, or a ratio is not positive.

    Examples
    --------
    >>> import tms
    >>> round(float(tms.ladder_loss(5, 3.0)), 12)
    0.4
    """
    n, s = _ladder(n_features, ratio)
    t = _ladder_interference(n, s)
    loss: np.ndarray = (t / (1 + t)).sum(-1)
    return loss


def _ladder(n_features: int, ratio: Any) -> tuple[int, np.ndarray]:
    n = _check.integer(4)("n_features", n_features)
    allowed = "a finite number, 0 < number"
    s = _check.floats("ratio", ratio, allowed)
    if not (np.isfinite(s) & (s > 0)).all():
        raise fail("ratio", ratio, allowed)
    return n, s


def _ladder_interference(n: int, s: np.ndarray) -> np.ndarray:
    """t_i [..., feature]: squares of what reaches an output from the features before it."""
    step, k = np.pi / (n - 2), np.arange(1, n)
    response = np.sin((k + 1) * step) / np.sin(step)
    # Of sin(π) rounding leaves 1e-16, which is not interference.
    squares = np.where(response > 1e-12, response, 0.0) ** 2 * np.asarray(s)[..., None] ** (-2.0 * k)
    return np.concatenate([np.zeros((*s.shape, 1)), np.cumsum(squares, axis=-1)], axis=-1)


def light_cone(n_features: int) -> xr.Dataset:
    """An untied model of any number of features in three dimensions, without bias and without loss.

    The features are written on a circle in a plane that misses the origin, W_j = (cos θ_j, sin θ_j, √c)/√a,
    and read with the last coordinate turned round, R_i = (cos θ_i, sin θ_i, −√c)/√a, with θ_j = 2πj/n, c =
    cos(2π/n) and a = 1 − c. So R_i · W_j = (cos(θ_i − θ_j) − c) / (1 − c), which is 1 for i = j, 0 for
    neighbours and negative for all others: the third dimension does what an end bias would do. The form
    x² + y² − z² has no square root among real matrices, so that no tied model can do the same.

    Parameters
    ----------
    n_features
        n, at least 4: fewer have c < 0, and three dimensions to themselves.

    Returns
    -------
    xarray.Dataset
        ``W`` and ``W_out`` [feature, hidden].

    Raises
    ------
    ValueError
        If there are fewer than 4 features.

    Examples
    --------
    >>> import tms
    >>> cone = tms.light_cone(6)
    >>> abs(tms.gram(cone.W, cone.W_out).clip(min=0).values.round(12)[0])
    array([1., 0., 0., 0., 0., 0.])
    """
    n = _check.integer(4)("n_features", n_features)
    turn = 2 * np.pi * np.arange(n) / n
    c = max(float(np.cos(2 * np.pi / n)), 0.0)
    W = np.stack([np.cos(turn), np.sin(turn), np.full(n, c**0.5)], axis=1) / (1 - c) ** 0.5
    dims = ("feature", "hidden")
    return xr.Dataset({"W": (dims, W), "W_out": (dims, W * [1.0, 1.0, -1.0])})


def tied_distance(W: Any, W_out: Any) -> xr.DataArray:
    """How far an untied model's map is from that of any tied model with as many dimensions, between 0 and 1.

    What an untied model does depends on G_ij = R_i · W_j alone, which stays the same if all W_j are
    multiplied by an invertible matrix and all R_i by the inverse of its transpose. A tied model has the same
    G, for suitable directions, if and only if G is symmetric and has no negative eigenvalue. The nearest such
    matrix in the Frobenius norm is the part of (G + Gᵀ)/2 with positive eigenvalues (Higham, 1988), of which
    there are at most m.

    Parameters
    ----------
    W, W_out
        Write and read directions, as for `gram`.

    Returns
    -------
    xarray.DataArray
        [...]: ‖G − nearest‖ / ‖G‖, one number a model; 0 where G is 0.

    Raises
    ------
    ValueError
        If an array has no such dimensions, or numbers in it are not finite.

    Examples
    --------
    >>> import tms
    >>> float(tms.tied_distance([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]))
    0.0
    >>> round(float(tms.tied_distance([[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]])), 3)  # swapped
    0.707
    """
    G = gram(W, W_out)
    values = G.values
    if not np.isfinite(values).all():
        raise fail("W, W_out", "NaN or infinity in them", "finite numbers")
    turned = np.swapaxes(values, -1, -2)
    eigenvalues = np.linalg.eigvalsh((values + turned) / 2)
    # The antisymmetric part and the negative eigenvalues are at right angles to what is kept.
    lost = ((values - turned) ** 2).sum((-1, -2)) / 4 + (np.minimum(eigenvalues, 0.0) ** 2).sum(-1)
    whole = (values**2).sum((-1, -2))
    share = np.sqrt(lost / np.where(whole > 0, whole, 1.0))
    at = G.isel(feature=0, other_feature=0, drop=True)
    return at.copy(data=share).rename("tied_distance")
