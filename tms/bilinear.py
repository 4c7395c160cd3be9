"""Bilinear models without their biases: folded into the weights, and as one matrix for every output."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from tms._check import fail
from tms.axis import Axis
from tms.experiment import Experiment
from tms.init import PARAMETERS
from tms.model import Bilinear

Dims = dict[str, tuple[str, ...]]

# Where a dimension has one entry for every feature, and one more for the constant 1.
_COORDINATE = "coordinate"
_INNER: Dims = {name: PARAMETERS[name] for name in ("W", "W_out", "W_gate", "b", "b_gate")}
_FOLDED: Dims = {
    "W": (_COORDINATE, "hidden"),
    "W_out": ("feature", "hidden"),
    "W_gate": ("feature", "hidden"),
}


def fold(runs: xr.Dataset) -> xr.Dataset:
    """The bias-free twins of bilinear models: the same outputs from the inputs (x, 1).

    With columns h = P x, and read and gate directions as the rows of R and S, a bilinear model is

        x̂ = (R h + b) ⊙ (S h + c).

    Pass the constant 1 through a hidden dimension of its own, h* = P* (x, 1) with P* = [[P, 0], [0, 1]], so
    that h* = (h, 1). Then R* = [R, b] and S* = [S, c], with one more column each, give R* h* = R h + b and
    S* h* = S h + c, hence

        x̂ = R* h* ⊙ S* h*.

    This is the form that note 000 of the book's sources proposes. A bias that a model does not have counts as
    zeros. Nothing is computed: every number is copied, so `unfold` gives the model back to the last bit.

    Parameters
    ----------
    runs
        Bilinear models that `train` returned, or a selection of them, or any Dataset with ``W``, ``W_out``,
        ``W_gate`` [..., feature, hidden] and perhaps ``b``, ``b_gate`` [..., feature]: snapshots, say.

    Returns
    -------
    xarray.Dataset
        ``W`` [..., coordinate, hidden], the transpose of P*: the write directions of the features, then that
        of the constant; ``W_out`` (R*) and ``W_gate`` (S*) [..., feature, hidden]. There is one hidden
        dimension more, the last. The coordinates are called "x0", "x1", … and, at the end, "1".

    Raises
    ------
    ValueError
        If these are no bilinear models.

    Examples
    --------
    >>> import numpy as np
    >>> import tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Bilinear(n_features=3, n_hidden=2), inputs=tms.OneHot(), steps=5, dtype="float64"
    ... )
    >>> run = tms.train(experiment).isel(seed=0)
    >>> twin = tms.fold(run)
    >>> dict(twin.W.sizes), dict(twin.W_out.sizes)
    ({'coordinate': 4, 'hidden': 3}, {'feature': 3, 'hidden': 3})
    >>> x = np.array([0.5, 0.0, 1.0])
    >>> h = np.append(x, 1.0) @ twin.W.values
    >>> np.allclose((twin.W_out.values @ h) * (twin.W_gate.values @ h), tms.outputs(run, [x]).values[0])
    True
    """
    outer, arrays = _arrays(runs)
    W = arrays["W"]
    *shape, n, m = W.shape
    write = np.zeros((*shape, n + 1, m + 1), W.dtype)
    write[..., :n, :m] = W
    write[..., n, m] = 1.0

    def beside(weights: str, bias: str) -> np.ndarray:
        return np.concatenate([arrays[weights], arrays[bias][..., None]], -1)

    folded = {"W": write, "W_out": beside("W_out", "b"), "W_gate": beside("W_gate", "b_gate")}
    variables = {name: ((*outer, *_FOLDED[name]), array) for name, array in folded.items()}
    return xr.Dataset(variables, {**_labels(runs, outer), _COORDINATE: _names(n)})


def unfold(folded: xr.Dataset) -> xr.Dataset:
    """The bilinear models that `fold` made bias-free: its exact inverse.

    A bias-free model on (x, 1) comes from one with biases, by `fold`, only if the last hidden dimension
    carries the constant, and neither carries anything else: P* = [[P, 0], [0, 1]]. Other models are not the
    folded form of one, even where they compute the same.

    Parameters
    ----------
    folded
        What `fold` returned, or a Dataset of the same form.

    Returns
    -------
    xarray.Dataset
        ``W``, ``W_out``, ``W_gate`` [..., feature, hidden], ``b``, ``b_gate`` [..., feature]; a bias that was
        missing before is zeros now.

    Raises
    ------
    ValueError
        If this has not the dimensions of what `fold` returned, or P* has not that form, naming the entries
        that are wrong.

    Examples
    --------
    >>> import tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Bilinear(n_features=3, n_hidden=2), inputs=tms.OneHot(), steps=5
    ... )
    >>> runs = tms.train(experiment, seeds=4)
    >>> again = tms.unfold(tms.fold(runs))
    >>> all(again[name].equals(runs[name]) for name in again)
    True
    """
    _has("folded", folded, _FOLDED, "a Dataset with W, W_out and W_gate: what tms.fold returned")
    outer = _outer("folded", folded, _FOLDED)
    n, m = folded.sizes["feature"], folded.sizes["hidden"] - 1
    if folded.sizes[_COORDINATE] != n + 1 or m < 1:
        got = {dim: folded.sizes[dim] for dim in (_COORDINATE, "feature", "hidden")}
        raise fail("folded", got, "of one coordinate more than features, and at least 2 hidden dimensions")
    arrays = {name: folded[name].transpose(*outer, *dims).values for name, dims in _FOLDED.items()}
    write = arrays["W"]
    wrong = write != 0.0
    wrong[..., :n, :m] = False
    wrong[..., n, m] = write[..., n, m] != 1.0
    if wrong.any():
        raise fail(
            "folded.W",
            _places(write, wrong, folded, (*outer, *_FOLDED["W"])),
            "of the form [[P, 0], [0, 1]], to be unfolded",
        )
    found = {"W": write[..., :n, :m]}
    for weights, bias in (("W_out", "b"), ("W_gate", "b_gate")):
        found |= {weights: arrays[weights][..., :m], bias: arrays[weights][..., m]}
    variables = {name: ((*outer, *dims), found[name].copy()) for name, dims in _INNER.items()}
    return xr.Dataset(variables, _labels(folded, outer))


def interactions(runs: xr.Dataset) -> xr.DataArray:
    """What each output of a bilinear model multiplies: x̂_i = (x, 1)ᵀ B_i (x, 1), with B_i symmetric.

    With R*, S* and P* as in `fold`, output i is (r · (x, 1)) (s · (x, 1)) for the vectors r = P*ᵀ R*_i and
    s = P*ᵀ S*_i, which are (PᵀR_i, b_i) and (PᵀS_i, c_i). Of the matrix r sᵀ only the symmetric part counts,

        B_i = (r sᵀ + s rᵀ) / 2,

    and that is unique. So B does not depend on what leaves the outputs alone: exchanging read and gate,
    scaling one against the other, or any change of basis in the hidden layer. Entry [j, k] is half the
    coefficient of x_j x_k, the diagonal that of x_j²; with the constant, half the coefficient of x_j; and its
    own diagonal is what comes out for x = 0. B_i has rank at most 2, with eigenvalues (r · s ± ‖r‖ ‖s‖) / 2
    and eigenvectors along r/‖r‖ ± s/‖s‖. To read a bilinear layer by the symmetric matrix of each output is
    what Pearce et al. (2024) do.

    Parameters
    ----------
    runs
        As for `fold`.

    Returns
    -------
    xarray.DataArray
        [..., output, coordinate, other_coordinate] in float64, symmetric to the last bit. The coordinates are
        the features, "x0", "x1", …, and "1", the constant.

    Raises
    ------
    ValueError
        If these are no bilinear models.

    Examples
    --------
    >>> import numpy as np
    >>> import tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Bilinear(n_features=2, n_hidden=1),
    ...     init=tms.Given(W=[[1.0], [2.0]], W_out=[[1.0], [0.0]], W_gate=[[1.0], [3.0]], b=[0.0, 1.0]),
    ...     inputs=tms.OneHot(), optimizer=tms.SGD(lr=0.0), steps=1,
    ... )
    >>> B = tms.interactions(tms.train(experiment).isel(seed=0))
    >>> B.isel(output=0).values  # (x₀ + 2 x₁)²
    array([[1., 2., 0.],
           [2., 4., 0.],
           [0., 0., 0.]])
    >>> B.isel(output=1).sel(other_coordinate="1").values * 2  # 3 (x₀ + 2 x₁)
    array([3., 6., 0.])
    """
    outer, arrays = _arrays(runs)
    arrays = {name: array.astype(np.float64) for name, array in arrays.items()}
    with np.errstate(invalid="ignore", over="ignore"):  # a model that has diverged

        def seen(weights: str, bias: str) -> np.ndarray:
            """[..., output, coordinate]"""
            by_feature = arrays[weights] @ np.swapaxes(arrays["W"], -1, -2)
            return np.concatenate([by_feature, arrays[bias][..., None]], -1)

        read, gate = seen("W_out", "b"), seen("W_gate", "b_gate")
        product = read[..., :, None] * gate[..., None, :]
        matrix = (product + np.swapaxes(product, -1, -2)) / 2
    names = _names(arrays["W"].shape[-2])
    coords = {**_labels(runs, outer), _COORDINATE: names, f"other_{_COORDINATE}": names}
    dims = (*outer, "output", _COORDINATE, f"other_{_COORDINATE}")
    return xr.DataArray(matrix, dims=dims, coords=coords, name="interactions")


def _arrays(runs: xr.Dataset) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """The outer dimensions, and all parameters with these first; zeros for a bias that is not there."""
    needed = {name: dims for name, dims in _INNER.items() if name.startswith("W")}
    _has("runs", runs, needed, "a Dataset with W, W_out and W_gate: bilinear models from tms.train")
    _all_bilinear(runs)
    there = {name: dims for name, dims in _INNER.items() if name in runs}
    outer = _outer("runs", runs, there)
    arrays = {name: runs[name].transpose(*outer, *dims).values for name, dims in there.items()}
    none = np.zeros(arrays["W"].shape[:-1], arrays["W"].dtype)
    return outer, {name: arrays.get(name, none) for name in _INNER}


def _has(name: str, given: Any, needed: Dims, allowed: str) -> None:
    """Whether this is a Dataset with these variables."""
    if not isinstance(given, xr.Dataset):
        raise fail(name, f"a {type(given).__name__}", allowed)
    if any(variable not in given for variable in needed):
        raise fail(name, f"a Dataset with {list(given.data_vars)}", allowed)


def _outer(name: str, given: xr.Dataset, inner: Dims) -> tuple[str, ...]:
    """The dimensions that all variables share besides their own."""
    outer = tuple(str(dim) for dim in given["W"].dims if dim not in inner["W"])
    for variable, dims in inner.items():
        if set(given[variable].dims) != {*outer, *dims}:
            allowed = f"of dimensions {(*outer, *dims)}"
            raise fail(f"{name}.{variable}", f"dimensions {given[variable].dims}", allowed)
    return outer


def _all_bilinear(runs: xr.Dataset) -> None:
    """Whether none of the models is of another kind, as far as the runs tell: a grid may have several."""
    text = runs.attrs.get("experiment", "")
    if not text.startswith("{"):
        return
    model = Experiment.from_json(text).model
    models = [model]
    if isinstance(model, Axis):
        labels = (
            runs.coords[model.name].values.ravel().tolist() if model.name in runs.coords else model.labels
        )
        models = [value for value, label in zip(model.values, model.labels, strict=True) if label in labels]
    for one in models:
        if not isinstance(one, Bilinear):
            raise fail("runs", one, "of bilinear models alone: select them")


def _labels(given: xr.Dataset, outer: tuple[str, ...]) -> dict[Any, Any]:
    """The coordinates of the outer dimensions, and those that have been selected."""
    coords = given["W"].coords
    return {name: coords[name] for name in coords if set(coords[name].dims) <= set(outer)}


def _names(n: int) -> list[str]:
    return [*(f"x{i}" for i in range(n)), "1"]


def _places(values: np.ndarray, wrong: np.ndarray, given: xr.Dataset, dims: tuple[str, ...]) -> str:
    """How many entries these are, and the first few, by the labels of their dimensions."""
    found = []
    for place in np.argwhere(wrong)[:4]:
        at = [
            f"{dim}={given[dim].values[i].item()!r}" if dim in given.coords else f"{dim}={i}"
            for dim, i in zip(dims, place, strict=True)
        ]
        found.append(f"W[{', '.join(at)}] = {values[tuple(place)].item()!r}")
    return f"{int(wrong.sum())} other entries: {'; '.join(found)}"
