"""Trained models as torch modules, and what they compute."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from tms import _check
from tms._check import fail
from tms._engine import CHUNK as _CHUNK
from tms._engine import Job
from tms.experiment import Experiment
from tms.init import PARAMETERS
from tms.train import at_selection, parameter_names

if TYPE_CHECKING:
    import torch

# Entries of an array [model, sample, feature] that sampled measures work on: few, to stay near the processor.
_PIECE = 2**16


def to_module(run: xr.Dataset, experiment: Experiment | None = None) -> torch.nn.Module:
    """One trained model as a `torch.nn.Module`, to be used or trained on.

    Parameters
    ----------
    run
        One model of what `train` returned: every axis and the seed selected, unless there is only one.
    experiment
        Where the run came from. Needed only if the runs do not tell, because the experiment holds a callable
        or more than 1 MB of data. With all its axes or at the grid point, either will do.

    Returns
    -------
    torch.nn.Module
        Maps [..., feature] to [..., feature]. Its parameters are ``W`` [feature, hidden] and, as the model
        has them, ``W_out``, ``W_gate``, ``b``, ``b_gate`` and ``b_hidden``, in the dtype of the run. It can
        be copied, and its ``state_dict`` saved; the module itself cannot be pickled.

    Raises
    ------
    ValueError
        If there is more than one model in `run`, or the experiment is not known, or not that of the run.

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

    _check.runs(run, "W")
    outer = [dim for dim in run.W.dims if dim not in ("feature", "hidden")]
    if extra := [dim for dim in outer if run.sizes[dim] != 1]:
        raise fail("run", f"several models along {extra}", "one model: select a grid point and a seed")
    run = run.isel(dict.fromkeys(outer, 0))
    point = one_model(at_selection(run, experiment))

    class TrainedModel(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name in parameter_names(point):
                value = run[name].transpose(*PARAMETERS[name]).values
                self.register_parameter(name, torch.nn.Parameter(torch.tensor(value)))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            output = _torch_engine.forward(point, dict(self.named_parameters()), x.unsqueeze(-2))
            return output.squeeze(-2)

        def extra_repr(self) -> str:
            return repr(point.model)

    return TrainedModel()


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
        If `x` has another shape, or the experiment is not known, or not that of the runs.

    Examples
    --------
    >>> import tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=3, n_hidden=2), inputs=tms.OneHot(), steps=5
    ... )
    >>> dict(tms.outputs(tms.train(experiment, seeds=4), [[1.0, 0.0, 0.0]]).sizes)
    {'seed': 4, 'sample': 1, 'feature': 3}
    """
    experiment = at_selection(runs, experiment)
    inputs = np.array(_check.matrix("x", x))
    if inputs.shape[1] != experiment.n_features:
        raise fail("x", f"shape {inputs.shape}", f"of shape [sample, n_features = {experiment.n_features}]")
    inner = (("sample", len(inputs)), ("feature", experiment.n_features))

    def forward(point: Experiment, parameters: dict[str, np.ndarray]) -> np.ndarray:
        return _forward(point, parameters, inputs[None])

    return over_points(runs, experiment, forward, inner).rename("outputs")


def variance_explained(
    runs: xr.Dataset, *, samples: int = 32_768, experiment: Experiment | None = None
) -> xr.DataArray:
    """How well each feature is reproduced: R²_i = 1 − E(x_i − x̂_i)² / Var(x_i), no less than 0.

    1 is a feature given back exactly, 0 one for which a constant would do as well or better. A feature counts
    as represented by what comes out for it, interference included, and not by the norm of its direction.
    Where a data set has targets, x_i is the target.

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
        Least number of inputs, drawn as in training in whole batches; the same ones for all models. Inputs
        that are not sampled are used as they are.
    experiment
        As for `to_module`.

    Returns
    -------
    xarray.DataArray
        [..., feature]; the NaN of 0 / 0 where a feature never varies, and NaN for a model that has diverged.

    Raises
    ------
    ValueError
        If `samples` is below 2, or the experiment is not known, or not that of the runs.

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
    experiment = at_selection(runs, experiment)
    count = _check.integer(2)("samples", samples)

    samples_of = _Evaluation(count)

    def explained(point: Experiment, parameters: dict[str, np.ndarray]) -> np.ndarray:
        origin: Any = None
        errors: Any = 0.0
        squares: Any = 0.0
        sums: Any = 0.0
        total = 0
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            for inputs, targets in samples_of(point, len(parameters["W"])):
                x, y = (batch.reshape(1, -1, point.n_features) for batch in (inputs, targets))
                # About the first sample: then a feature that never varies has a variance of exactly 0.
                origin = y[:, :1] if origin is None else origin
                errors = errors + ((_forward(point, parameters, x) - y) ** 2).sum(-2)
                squares, sums = squares + ((y - origin) ** 2).sum(-2), sums + (y - origin).sum(-2)
                total += y.shape[-2]
            variance = squares - sums**2 / total
            known = (variance > 0) & np.isfinite(errors)
            return np.where(known, np.clip(1 - errors / variance, 0, None), np.nan)

    return over_points(runs, experiment, explained, (("feature", experiment.n_features),)).rename(
        "variance_explained"
    )


def sampled_loss(
    runs: xr.Dataset, *, samples: int = 32_768, experiment: Experiment | None = None
) -> xr.DataArray:
    """The loss of every model on fresh samples, the same for all models, in float64.

    The samples are those that ``runs.loss`` was found on, if there are as many.

    Parameters
    ----------
    runs, samples, experiment
        As for `variance_explained`.

    Returns
    -------
    xarray.DataArray
        One number a model, in the loss's own reduction over a batch, averaged over batches.

    Raises
    ------
    ValueError
        If `samples` is below 1, or the experiment is not known, or not that of the runs.

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
    experiment = at_selection(runs, experiment)
    count = _check.integer(1)("samples", samples)

    samples_of = _Evaluation(count)

    def loss(point: Experiment, parameters: dict[str, np.ndarray]) -> np.ndarray:
        return mean_loss(point, parameters, samples_of)

    return over_points(runs, experiment, loss, ()).rename("loss")


def mean_loss(
    point: Experiment, parameters: dict[str, np.ndarray], samples_of: _Evaluation | None = None
) -> np.ndarray:
    """The loss of every model at a grid point, [model], for parameters [model, ...]."""
    import torch

    from tms import _torch_engine
    from tms.loss import MSE, CrossEntropy

    weight = None
    if isinstance(point.loss, MSE):
        weight = torch.tensor(np.atleast_1d(np.asarray(point.loss.importance, dtype=np.float64))[None])
    of = _torch_engine.loss_function(point.loss, weight)
    losses: list[torch.Tensor] = []
    for x, y in (samples_of or _Evaluation(1))(point, len(parameters["W"])):
        found = _forward(point, parameters, x.reshape(1, -1, point.n_features))
        output, target = torch.from_numpy(found.reshape(-1, *x.shape)), torch.from_numpy(y)
        if isinstance(point.loss, (MSE, CrossEntropy)):
            losses += of(output, target).unbind(-1)
        else:  # one's own knows [model, sample, feature]
            losses += [of(output[:, i], target[None, i]) for i in range(len(target))]
    return torch.stack(losses).mean(0).numpy()


class _Evaluation:
    """The inputs that models are judged on, those of the final loss of training.

    Many grid points are judged on the same draws, of which only the meaning differs, so these are kept.

    Parameters
    ----------
    samples
        Least number of samples; whole batches of the experiment's size are drawn.
    """

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.kept: dict[Any, Any] = {}

    def __call__(self, point: Experiment, n_models: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Inputs and targets [batch, sample, feature], as many batches at once as so many models allow."""
        import torch

        from tms import _torch_engine

        batches = -(-self.samples // point.batch_size) if point.batch_size and point.inputs.sampled else 1
        none = np.empty(0, np.int64)
        job = Job(point, np.zeros(1, np.int64), none, none, batches, "cpu", lambda _: None)
        source = _torch_engine.Batches(job, slice(None), torch.float64, torch.device("cpu"))
        entries = point.evaluation_length * point.n_features
        width = max(1, min(_PIECE, _CHUNK) // (n_models * entries))
        for first in range(0, batches, width):
            last = min(first + width, batches)
            x, y = source.judged(first, last, self.kept if batches * entries <= _CHUNK else {})
            yield x.numpy(), y.numpy()


def over_points(
    runs: xr.Dataset,
    experiment: Experiment,
    measure: Callable[[Experiment, dict[str, np.ndarray]], np.ndarray],
    inner: tuple[tuple[str, int], ...],
) -> xr.DataArray:
    """Apply `measure(point, parameters)` at every grid point, to many of its other models at once.

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
        width = max(1, _CHUNK // (point.evaluation_length * point.n_features))
        parts = [
            measure(point, {name: value[i : i + width] for name, value in parameters.items()})
            for i in range(0, result[position].shape[0], width)
        ]
        result[position] = np.concatenate(parts)
    coords = {name: runs.coords[name] for name in runs.coords if set(runs.coords[name].dims) <= set(dims)}
    array = xr.DataArray(result.reshape((*outer, *sizes)), dims=(*axes, *others, *names), coords=coords)
    return array.transpose(*dims, *names)


def one_model(experiment: Experiment) -> Experiment:
    """The experiment itself, if it is one grid point; an error if it is more."""
    if experiment.axes:
        raise fail(
            "run", f"several grid points along {list(experiment.axes)}", "one grid point of the experiment"
        )
    return experiment


def _forward(point: Experiment, parameters: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Outputs [model, sample, feature] for inputs [1, sample, feature]."""
    import torch

    from tms import _torch_engine

    with torch.no_grad():
        tensors = {name: torch.from_numpy(value) for name, value in parameters.items()}
        output: np.ndarray = _torch_engine.forward(point, tensors, torch.from_numpy(x)).numpy()
    return output
