"""Trained models as torch modules, and what they compute."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from tms import _check
from tms._check import fail
from tms._engine import PARAMETERS, Job
from tms.experiment import Experiment
from tms.train import experiment_of

if TYPE_CHECKING:
    import torch


def to_module(run: xr.Dataset, experiment: Experiment | None = None) -> torch.nn.Module:
    """One trained model as a `torch.nn.Module`, to be used or trained on.

    Parameters
    ----------
    run
        One model of what `train` returned: every axis and the seed selected.
    experiment
        Where the run came from. Needed only if the runs do not tell, because the experiment holds a callable.

    Returns
    -------
    torch.nn.Module
        Maps [..., feature] to [..., feature]. Its parameters are ``W`` [feature, hidden] and, as the model has
        them, ``W_out``, ``b`` and ``b_hidden``.

    Raises
    ------
    ValueError
        If there is more than one model in `run`, or the experiment is not known.

    Examples
    --------
    >>> import torch
    >>> import tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=3, n_hidden=2), inputs=tms.OneHot(), steps=5
    ... )
    >>> module = tms.to_module(tms.train(experiment).isel(seed=0))
    >>> module(torch.eye(3)).shape
    torch.Size([3, 3])
    """
    import torch

    from tms import _torch_engine

    experiment = one_model(experiment_of(run) if experiment is None else experiment)
    if extra := [dim for dim in run.W.dims if dim not in ("feature", "hidden")]:
        raise fail("run", f"several models along {extra}", "one model: select a grid point and a seed")

    class TrainedAutoencoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name in parameter_names(experiment):
                value = run[name].transpose(*PARAMETERS[name]).values
                self.register_parameter(name, torch.nn.Parameter(torch.tensor(value)))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return _torch_engine.forward(experiment, dict(self.named_parameters()), x)

        def extra_repr(self) -> str:
            return repr(experiment.model)

    return TrainedAutoencoder()


def outputs(runs: xr.Dataset, x: Any, experiment: Experiment | None = None) -> xr.DataArray:
    """What every model makes of given inputs.

    Parameters
    ----------
    runs
        What `train` returned, or a selection of it.
    x
        Inputs [sample, feature].
    experiment
        As for `to_module`.

    Returns
    -------
    xarray.DataArray
        [..., sample, feature] in float64.

    Raises
    ------
    ValueError
        If `x` has another shape.

    Examples
    --------
    >>> import tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=3, n_hidden=2), inputs=tms.OneHot(), steps=5
    ... )
    >>> dict(tms.outputs(tms.train(experiment, seeds=4), [[1.0, 0.0, 0.0]]).sizes)
    {'seed': 4, 'sample': 1, 'feature': 3}
    """
    experiment = experiment_of(runs) if experiment is None else experiment
    inputs = np.array(_check.matrix("x", x))
    if inputs.shape[1] != experiment.n_features:
        raise fail("x", f"shape {inputs.shape}", f"of shape [sample, n_features = {experiment.n_features}]")
    inner = (("sample", len(inputs)), ("feature", experiment.n_features))
    return over_points(runs, experiment, lambda *model: _forward(*model, inputs[None]), inner)


def variance_explained(
    runs: xr.Dataset, *, samples: int = 32_768, experiment: Experiment | None = None
) -> xr.DataArray:
    """How well each feature is reproduced: R²_i = 1 − E(x_i − x̂_i)² / Var(x_i), no less than 0.

    1 is a feature given back exactly, 0 one for which a constant would do as well. A feature counts as
    represented by what comes out for it, interference included, and not by the norm of its direction.

    A model that is linear (activation and hidden activation) cannot have Σ_i R²_i > n_hidden, whatever its
    weights, if the features are uncorrelated: in units of their standard deviations the error is at least
    the squared distance from the identity to the nearest matrix of rank n_hidden, n − n_hidden (Eckart &
    Young, 1936), and rows with a negative R² may be set to zero without raising the rank. Hence a sum above
    n_hidden shows superposition, and the sum is a fair count of features represented; norms are not: the best
    linear model for equal features may spread ‖W‖²_F = n_hidden over all n directions.

    Parameters
    ----------
    runs
        What `train` returned, or a selection of it.
    samples
        Number of inputs, drawn as in training; the same ones for all seeds. Inputs that are not sampled are
        used as they are.
    experiment
        As for `to_module`.

    Returns
    -------
    xarray.DataArray
        [..., feature]; the NaN of 0 / 0 where a feature never varies.

    Examples
    --------
    >>> import tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=3, n_hidden=3),
    ...     inputs=tms.SparseUniform(feature_probability=0.5),
    ...     optimizer=tms.Adam(lr=0.01), steps=2000, batch_size=256,
    ... )
    >>> run = tms.train(experiment)
    >>> bool((tms.variance_explained(run) > 0.95).all())
    True
    """
    experiment = experiment_of(runs) if experiment is None else experiment
    count = _check.integer(2)("samples", samples)

    def explained(point: Experiment, parameters: dict[str, np.ndarray]) -> np.ndarray:
        errors, squares, sums, total = 0.0, 0.0, 0.0, 0
        for x, y in _evaluation(point, count):
            errors = errors + ((_forward(point, parameters, x) - y) ** 2).sum(-2)
            squares, sums, total = squares + (y**2).sum(-2), sums + y.sum(-2), total + y.shape[-2]
        variance = squares - sums**2 / total
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(variance > 0, np.clip(1 - errors / variance, 0, None), np.nan)

    return over_points(runs, experiment, explained, (("feature", experiment.n_features),)).rename(
        "variance_explained"
    )


def sampled_loss(
    runs: xr.Dataset, *, samples: int = 32_768, experiment: Experiment | None = None
) -> xr.DataArray:
    """The loss of every model on fresh samples, the same for all seeds, in float64.

    Parameters
    ----------
    runs, samples, experiment
        As for `variance_explained`.

    Examples
    --------
    >>> import tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=3, n_hidden=2), inputs=tms.OneHot(), steps=5, dtype="float64"
    ... )
    >>> run = tms.train(experiment)
    >>> bool(abs(tms.sampled_loss(run) - run.loss) < 1e-12)
    True
    """
    experiment = experiment_of(runs) if experiment is None else experiment
    count = _check.integer(1)("samples", samples)

    def loss(point: Experiment, parameters: dict[str, np.ndarray]) -> np.ndarray:
        import torch

        from tms import _torch_engine
        from tms.loss import MSE

        weight = None
        if isinstance(point.loss, MSE):
            weight = torch.tensor(np.atleast_1d(np.asarray(point.loss.importance, dtype=np.float64))[None])
        of = _torch_engine.loss_function(point.loss, weight)
        losses = [
            of(torch.from_numpy(_forward(point, parameters, x)), torch.from_numpy(y))
            for x, y in _evaluation(point, count)
        ]
        return torch.stack(losses).mean(0).numpy()

    return over_points(runs, experiment, loss, ()).rename("loss")


def _evaluation(point: Experiment, samples: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of inputs and targets [1, sample, feature], as the final loss of training uses them."""
    import torch

    from tms import _torch_engine

    batches = -(-samples // point.batch_size) if point.batch_size else 1
    for x, y in _torch_engine.Batches(
        _job(point, batches), slice(None), torch.float64, torch.device("cpu")
    ).evaluation():
        yield x.numpy(), y.numpy()


def over_points(
    runs: xr.Dataset,
    experiment: Experiment,
    measure: Callable[[Experiment, dict[str, np.ndarray]], np.ndarray],
    inner: tuple[tuple[str, int], ...],
) -> xr.DataArray:
    """Apply `measure(point, parameters)` at every grid point, to all its other models at once.

    `point` is the experiment there; `parameters` are float64 arrays [model, ...]. `measure` returns
    [model, ...] with the named dimensions `inner` and their sizes.
    """
    dims = tuple(str(dim) for dim in runs.W.dims if dim not in ("feature", "hidden"))
    axes = [dim for dim in dims if dim in experiment.axes]
    others = [dim for dim in dims if dim not in axes]
    names, sizes = [name for name, _ in inner], [size for _, size in inner]
    outer = [runs.sizes[dim] for dim in (*axes, *others)]
    result = np.empty((*outer[: len(axes)], math.prod(outer[len(axes) :]), *sizes))
    for position in np.ndindex(*outer[: len(axes)]):
        chosen = runs.isel(dict(zip(axes, position, strict=True)))
        point = one_model(experiment.sel(**{dim: chosen.coords[dim].item() for dim in axes}))
        parameters = {}
        for name in parameter_names(point):
            value = chosen[name].transpose(*others, *PARAMETERS[name]).values.astype(np.float64)
            parameters[name] = value.reshape(-1, *value.shape[len(others) :])
        result[position] = measure(point, parameters)
    coords = {name: runs.coords[name] for name in runs.coords if set(runs.coords[name].dims) <= set(dims)}
    array = xr.DataArray(result.reshape((*outer, *sizes)), dims=(*axes, *others, *names), coords=coords)
    return array.transpose(*dims, *names)


def parameter_names(experiment: Experiment) -> tuple[str, ...]:
    """The parameters that a model of this experiment has."""
    return _job(experiment, 1).parameter_names


def one_model(experiment: Experiment) -> Experiment:
    """The experiment itself, if it is one grid point; an error if it is more."""
    if experiment.axes:
        raise fail(
            "run", f"several grid points along {list(experiment.axes)}", "one grid point of the experiment"
        )
    return experiment


def _job(experiment: Experiment, batches: int) -> Job:
    none = np.empty(0, np.int64)
    return Job(experiment, np.zeros(1, np.int64), none, none, batches, "cpu", lambda _: None)


def _forward(point: Experiment, parameters: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Outputs [model, sample, feature] for inputs [1, sample, feature]."""
    import torch

    from tms import _torch_engine

    with torch.no_grad():
        tensors = {name: torch.from_numpy(value) for name, value in parameters.items()}
        return _torch_engine.forward(point, tensors, torch.from_numpy(x)).numpy()
