"""State discrimination: the measurements of quantum theory as read directions, beside those of a model.

Write directions W_i stand for pure states ψ_i with prior probabilities p_i through W_i = √p_i ψ_i, up to a
common factor: directions of equal length are equally likely states. A measurement whose operators are
R_i R_iᵀ is given by read directions R_i; it is complete if Σ_i R_i R_iᵀ is the identity.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from tms import _check
from tms._check import fail
from tms.geometry import _weights
from tms.theory.separation import separation

# Eigenvalues below this, relative to the largest, are rounding: such dimensions are not written to.
_RANK = 1e-10


def dual_frame(W: Any) -> xr.DataArray:
    """Read directions S⁺ W_i with S = Σ_j W_j W_jᵀ: the canonical dual frame, rows of the pseudo-inverse.

    They are the least-squares reader of one-hot inputs without an activation. For linearly independent states
    R_i · W_j = δ_ij, which is unambiguous discrimination; for any states they point where the measurement of
    maximum confidence does (Croke et al., 2006).

    Parameters
    ----------
    W
        Write directions: a DataArray with dimensions "feature" and "hidden", or an array
        [..., feature, hidden].

    Returns
    -------
    xarray.DataArray
        [..., feature, hidden], the read directions.

    Raises
    ------
    ValueError
        If the array has no such dimensions, or numbers in it are not finite.

    Examples
    --------
    >>> import tms
    >>> tms.dual_frame([[2.0, 1.0], [1.0, 1.0]]).values.round(12)
    array([[ 1., -1.],
           [-1.,  2.]])
    """
    write = _weights("W", W, finite=True)
    return write.copy(data=write.values @ _power(write.values, -1.0)).rename("W_out")


def pretty_good(W: Any) -> xr.DataArray:
    """Read directions S^(−1/2) W_i with S = Σ_j W_j W_jᵀ: the pretty-good measurement.

    It is complete on the dimensions that are written to. Of all complete measurements it is nearest to the
    write directions, Σ_i ‖R_i − W_i‖² being least (Eldar & Forney, 2001), and has the least squared error
    Σ_ij (δ_ij − R_i · W_j)².

    Parameters
    ----------
    W
        Write directions, as for `dual_frame`.

    Returns
    -------
    xarray.DataArray
        [..., feature, hidden], the read directions.

    Raises
    ------
    ValueError
        As for `dual_frame`.

    Examples
    --------
    >>> import tms
    >>> tms.pretty_good([[2.0, 0.0], [0.0, 0.5]]).values.round(12)
    array([[1., 0.],
           [0., 1.]])
    """
    write = _weights("W", W, finite=True)
    return write.copy(data=write.values @ _power(write.values, -0.5)).rename("W_out")


def minimum_error(W: Any, *, iterations: int = 1000) -> xr.Dataset:
    """The measurement that names the state right most often, found by iteration, with a certificate.

    It maximises Σ_i (R_i · W_i)² / Σ_i ‖W_i‖² among all complete measurements. Each iteration takes the
    pretty-good measurement of the directions (R_i · W_i) W_i, which never lowers it. A pure state needs one
    read direction, and may get a zero one: it is never named.

    With Y = Σ_i (R_i · W_i) W_i R_iᵀ, made symmetric, tr Y + m max(0, μ) is an upper bound for every
    measurement, where μ is the largest eigenvalue of any W_i W_iᵀ − Y (Yuen, Kennedy & Lax, 1975).

    Parameters
    ----------
    W
        Write directions, as for `dual_frame`.
    iterations
        How many.

    Returns
    -------
    xarray.Dataset
        ``W_out`` [..., feature, hidden], the read directions; ``success`` [...], the probability of naming
        the state right; ``bound`` [...], what no measurement exceeds.

    Raises
    ------
    ValueError
        As for `dual_frame`; also if all directions of a model are zero, or `iterations` is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> import tms
    >>> found = tms.minimum_error([[1.0, 0.0], [np.cos(0.5), np.sin(0.5)]])
    >>> bool(np.isclose(found.success, tms.helstrom(np.cos(0.5))))
    True
    """
    count = _check.integer(1)("iterations", iterations)
    write = _weights("W", W, finite=True)
    values = write.values
    total = (values**2).sum((-1, -2))
    if not (total > 0).all():
        raise fail("W", "a model with all directions zero", "directions of which some are not zero")
    values = values / np.sqrt(total)[..., None, None]
    read = values @ _power(values, -0.5)
    for _ in range(count):
        weighted = (read * values).sum(-1, keepdims=True) * values
        read = weighted @ _power(weighted, -0.5)
    kept = (read * values).sum(-1)
    y = np.einsum("...f,...fh,...fk->...hk", kept, values, read)
    y = (y + np.swapaxes(y, -1, -2)) / 2
    outer = values[..., :, None] * values[..., None, :]
    above = np.linalg.eigvalsh(outer - y[..., None, :, :])[..., -1].max(-1)
    bound = np.trace(y, axis1=-2, axis2=-1) + values.shape[-1] * np.maximum(above, 0.0)
    one = write.isel(feature=0, hidden=0, drop=True)
    return xr.Dataset(
        {
            "W_out": write.copy(data=read),
            "success": one.copy(data=(kept**2).sum(-1)),
            "bound": one.copy(data=bound),
        }
    )


def best_reads(W: Any) -> xr.DataArray:
    """The read directions of least loss for given write directions: one-hot inputs, ReLU, no bias.

    Output i costs (1 − R_i · W_i)² + Σ_{j≠i} max(0, R_i · W_j)² wherever R_i · W_i ≥ 0, which is convex; with
    slack variables s_j ≥ 0 it is a non-negative least-squares problem, and solved exactly. Where output i
    can be without loss many directions do, and the shortest one is returned (see `separation`).

    Parameters
    ----------
    W
        Write directions, as for `dual_frame`.

    Returns
    -------
    xarray.DataArray
        [..., feature, hidden], the read directions; zero for a feature that is not written.

    Raises
    ------
    ValueError
        As for `dual_frame`.

    Examples
    --------
    >>> import numpy as np
    >>> import tms
    >>> turn = 2 * np.pi * np.arange(5) / 5
    >>> pentagon = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    >>> reads = tms.best_reads(pentagon)  # along the write directions
    >>> bool(np.allclose(reads, pentagon / (1 + 2 * np.cos(turn[1]) ** 2)))
    True
    """
    from scipy.optimize import nnls  # scipy takes a moment to load, and few need it

    write = _weights("W", W, finite=True)
    lossless = separation(write).W_out.values
    reads = np.where(np.isfinite(lossless), lossless, 0.0)
    values = write.values
    n = values.shape[-2]
    for model in np.ndindex(values.shape[:-2]):
        lengths = np.linalg.norm(values[model], axis=1)
        scale = lengths.max() or 1.0
        rows = values[model] / scale
        for i in np.flatnonzero((lengths > 0) & np.isnan(lossless[model]).any(-1)):
            slack = np.delete(np.eye(n), i, axis=1)
            v = nnls(np.hstack([rows, -rows, slack]), np.eye(n)[i])[0]
            m = rows.shape[1]
            reads[(*model, i)] = (v[:m] - v[m : 2 * m]) / scale
    return write.copy(data=reads).rename("W_out")


def naimark(R: Any) -> xr.DataArray:
    """The larger orthonormal basis of which the read directions of a complete measurement are the shadow.

    If Σ_i R_i R_iᵀ is the identity in m dimensions, the n × m matrix of the R_i has orthonormal columns. With
    n − m more columns it becomes an orthogonal matrix: its rows are an orthonormal basis of n dimensions, and
    their first m coordinates are the R_i (Naimark, 1940).

    Parameters
    ----------
    R
        Read directions [feature, hidden] of one complete measurement.

    Returns
    -------
    xarray.DataArray
        [feature, hidden] with as many hidden dimensions as features.

    Raises
    ------
    ValueError
        If there is more than one model, or Σ_i R_i R_iᵀ differs from the identity by more than 1e-9.

    Examples
    --------
    >>> import tms
    >>> basis = tms.naimark([[0.6], [0.8]])
    >>> abs(basis @ basis.rename(feature="other")).values.round(12)
    array([[1., 0.],
           [0., 1.]])
    """
    read = _weights("R", R, finite=True)
    if read.ndim != 2:
        raise fail("R", f"dimensions {read.dims}", "one model, with the dimensions feature and hidden")
    values = read.values
    n, m = values.shape
    off = float(abs(values.T @ values - np.eye(m)).max())
    if not off <= 1e-9:
        allowed = "the directions of a complete measurement"
        raise fail("R", f"Σ_i R_i R_iᵀ off the identity by {off:.2g}", allowed)
    rest = np.linalg.qr(np.hstack([values, np.eye(n)]))[0][:, m:n]
    return xr.DataArray(np.hstack([values, rest]), dims=("feature", "hidden"))


def tight_distance(W: Any) -> xr.DataArray:
    """How far directions are from a tight frame, between 0 and 1.

    A frame is tight if S = Σ_i W_i W_iᵀ is a multiple of the identity: no direction of the hidden space is
    preferred. The nearest multiple is tr(S)/m.

    Parameters
    ----------
    W
        Directions, as for `dual_frame`.

    Returns
    -------
    xarray.DataArray
        [...]: ‖S − (tr S / m) I‖ / ‖S‖ in the Frobenius norm; 0 where all directions are zero.

    Raises
    ------
    ValueError
        As for `dual_frame`.

    Examples
    --------
    >>> import tms
    >>> float(tms.tight_distance([[1.0, 0.0], [0.0, 1.0]]))
    0.0
    >>> round(float(tms.tight_distance([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])), 3)
    0.316
    """
    write = _weights("W", W, finite=True)
    s = np.swapaxes(write.values, -1, -2) @ write.values
    m = s.shape[-1]
    off = s - np.trace(s, axis1=-2, axis2=-1)[..., None, None] / m * np.eye(m)
    whole = np.sqrt((s**2).sum((-1, -2)))
    share = np.sqrt((off**2).sum((-1, -2))) / np.where(whole > 0, whole, 1.0)
    return write.isel(feature=0, hidden=0, drop=True).copy(data=share).rename("tight_distance")


def helstrom(overlap: Any, prior: float = 0.5) -> Any:
    """The greatest probability of naming the right one of two pure states (Helstrom, 1969).

    ½ (1 + √(1 − 4 p (1 − p) c²)), with the overlap c = abs(ψ_1 · ψ_2) and the prior p of one of them.

    Parameters
    ----------
    overlap
        c, between 0 and 1: a number or an array.
    prior
        p, between 0 and 1.

    Returns
    -------
    numpy.ndarray
        Of the shape of `overlap`.

    Raises
    ------
    ValueError
        If a number is outside its range.

    Examples
    --------
    >>> import tms
    >>> float(tms.helstrom(0.6))
    0.9
    """
    c, p = _overlap(overlap), _check.number(0, 1)("prior", prior)
    found: np.ndarray = (1 + np.sqrt(np.maximum(0.0, 1 - 4 * p * (1 - p) * c**2))) / 2
    return found


def unambiguous(overlap: Any, prior: float = 0.5) -> Any:
    """The greatest probability of an answer, if two pure states must never be confused.

    1 − 2 √(p (1 − p)) c as long as neither state is far more likely (Ivanovic, Dieks and Peres, 1987–88, for
    p = ½: 1 − c), and else q (1 − c²) with q the greater of p and 1 − p: the rarer state is never named
    (Jaeger & Shimony, 1995).

    Parameters
    ----------
    overlap
        c = abs(ψ_1 · ψ_2), between 0 and 1: a number or an array.
    prior
        p of one of them, between 0 and 1.

    Returns
    -------
    numpy.ndarray
        Of the shape of `overlap`.

    Raises
    ------
    ValueError
        If a number is outside its range.

    Examples
    --------
    >>> import tms
    >>> float(tms.unambiguous(0.6))
    0.4
    """
    c, p = _overlap(overlap), _check.number(0, 1)("prior", prior)
    low, high = min(p, 1 - p), max(p, 1 - p)
    both = 1 - 2 * np.sqrt(low * high) * c
    found: np.ndarray = np.where(np.sqrt(low) >= np.sqrt(high) * c, both, high * (1 - c**2))
    return found


def _overlap(value: Any) -> np.ndarray:
    allowed = "numbers, 0 ≤ number ≤ 1"
    c = _check.floats("overlap", value, allowed)
    if not ((c >= 0) & (c <= 1)).all():
        raise fail("overlap", value, allowed)
    return c


def _power(vectors: np.ndarray, power: float) -> np.ndarray:
    """S^power with S = Σ_i v_i v_iᵀ; 0 in the dimensions where S is."""
    values, axes = np.linalg.eigh(np.swapaxes(vectors, -1, -2) @ vectors)
    kept = values > _RANK * values[..., -1:]
    raised = np.where(kept, np.where(kept, values, 1.0) ** power, 0.0)
    found: np.ndarray = (axes * raised[..., None, :]) @ np.swapaxes(axes, -1, -2)
    return found
