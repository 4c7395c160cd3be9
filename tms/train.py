"""Training: one function from an experiment to labelled arrays."""

from __future__ import annotations

import hashlib
import importlib
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from tms import _check, _fused_engine
from tms._check import fail
from tms._engine import Arrays, Job
from tms._progress import progress_bar
from tms._sweep import Settings, check_settings, sweep
from tms.experiment import Experiment
from tms.init import PARAMETERS, Given
from tms.model import Autoencoder
from tms.store import Store

if TYPE_CHECKING:
    import torch

ENGINES = ("auto", "fused", "torch")

# Longest description that runs carry with them, in characters; of a longer one they keep the digest.
_LONGEST = 1_000_000
_DIGEST = "sha256 "


class DivergenceWarning(UserWarning):
    """Some models of a grid ended with weights or a loss that are no finite numbers.

    Examples
    --------
    >>> import warnings
    >>> import tms
    >>> warnings.simplefilter("error", tms.DivergenceWarning)  # stop a script that cannot go on without them
    """


def train(
    experiment: Experiment,
    *,
    seeds: int | Sequence[int] | np.ndarray = 1,
    engine: str = "auto",
    device: str | torch.device = "cpu",
    loss_steps: int | Sequence[int] | np.ndarray = 32,
    snapshot_steps: int | Sequence[int] | np.ndarray = 8,
    evaluation_samples: int = 32_768,
    progress: bool | None = None,
    store: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    shard_size: int | None = None,
    continue_from: int | None = None,
) -> xr.Dataset:
    """Train every model of an experiment's grid, once for each seed.

    A seed decides a model's initial weights and its batches, and nothing else does: neither the model's place
    in the grid, nor what is trained beside it. This holds within an engine. Across engines the initial
    weights are the same, and so are the batches, up to rounding; but where few features are active, the
    fused engine draws the gaps between them, which gives other samples of the same distribution.

    Parameters
    ----------
    experiment
        What to train.
    seeds
        A number of seeds, n, for the seeds 0 … n − 1; or the seeds themselves.
    engine
        "fused", compiled loops on a CPU for all but callables, far faster for small models; "torch", for any
        model, loss and device; or "auto": fused where it can. ``attrs["engine"]`` of the result says which.
    device
        "cpu", or a torch device such as "cuda".
    loss_steps, snapshot_steps
        Where to record the loss and the weights: a number of steps, spaced evenly on a log scale from 0 to
        the last, or the steps themselves. After 0 steps the weights are the initial ones.
    evaluation_samples
        The final loss is the mean over at least so many fresh samples, the same for all models.
    progress
        Whether to show a progress bar; None shows one to a person at a terminal or in a notebook.
    store
        A folder to keep trained models in, or an fsspec address such as "s3://bucket/sweep". The grid is cut
        into shards, and each is a file there once it is finished. What is there is loaded and not trained
        again, also if it was part of another grid; a run that was interrupted goes on where it stopped.
    executor
        Any `concurrent.futures.Executor`, or Dask's ``client.get_executor()``, to train shards elsewhere,
        one thread a shard; None for this process, with all its threads. With a store, workers must see the
        same folder.
    shard_size
        Models in a shard, at most; None for as many as take about a second on one core.
    continue_from
        Go on from the end of runs of so many steps, the optimiser's memory included, as if training had not
        paused. The store has them, or they are trained first. Losses and snapshots are recorded from there
        on. The learning rate must be constant.

    Returns
    -------
    xarray.Dataset
        Dimensions: the axes of the experiment, then ``seed``, then those of each array. ``W`` [feature,
        hidden] write directions; ``W_out`` [feature, hidden] read directions where a model is not tied;
        ``W_gate`` [feature, hidden], ``b`` [feature], ``b_gate`` [feature] and ``b_hidden`` [hidden] where a
        model has them (0 at the grid points that have not);
        ``loss``, the final loss; ``loss_curve`` [loss_step], the loss on the batch of each step, before its
        update; ``W_snapshot`` [snapshot_step, feature, hidden] and so on; ``diverged``.

    Raises
    ------
    ValueError
        If a parameter is not as described, the device is not there, the fused engine was asked for what it
        cannot do, or models are to be kept that hold a callable or a class of your own.
    StoreError
        If the store cannot be read, or not be written although something is missing. Finished shards stay.
    SweepError
        If the executor loses its workers. Finished shards stay in the store.

    Warns
    -----
    DivergenceWarning
        Once, naming the grid points where a model diverged. The others are not affected.
    StoreWarning
        For each file in the store that is damaged or of another version. Its models are trained again.

    Examples
    --------
    >>> import tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=5, n_hidden=2),
    ...     inputs=tms.SparseUniform(feature_probability=tms.axis("p", [1.0, 0.1])),
    ...     steps=10,
    ...     batch_size=32,
    ... )
    >>> runs = tms.train(experiment, seeds=3)
    >>> dict(runs.W.sizes)
    {'p': 2, 'seed': 3, 'feature': 5, 'hidden': 2}
    """
    if not isinstance(experiment, Experiment):
        raise fail("experiment", experiment, "a tms.Experiment")
    seed_array = _check.seeds_of(seeds)
    begin = _first_step(continue_from, experiment.steps, store)
    at_loss = _steps("loss_steps", loss_steps, experiment.steps, begin)
    at_snapshot = _steps("snapshot_steps", snapshot_steps, experiment.steps, begin)
    samples = _check.integer(1)("evaluation_samples", evaluation_samples)
    _check.choice(*ENGINES)("engine", engine)
    device = _check_device(device)
    settings = _settings(store, executor, shard_size, begin)
    parts = list(experiment.parts())
    for _, part in parts:
        if isinstance(part.init, Given):
            part.init.check_seeds(seed_array.tolist())
        own: list[Any] = [part.loss]
        if isinstance(part.model, Autoencoder):
            own += [part.model.activation, part.model.hidden_activation]
        if any(map(callable, own)):
            importlib.import_module("tms._torch_engine").try_out(part, device)
    engines = [_engine_for(part, engine, device) for _, part in parts]
    check_settings([part for _, part in parts], settings)

    jobs = []
    for (indices, part), chosen in zip(parts, engines, strict=True):
        batches = -(-samples // part.batch_size) if part.batch_size else 1
        job = Job(part, seed_array, at_loss, at_snapshot, batches, device, _nowhere, begin=begin)
        jobs.append((indices, job, chosen))
    grid = Grid(experiment, len(seed_array))
    total = experiment.size * len(seed_array) * (experiment.steps - begin)
    with progress_bar(progress, total) as shown:
        if store is None and executor is None:
            for indices, job, chosen in jobs:
                module = importlib.import_module(f"tms._{chosen}_engine")
                grid.put(indices, None, module.train(replace(job, report=shown.updates)))
        else:
            sweep(jobs, settings, grid.put, shown)
    runs = _dataset(grid.arrays, experiment, seed_array, at_loss, at_snapshot)
    runs.attrs["engine"] = ", ".join(dict.fromkeys(engines))
    _warn_of_divergence(runs)
    return runs


def best(runs: xr.Dataset, dim: str = "seed") -> dict[str, xr.DataArray]:
    """Where the final loss is least over the seeds, as an indexer: ``runs.isel(tms.best(runs))``.

    Diverged models are passed over.

    Parameters
    ----------
    runs
        What `train` returned.
    dim
        The dimension to choose along.

    Returns
    -------
    dict
        Position along `dim`, an array over the other dimensions of the loss.

    Raises
    ------
    ValueError
        If this is not what `train` returned, all models to choose from have diverged, or there is no such
        dimension.

    Examples
    --------
    >>> import tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=3, n_hidden=2), inputs=tms.OneHot(), steps=5
    ... )
    >>> runs = tms.train(experiment, seeds=4)
    >>> float(runs.isel(tms.best(runs)).loss) == float(runs.loss.min())
    True
    """
    _check.runs(runs, "loss", "diverged")
    if dim not in runs.loss.dims:
        raise fail("dim", dim, f"one of the dimensions {runs.loss.dims}")
    loss = runs.loss.where(~runs.diverged)
    if bool(loss.isnull().all(dim).any()):
        raise fail("runs", "models that have all diverged", f"at least one along {dim!r} that has not")
    return {dim: loss.argmin(dim)}


def experiment_of(runs: xr.Dataset) -> Experiment:
    """The experiment that finished runs came from, as far as they have not been selected from.

    An axis of which one grid point has been selected is set to its value there.

    Parameters
    ----------
    runs
        What `train` returned, or a selection of it.

    Returns
    -------
    Experiment
        With the axes that the runs still have.

    Raises
    ------
    ValueError
        If the runs do not tell: their experiment holds a callable, or more than 1 MB of data, or the
        attributes are lost.

    Examples
    --------
    >>> import tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=3, n_hidden=2), inputs=tms.OneHot(), steps=5
    ... )
    >>> tms.experiment_of(tms.train(experiment)) == experiment
    True
    """
    return at_selection(runs, None)


def at_selection(runs: xr.Dataset, experiment: Experiment | None) -> Experiment:
    """The experiment given, or that of the runs, at the grid point which has been selected from them.

    Raises
    ------
    ValueError
        If the runs do not tell, or the experiment given cannot be theirs. Inputs and loss may differ from
        those of training: models can be judged on others.
    """
    _check.runs(runs, "W")
    known = experiment
    if known is None:
        text = runs.attrs.get("experiment")
        if not text or text.startswith(_DIGEST):
            raise fail(
                "runs",
                "no description of their experiment" if not text else f"the description's {text} alone",
                "runs from tms.train whose experiment holds no callable and at most 1 MB of data; "
                "or pass experiment=, the one that was trained",
            )
        known = Experiment.from_json(text)
    _check.instance(Experiment)("experiment", known)
    labels = {name: runs.coords[name] for name in known.axes if name in runs.coords}
    chosen = {name: label.item() for name, label in labels.items() if label.ndim == 0}
    found = known.sel(**chosen) if chosen else known
    _check_belongs(runs, found)
    return found


def _check_belongs(runs: xr.Dataset, experiment: Experiment) -> None:
    """Whether these can be models of the experiment: sizes, axes, labels and parameters."""
    for dim, size in (("feature", experiment.n_features), ("hidden", experiment.n_hidden)):
        if runs.sizes.get(dim) != size:
            raise fail("experiment", f"{dim}: {size}", f"of the runs' size, {dim}: {runs.sizes.get(dim)}")
    for name in experiment.axes:
        if name not in runs.coords:
            raise fail(
                "experiment",
                f"the axis {name!r}",
                "without axes that the runs have no labels for: select from it as from the runs",
            )
        known = set(experiment.axes[name].labels)
        for label in runs.coords[name].values.ravel().tolist():
            if label not in known:
                raise fail(
                    "experiment", f"the axis {name!r} without {label!r}", "with the labels of the runs"
                )
    trained = set(runs.attrs.get("axes", "").split())
    if missing := [dim for dim in runs.W.dims if dim in trained - set(experiment.axes)]:
        raise fail(
            "experiment",
            f"no axis {missing[0]!r}",
            "with the axes of the runs (to judge all of them at one point, rename the dimension)",
        )
    needed = [set(parameter_names(part)) for _, part in experiment.parts()]
    if lacking := sorted(set().union(*needed) - set(runs.data_vars)):
        raise fail("experiment", f"a model with {lacking[0]}", "a model with the parameters of the runs")
    # Where only some models of a grid have a parameter, the others carry one that changes nothing.
    for name in sorted(set(PARAMETERS) & set(runs.data_vars) - set().union(*needed)):
        idle = runs.W if name == "W_out" else 0.0 * runs[name].fillna(0.0)
        if not bool(((runs[name] == idle) | (runs[name].isnull() & idle.isnull())).all()):
            raise fail("experiment", f"a model without {name}", "a model with the parameters of the runs")


def parameter_names(experiment: Experiment) -> tuple[str, ...]:
    """The parameters that a model of this experiment has."""
    none = np.empty(0, np.int64)
    return Job(experiment, none, none, none, 1, "cpu", lambda _: None).parameter_names


def _settings(store: Any, executor: Any, shard_size: Any, begin: int) -> Settings:
    """How to run a sweep, checked."""
    if executor is not None and not callable(getattr(executor, "submit", None)):
        hint = "a concurrent.futures.Executor, or None; of a Dask client, client.get_executor()"
        raise fail("executor", executor, hint)
    size = _check.integer(1, optional=True)("shard_size", shard_size)
    return Settings(None if store is None else Store(store), executor, size, begin)


def _first_step(continue_from: Any, steps: int, store: Any) -> int:
    if continue_from is None:
        return 0
    begin: int = _check.integer(1, steps - 1)("continue_from", continue_from)
    if store is None:
        raise fail("store", None, "given with continue_from, since it is where earlier runs are")
    return begin


def _steps(name: str, value: Any, last: int, first: int = 0) -> np.ndarray:
    """Steps given as a number of them, log-spaced, or one by one."""
    allowed = f"a count, or increasing whole numbers, {first} <= step <= steps = {last}"
    if isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_)):
        if value < 0:
            raise fail(name, value, allowed)
        if value <= 1:
            return np.array([last][:value], dtype=np.int64)
        spaced = np.geomspace(1, last - first, value - 1) if value > 2 else np.array([last - first])
        return first + np.unique(np.concatenate([[0], np.rint(spaced)]).astype(np.int64))
    if not _check.is_sequence(value):
        raise fail(name, value, allowed)
    check = _check.integer(first, last)
    array = np.array([check(f"{name}[{i}]", item) for i, item in enumerate(value)], dtype=np.int64)
    if (np.diff(array) <= 0).any():
        raise fail(name, value, allowed)
    return array


def _engine_for(part: Experiment, wanted: str, device: str) -> str:
    fused = _fused_engine.supports(part, device)
    if wanted == "fused" and not fused:
        allowed = (
            "'torch' or 'auto', since callables, devices other than the CPU, and cross-entropy of a bilinear "
            "model need torch"
        )
        raise fail("engine", wanted, allowed)
    return "torch" if wanted == "torch" or not fused else "fused"


def _check_device(device: Any) -> str:
    """The device by name; the CPU has one name, by which the engines know it."""
    if isinstance(device, str) and device == "cpu":
        return "cpu"
    import torch  # only here, so that descriptions and small helpers load without it

    allowed = "a torch device that is there, such as 'cpu'"
    if not isinstance(device, (str, torch.device)):
        raise fail("device", device, allowed)
    try:
        torch.zeros(1, device=device).cpu()  # which a device without storage ("meta") cannot do
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        raise fail("device", device, allowed) from error
    return "cpu" if torch.device(device).type == "cpu" else str(device)


def _nowhere(updates: int) -> None:
    """Where updates are reported to until somebody listens."""


class Grid:
    """The arrays of a whole grid, [*axes, seed, ...], filled as models are finished."""

    def __init__(self, experiment: Experiment, n_seeds: int) -> None:
        self._axes = experiment.axes
        self._shape = (*experiment.shape.values(), n_seeds)
        self.arrays: Arrays = {}

    def put(self, indices: dict[str, int], models: np.ndarray | None, arrays: Arrays) -> None:
        """Write arrays [model, ...] of a part to their place.

        Parameters
        ----------
        indices
            The part's position on the axes that split the grid.
        models
            Numbers of the models in the part, as in a `Job`; None for all.
        arrays
            What an engine returned for them.
        """
        place = tuple(indices.get(name, slice(None)) for name in self._axes)
        if "W_out" not in arrays:
            # Among untied models a tied one reads where it writes; where all are tied, it is left out later.
            arrays = arrays | {name.replace("W", "W_out", 1): arrays[name] for name in ("W", "W_snapshot")}
        for name, array in arrays.items():
            if name not in self.arrays:
                self.arrays[name] = np.zeros((*self._shape, *array.shape[1:]), array.dtype)
            part = self.arrays[name][place]  # a view, since the place has no lists
            outer = part.shape[: part.ndim - array.ndim + 1]
            if models is None:
                part[...] = array.reshape(part.shape)
            else:
                part[np.unravel_index(models, outer)] = array


def _dataset(
    whole: Arrays,
    experiment: Experiment,
    seeds: np.ndarray,
    loss_steps: np.ndarray,
    snapshot_steps: np.ndarray,
) -> xr.Dataset:
    outer = (*experiment.axes, "seed")
    dims = {"loss": outer, "loss_curve": (*outer, "loss_step")}
    for name, inner in PARAMETERS.items():
        dims[name] = (*outer, *inner)
        dims[f"{name}_snapshot"] = (*outer, "snapshot_step", *inner)
    if not any("W_out" in part.model.parameter_names for _, part in experiment.parts()):
        whole = {name: array for name, array in whole.items() if not name.startswith("W_out")}
    coords: dict[str, Any] = {name: list(axis.labels) for name, axis in experiment.axes.items()}
    coords |= {"seed": seeds, "loss_step": loss_steps, "snapshot_step": snapshot_steps}
    order = [name for name in dims if name in whole]
    runs = xr.Dataset({name: (dims[name], whole[name]) for name in order}, coords)
    finite = xr.apply_ufunc(np.isfinite, runs.loss)
    for name in (*PARAMETERS, "loss_curve"):
        if name in runs:
            finite = finite & xr.apply_ufunc(np.isfinite, runs[name]).all(
                [d for d in runs[name].dims if d not in outer]
            )
    runs["diverged"] = ~finite
    try:
        text = experiment.to_json()
    except ValueError:  # it holds a callable
        text = ""
    # A data set or many starts would be written into every file and carried by every selection.
    large = len(text) > _LONGEST
    runs.attrs["experiment"] = _DIGEST + hashlib.sha256(text.encode()).hexdigest() if large else text
    runs.attrs["axes"] = " ".join(experiment.axes)
    runs.attrs["description"] = repr(experiment)
    return runs


def _warn_of_divergence(runs: xr.Dataset) -> None:
    diverged = runs.diverged
    count = int(diverged.sum())
    if not count:
        return
    per_point = diverged.sum("seed")
    positions = np.argwhere(per_point.values)
    lines = []
    for position in positions[:10]:
        entry = per_point[tuple(position)]
        place = ", ".join(f"{dim} = {entry.coords[dim].item()!r}" for dim in per_point.dims) or "the model"
        lines.append(f"{place}: {int(entry)} of {diverged.sizes['seed']} seeds")
    shown = "; ".join(lines) + ("; …" if len(positions) > 10 else "")
    warnings.warn(f"{count} of {diverged.size} models diverged ({shown})", DivergenceWarning, stacklevel=3)
