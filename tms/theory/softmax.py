"""One-hot inputs under softmax and cross-entropy: the loss on a circle, probabilities, and curvature."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from tms import _check
from tms._check import fail
from tms.geometry import gram


def softmax_circle_loss(radius: Any, n_features: int) -> Any:
    """Cross-entropy of n features spaced evenly on a circle, read along their own directions, without bias.

    By symmetry every input has the same loss, log Σ_j exp(r² (cos(2πj/n) − 1)) with j = 0 … n − 1: log n at
    r = 0, and 2 exp(−r² (1 − cos(2π/n))) to leading order for large r (n ≥ 3). Reduction "mean".

    Parameters
    ----------
    radius
        r, not negative; a number or any array.
    n_features
        n.

    Returns
    -------
    numpy.ndarray
        As what was given, float64.

    Raises
    ------
    ValueError
        If a radius is negative or no finite number, or n_features is not a positive whole number.

    Examples
    --------
    >>> import tms
    >>> round(float(tms.softmax_circle_loss(0.0, 12)), 6)  # log 12: nothing is told apart
    2.484907
    """
    r = _radius(radius)
    n = _check.integer(1)("n_features", n_features)
    # 1 − cos t = 2 sin²(t/2), and log(1 + …), keep all digits where the loss is small.
    lower = -2 * np.sin(np.pi * np.arange(1, n) / n) ** 2
    return np.log1p(np.exp(r[..., None] ** 2 * lower).sum(-1))


def softmax_probabilities(W: Any, b: Any = 0.0, *, W_out: Any = None) -> xr.DataArray:
    """The probability that a model gives to each label, for each one-hot input, without an activation.

    Column j is the softmax over i of R_i · W_j + b_i, where R = W unless `W_out` is given. The diagonal is
    what each feature gives to itself; the cross-entropy is minus the mean of its logarithm.

    Parameters
    ----------
    W, W_out
        Directions, as for `gram`.
    b
        End bias: a number, an array [feature], or a DataArray with the dimension "feature" among those of W.

    Returns
    -------
    xarray.DataArray
        [..., feature, other_feature]: row i is the label, column j the feature that is active.

    Raises
    ------
    ValueError
        If an array is not as described.

    Examples
    --------
    >>> import tms
    >>> tms.softmax_probabilities([[0.0], [0.0]]).values
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    logits = gram(W, W_out)
    n = logits.sizes["feature"]
    if not isinstance(b, xr.DataArray):
        allowed = f"one number, or {n} of them"
        array = _check.floats("b", b, allowed)
        if array.shape not in ((), (n,)):
            raise fail("b", f"shape {array.shape}", allowed)
        b = xr.DataArray(array, dims=["feature"] if array.ndim else [])
    elif b.sizes.get("feature") != n or not set(b.dims) <= set(logits.dims):
        raise fail("b", f"sizes {dict(b.sizes)}", f'of {n} along "feature", and no dimensions that W lacks')
    with np.errstate(invalid="ignore", over="ignore"):  # models that diverged give NaN
        logits = logits + b
        weight = np.exp(logits - logits.max("feature", skipna=False))
        result: xr.DataArray = weight / weight.sum("feature", skipna=False)
    return result.transpose(..., "feature", "other_feature").rename("probability")


def softmax_hessian(W: Any, moves: Any, *, W_out: Any = None, moves_out: Any = None) -> np.ndarray:
    """Second derivatives of the cross-entropy of one-hot inputs, summed over them, along given moves.

    With the logits z_ji = R_j · W_i, their first and mixed second derivatives along two moves, and the
    probabilities p of input i, the entry for the moves V and V' is

        Σ_i ( E_p[z''_ji] − z''_ii + Cov_p[z'_ji(V), z'_ji(V')] ),

    since the second derivative of log Σ_j exp z_j is E[z''] + Cov[z', z'].

    Parameters
    ----------
    W, W_out
        Directions [feature, hidden]. Without `W_out` the model is tied, and moves of W move both sides.
    moves, moves_out
        Along which to differentiate, [move, feature, hidden]. For an untied model both have to be given.

    Returns
    -------
    numpy.ndarray
        [move, move], symmetric.

    Raises
    ------
    ValueError
        If shapes do not fit, or only one of `W_out` and `moves_out` is given.

    Examples
    --------
    >>> import tms
    >>> tms.softmax_hessian([[0.0], [0.0]], [[[1.0], [-1.0]]])  # two features at zero move apart
    array([[-4.]])
    """
    write = _array("W", W, "an array [feature, hidden] of finite numbers", 2)
    by = _array("moves", moves, "an array [move, feature, hidden] of finite numbers", 3)
    if (W_out is None) != (moves_out is None):
        raise fail("moves_out", moves_out, "given if W_out is, and only then")
    read = write if W_out is None else _array("W_out", W_out, "an array [feature, hidden]", 2)
    by_out = (
        by if moves_out is None else _array("moves_out", moves_out, "an array [move, feature, hidden]", 3)
    )
    for name, array in (("W_out", read), ("moves", by), ("moves_out", by_out)):
        if array.shape[-2:] != write.shape:
            raise fail(name, f"shape {array.shape}", f"of shape [..., {write.shape}], as W is")
    if len(by) != len(by_out):
        raise fail("moves_out", f"{len(by_out)} moves", f"{len(by)} of them, as moves are")
    p = softmax_probabilities(write, W_out=read).values
    first = by_out @ write.T + read @ by.swapaxes(-1, -2)  # [move, label, input]
    mean = (p * first).sum(1)
    covariance = np.einsum("ji,aji,bji->ab", p, first, first) - mean @ mean.T
    weight = p - np.eye(len(p))
    mixed = np.einsum("ji,ajh,bih->ab", weight, by_out, by, optimize=True)
    return np.asarray(covariance + mixed + mixed.T)


def missing_feature_curvature(radius: Any, n_features: int) -> np.ndarray:
    """Whether a feature at zero stays there while the n − 1 others stand evenly on a circle; tied, no bias.

    The least second derivative of the cross-entropy, summed over the inputs, among unit moves that break the
    symmetry as a vector does: the feature itself, and the two ways in which the others can give way
    (outwards by cos θ_i, sideways by −sin θ_i; together a shift of the whole circle). Moves of other symmetry
    do not mix with these to second order. Where it is positive, a small feature is pushed back to zero. Where
    it is negative, some such move lowers the loss; while the circle still grows, that may be mostly a move of
    the circle, and the feature may shrink all the same.

    Parameters
    ----------
    radius
        Of the circle, not negative; a number or any array.
    n_features
        n, with the one at zero; at least 4.

    Returns
    -------
    numpy.ndarray
        One number for each radius.

    Raises
    ------
    ValueError
        If a radius is negative or no finite number, or n_features is not a whole number of at least 4.

    Examples
    --------
    >>> import tms
    >>> tms.missing_feature_curvature([1.0, 4.0, 8.0], 12) > 0  # only the second keeps it at zero
    array([False,  True, False])
    """
    r = _radius(radius)
    n = _check.integer(4)("n_features", n_features)
    turn = 2 * np.pi * np.arange(n - 1) / (n - 1)
    outwards = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    sideways = np.stack([-np.sin(turn), np.cos(turn)], axis=1)
    moves = np.zeros((3, n, 2))
    moves[0, -1, 0] = 1
    moves[1, :-1] = outwards * outwards[:, :1] * np.sqrt(2 / (n - 1))
    moves[2, :-1] = sideways * sideways[:, :1] * np.sqrt(2 / (n - 1))
    circle = np.vstack([outwards, np.zeros((1, 2))])
    least = [np.linalg.eigvalsh(softmax_hessian(one * circle, moves))[0] for one in r.ravel()]
    return np.reshape(least, r.shape)


def _radius(value: Any) -> np.ndarray:
    allowed = "a finite number with 0 <= value"
    r = _check.floats("radius", value, allowed)
    if not (np.isfinite(r) & (r >= 0)).all():
        raise fail("radius", value, allowed)
    return r


def _array(name: str, value: Any, allowed: str, dimensions: int) -> np.ndarray:
    array = _check.floats(name, value, allowed)
    if array.ndim != dimensions:
        raise fail(name, f"shape {array.shape}", allowed)
    if not np.isfinite(array).all():
        raise fail(name, "NaN or infinity in it", allowed)
    return array
