"""Training: one function from an experiment to labelled arrays."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import xarray as xr

from tms import _check, _fused_engine
from tms._check import fail
from tms._engine import PARAMETERS, Arrays, Job
from tms.experiment import Experiment
from tms.init import Given

ENGINES = ("auto", "fused", "torch")


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
    device: str = "cpu",
    loss_steps: int | Sequence[int] | np.ndarray = 32,
    snapshot_steps: int | Sequence[int] | np.ndarray = 8,
    evaluation_samples: int = 32_768,
    progress: bool | None = None,
) -> xr.Dataset:
    """Train every model of an experiment's grid, once for each seed.

    A seed decides a model's initial weights and its batches, and nothing else does: neither the model's place
    in the grid, nor what is trained beside it.

    Parameters
    ----------
    experiment
        What to train.
    seeds
        A number of seeds, n, for the seeds 0 … n − 1; or the seeds themselves.
    engine
        "fused", compiled loops for autoencoders on a CPU, far faster for small models; "torch", for any
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

    Returns
    -------
    xarray.Dataset
        Dimensions: the axes of the experiment, then ``seed``, then those of each array. ``W`` [feature,
        hidden] write directions; ``W_out`` [feature, hidden] read directions where a model is untied; ``b``
        [feature] and ``b_hidden`` [hidden] where a model has them (0 at the grid points that have not);
        ``loss``, the final loss; ``loss_curve`` [loss_step], the loss on the batch of each step, before its
        update; ``W_snapshot`` [snapshot_step, feature, hidden] and so on; ``diverged``.

    Raises
    ------
    ValueError
        If a parameter is not as described, the device is not there, or the fused engine was asked for what it
        cannot do.

    Warns
    -----
    DivergenceWarning
        Once, naming the grid points where a model diverged. The others are not affected.

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
    at_loss = _steps("loss_steps", loss_steps, experiment.steps)
    at_snapshot = _steps("snapshot_steps", snapshot_steps, experiment.steps)
    samples = _check.integer(1)("evaluation_samples", evaluation_samples)
    _check.choice(*ENGINES)("engine", engine)
    _check_device(device)
    parts = list(experiment.parts())
    for _, part in parts:
        if isinstance(part.init, Given):
            part.init.check_seeds(seed_array.tolist())
    engines = [_engine_for(part, engine, device) for _, part in parts]

    whole: Arrays = {}
    used: dict[str, None] = {}
    with _progress_bar(progress, experiment.size * len(seed_array) * experiment.steps) as report:
        for (indices, part), chosen in zip(parts, engines, strict=True):
            used[chosen] = None
            batches = -(-samples // part.batch_size) if part.batch_size else 1
            job = Job(part, seed_array, at_loss, at_snapshot, batches, device, report)
            arrays = importlib.import_module(f"tms._{chosen}_engine").train(job)
            _put(whole, arrays, experiment, indices, part, seed_array)
    runs = _dataset(whole, experiment, seed_array, at_loss, at_snapshot)
    runs.attrs["engine"] = ", ".join(used)
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

    Raises
    ------
    ValueError
        If all models to choose from have diverged, or there is no such dimension.

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
    if dim not in runs.loss.dims:
        raise fail("dim", dim, f"one of the dimensions {runs.loss.dims}")
    loss = runs.loss.where(~runs.diverged)
    if bool(loss.isnull().all(dim).any()):
        raise fail("runs", "models that have all diverged", f"at least one along {dim!r} that has not")
    return {dim: loss.argmin(dim)}


def experiment_of(runs: xr.Dataset) -> Experiment:
    """The experiment that finished runs came from, as far as they have not been selected from.

    An axis of which one grid point has been selected is set to its value there.

    Raises
    ------
    ValueError
        If the runs do not tell, because their experiment holds a callable or the attributes are lost.

    Examples
    --------
    >>> import tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=3, n_hidden=2), inputs=tms.OneHot(), steps=5
    ... )
    >>> tms.experiment_of(tms.train(experiment)) == experiment
    True
    """
    text = runs.attrs.get("experiment")
    if not text:
        raise fail(
            "runs",
            "no description of their experiment",
            "runs from tms.train whose experiment holds no callable",
        )
    experiment = Experiment.from_json(text)
    chosen = {
        name: runs.coords[name].item()
        for name in experiment.axes
        if name in runs.coords and runs.coords[name].ndim == 0
    }
    return experiment.sel(**chosen) if chosen else experiment


def _steps(name: str, value: Any, last: int) -> np.ndarray:
    """Steps given as a number of them, log-spaced, or one by one."""
    allowed = f"a count, or increasing whole numbers, 0 <= step <= steps = {last}"
    if isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_)):
        if value < 0:
            raise fail(name, value, allowed)
        if value <= 1:
            return np.array([last][:value], dtype=np.int64)
        spaced = np.geomspace(1, last, value - 1) if value > 2 else np.array([last])
        return np.unique(np.concatenate([[0], np.rint(spaced)]).astype(np.int64))
    if not _check.is_sequence(value):
        raise fail(name, value, allowed)
    check = _check.integer(0, last)
    array = np.array([check(f"{name}[{i}]", item) for i, item in enumerate(value)], dtype=np.int64)
    if (np.diff(array) <= 0).any():
        raise fail(name, value, allowed)
    return array


def _engine_for(part: Experiment, wanted: str, device: str) -> str:
    fused = _fused_engine.supports(part, device)
    if wanted == "fused" and not fused:
        allowed = "'torch' or 'auto', since callables and devices other than the CPU need torch"
        raise fail("engine", wanted, allowed)
    return "torch" if wanted == "torch" or not fused else "fused"


def _check_device(device: Any) -> None:
    if isinstance(device, str) and device == "cpu":
        return
    import torch  # only here, so that descriptions and small helpers load without it

    allowed = "a torch device that is there, such as 'cpu'"
    if not isinstance(device, (str, torch.device)):
        raise fail("device", device, allowed)
    try:
        torch.zeros(1, device=device).cpu()  # which a device without storage ("meta") cannot do
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        raise fail("device", device, allowed) from error


def _put(
    whole: Arrays,
    arrays: Arrays,
    experiment: Experiment,
    indices: dict[str, int],
    part: Experiment,
    seeds: np.ndarray,
) -> None:
    """Write the arrays of a part to their place in the arrays of the grid."""
    shape = (*experiment.shape.values(), len(seeds))
    place = tuple(indices.get(name, slice(None)) for name in experiment.axes)
    if part.model.tied:
        # Among untied models a tied one reads where it writes; where all are tied, this is left out later.
        arrays |= {name.replace("W", "W_out", 1): arrays[name] for name in ("W", "W_snapshot")}
    for name, array in arrays.items():
        inner = array.shape[len(place) - len(indices) + 1 :]
        if name not in whole:
            whole[name] = np.zeros((*shape, *inner), array.dtype)
        whole[name][place] = array


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
    if all(part.model.tied for _, part in experiment.parts()):
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
        runs.attrs["experiment"] = experiment.to_json()
    except ValueError:  # it holds a callable
        runs.attrs["experiment"] = ""
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


@contextmanager
def _progress_bar(show: bool | None, total: int) -> Iterator[Callable[[int], None]]:
    """A function to report model updates to."""
    if show is None:
        show = sys.stderr.isatty() or _in_notebook()
    if not show:
        yield lambda _: None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of notebooks without ipywidgets, where a plain bar will do
        from tqdm.auto import tqdm
    with tqdm(total=total, unit=" updates", unit_scale=True, leave=False) as bar:
        yield lambda n: bar.update(n) and None


def _in_notebook() -> bool:
    """Whether this is a Jupyter kernel, found without importing anything."""
    if "ipykernel" not in sys.modules or "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and "IPKernelApp" in shell.config
