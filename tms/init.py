"""Initialisation: drawn for every model from its own seed, or given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import xarray as xr

from tms import _check
from tms._check import FrozenArray
from tms._description import Description, parameter
from tms.axis import OrAxis

_NONNEGATIVE = _check.number(0.0)

# Parameters of a model and their dimensions.
PARAMETERS = {
    "W": ("feature", "hidden"),
    "W_out": ("feature", "hidden"),
    "W_gate": ("feature", "hidden"),
    "b": ("feature",),
    "b_gate": ("feature",),
    "b_hidden": ("hidden",),
}


class Init(Description):
    """Base of all initialisations."""


@dataclass(frozen=True, kw_only=True, repr=False)
class XavierNormal(Init):
    """Weights normal with variance gain² · 2 / (n + m) (Glorot & Bengio, 2010); biases normal.

    The fan is that of one model. (A loop that hands a stack [instance, feature, hidden] to a library's Xavier
    function gets another variance, which changes with the number of instances.)

    Parameters
    ----------
    gain
        Factor of the standard deviation.
    bias_scale
        Standard deviation of the biases; 0, the default, begins them at zero.

    Examples
    --------
    >>> import tms
    >>> tms.XavierNormal(bias_scale=0.1)
    XavierNormal(bias_scale=0.1)
    """

    gain: OrAxis[float] = parameter(_NONNEGATIVE, default=1.0, vector=True)
    bias_scale: OrAxis[float] = parameter(_NONNEGATIVE, default=0.0, vector=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class Normal(Init):
    """Weights and biases normal with given standard deviations.

    Parameters
    ----------
    scale
        Standard deviation of the weights.
    bias_scale
        Standard deviation of the biases.

    Examples
    --------
    >>> import tms
    >>> tms.Normal(scale=0.1)
    Normal(scale=0.1)
    """

    scale: OrAxis[float] = parameter(_NONNEGATIVE, vector=True)
    bias_scale: OrAxis[float] = parameter(_NONNEGATIVE, default=0.0, vector=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class Labelled(Description):
    """An array whose dimensions have names, and labels where they belong to the grid."""

    dims: tuple[str, ...] = parameter(lambda name, value: tuple(value), axis=False)
    labels: tuple[Any, ...] = parameter(lambda name, value: tuple(value), axis=False)
    values: FrozenArray = parameter(_check.instance(FrozenArray), axis=False)

    def at(self, indices: dict[str, int], labels: dict[str, Any]) -> Self:
        keep, position = [], []
        for dim, known in zip(self.dims, self.labels, strict=True):
            if known is None or dim not in labels:
                keep.append((dim, known))
                position.append(slice(None))
            elif labels[dim] in known:
                position.append(known.index(labels[dim]))
            else:
                raise _check.fail(
                    "Given", f"no start for {dim} = {labels[dim]!r}", "a start for every grid point"
                )
        values = FrozenArray(np.asarray(self.values)[tuple(position)])
        return self.replace(dims=[d for d, _ in keep], labels=[known for _, known in keep], values=values)

    def data_array(self) -> xr.DataArray:
        coords = {d: list(c) for d, c in zip(self.dims, self.labels, strict=True) if c is not None}
        return xr.DataArray(np.asarray(self.values), dims=self.dims, coords=coords)


def _labelled(*inner: str) -> _check.Check:
    allowed = (
        f"an array {list(inner)} of finite numbers, or an xarray.DataArray with these dimensions among others"
    )

    def check(name: str, value: Any) -> Labelled | None:
        if value is None or isinstance(value, Labelled):
            return value
        if isinstance(value, xr.DataArray):
            if not set(inner) <= set(value.dims):
                raise _check.fail(name, f"dimensions {tuple(value.dims)}", allowed)
            outer = [str(d) for d in value.dims if d not in inner]
            value = value.transpose(*outer, *inner)
            for dim in outer:
                if dim not in value.coords:
                    raise _check.fail(name, f"dimension {dim!r} without labels", allowed)
                if not value.indexes[dim].is_unique:
                    raise _check.fail(name, f"dimension {dim!r} with repeated labels", allowed)
            labels = [tuple(value[d].values.tolist()) for d in outer] + [None] * len(inner)
            dims = (*outer, *inner)
            array = _check.floats(name, value.values, allowed)
        else:
            dims, labels = inner, [None] * len(inner)
            array = _check.floats(name, value, allowed)
            if array.ndim != len(inner):
                raise _check.fail(name, f"shape {array.shape}", allowed)
        if not np.isfinite(array).all():
            raise _check.fail(name, "NaN or infinity in it", allowed)
        return Labelled(dims=dims, labels=tuple(labels), values=FrozenArray(array))

    return check


@dataclass(frozen=True, kw_only=True, repr=False)
class Given(Init):
    """Start from given weights: the same for every model, or a different start for each.

    A plain array starts every model alike. A labelled `xarray.DataArray` may have grid dimensions and "seed"
    too: then each model starts from the entry with its own labels.

    Parameters
    ----------
    W
        Write directions [feature, hidden]; in a tied model the read directions too.
    b
        End bias [feature]; zero if None.
    W_out
        Read directions [feature, hidden] of an untied model or a bilinear one.
    b_hidden
        Hidden bias [hidden]; zero if None.
    W_gate, b_gate
        Gate directions [feature, hidden] of a bilinear model, and their bias [feature]; zero if None.

    Examples
    --------
    >>> import tms
    >>> start = tms.Given(W=[[1.0], [-1.0]])
    >>> start.W.dims
    ('feature', 'hidden')
    """

    W: Any = parameter(_labelled("feature", "hidden"), axis=False)
    b: Any = parameter(_labelled("feature"), default=None, axis=False)
    W_out: Any = parameter(_labelled("feature", "hidden"), default=None, axis=False)
    b_hidden: Any = parameter(_labelled("hidden"), default=None, axis=False)
    W_gate: Any = parameter(_labelled("feature", "hidden"), default=None, axis=False)
    b_gate: Any = parameter(_labelled("feature"), default=None, axis=False)

    def check_seeds(self, seeds: Sequence[int]) -> None:
        """Whether there is a start for every seed, where starts differ by seed.

        Raises
        ------
        ValueError
            If there is not.
        """
        for name in PARAMETERS:
            start = getattr(self, name)
            if start is not None and "seed" in start.dims:
                known = start.labels[start.dims.index("seed")]
                if missing := sorted(set(seeds) - set(known)):
                    allowed = f"among those of Given.{name}, {_check.short(known)}"
                    raise _check.fail("seeds", missing, allowed)

    @classmethod
    def from_runs(cls, runs: xr.Dataset) -> Self:
        """Start from the final weights of finished runs, each model from the run with its labels.

        Parameters
        ----------
        runs
            What `tms.train` returned, or a selection of it. Dimensions that have been selected away start
            all models alike.

        Returns
        -------
        Given
            Starts with the labels of the runs.

        Raises
        ------
        ValueError
            If this is not what `tms.train` returned, or a model has diverged.

        Notes
        -----
        Only the weights go on. The steps are counted from 0 again: the schedule begins anew, so does the
        optimiser's memory, and a seed draws the same batches as it did the first time. Starts with labels
        along "seed" serve only those seeds; for other batches, select one run as the start of all, or give
        its seed another label, as below.

        Examples
        --------
        >>> import tms
        >>> experiment = tms.Experiment(
        ...     model=tms.Autoencoder(n_features=3, n_hidden=2),
        ...     inputs=tms.SparseUniform(feature_probability=0.5), steps=5, batch_size=8,
        ... )
        >>> runs = tms.train(experiment, seeds=2)
        >>> fresh = runs.assign_coords(seed=runs.seed + 1000)
        >>> on = tms.train(experiment.replace(init=tms.Given.from_runs(fresh)), seeds=[1000, 1001])
        """
        _check.runs(runs, "W")
        arrays = {name: runs[name].reset_coords(drop=True) for name in PARAMETERS if name in runs}
        return cls(**arrays)
