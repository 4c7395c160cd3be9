"""Sweeps: a grid cut into shards, trained here or by an executor, kept in a store.

    parts ─ name every model ─ look in the store ─ cut what is missing into shards ─ train ─ keep ─ arrays

A shard is some models of one part. Which models are trained together changes no bit of any of them, so the
cut is free: it follows from the work that a model takes, and so is the same for every executor.
"""

from __future__ import annotations

import importlib
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

import tms
from tms import _fused_engine, _identity
from tms._check import fail
from tms._engine import MEMORY, Arrays, Job
from tms._progress import Progress
from tms.experiment import Experiment
from tms.init import PARAMETERS
from tms.schedule import Schedule
from tms.store import Store, StoreError, check_storable, description

# Work in a shard: arithmetic operations, a second or less on one core for the fused engine. A killed process
# loses no more than this for each of its workers, and workers share a sweep evenly if it is a small part;
# reading, writing and sending a shard takes some hundredths of a second.
SHARD_WORK = 5e10
# Bytes of a shard's arrays at most.
SHARD_BYTES = 2**26
# Shards that an executor is given ahead.
AHEAD = 64

Put = Callable[[dict[str, int], np.ndarray, Arrays], None]


class SweepError(RuntimeError):
    """An executor lost its workers or its scheduler. Finished shards are in the store; call again to go on.

    Examples
    --------
    >>> import tms
    >>> issubclass(tms.SweepError, RuntimeError)
    True
    """


@dataclass(frozen=True)
class Shard:
    """Models to be trained together, in a form that can be sent to another process.

    Attributes
    ----------
    job
        The models and their training; its `report` is set where it is trained.
    engine
        "fused" or "torch".
    models, states, points
        Names; see `tms._identity`. None without a store.
    version
        Of the code that is to train it.
    """

    job: Job
    engine: str
    models: list[bytes] | None
    states: list[bytes] | None
    points: list[bytes] | None
    version: str

    @property
    def name(self) -> str:
        assert self.models is not None
        return _identity.shard(self.models)


@dataclass(frozen=True)
class Settings:
    """How a sweep is run.

    Attributes
    ----------
    store
        Where models are kept, or None.
    executor
        What trains the shards; None for threads of this process.
    shard_size
        Models in a shard; None for as many as `SHARD_WORK` and `SHARD_BYTES` allow.
    continue_from
        Steps of the runs to go on from; 0 to begin at the start.
    """

    store: Store | None
    executor: Executor | None
    shard_size: int | None
    continue_from: int


@dataclass
class _Part:
    """A part of the grid, what its models are called, and which of them are still to be had."""

    indices: dict[str, int]
    job: Job
    engine: str
    identity: _identity.Identity | None
    points: list[bytes]
    states: list[bytes]
    models: list[bytes]
    missing: np.ndarray


def sweep(
    jobs: list[tuple[dict[str, int], Job, str]], settings: Settings, put: Put, progress: Progress
) -> None:
    """Train jobs, each the whole of a part, or load what is there.

    Parameters
    ----------
    jobs
        For each part its position on the axes that split the grid, the job, and the engine.
    put
        Called with a part's position, numbers of its models, and their arrays [model, ...].

    Raises
    ------
    StoreError
        If the store cannot be read, or not be written although something is missing.
    SweepError
        If the executor fails.
    """
    store = settings.store
    parts = [_named(indices, job, engine, store is not None) for indices, job, engine in jobs]
    if store is not None:
        _load(parts, store, put, progress)
        if any(len(part.missing) for part in parts):
            store.check_writable()
        if settings.continue_from:
            _train_legs(parts, settings, store, progress)
    for engine in dict.fromkeys(part.engine for part in parts):
        some = [part for part in parts if part.engine == engine]
        cut = [(part, models) for part in some for models in _cut(part, settings, part.missing)]
        _train(cut, settings, put, progress)


def _named(indices: dict[str, int], job: Job, engine: str, stored: bool) -> _Part:
    everything = np.arange(job.n_models)
    if not stored:
        return _Part(indices, job, engine, None, [], [], [], everything)
    identity = _identity.Identity(job.part, engine, job.device)
    points = identity.points()
    states = identity.states(job, points)
    models = _identity.models(states, job)
    return _Part(indices, job, engine, identity, points, states, models, everything)


def _load(parts: list[_Part], store: Store, put: Put, progress: Progress) -> None:
    """Put what the store has, and leave the rest as missing."""
    for part in parts:
        found = np.zeros(part.job.n_models, bool)
        places: dict[str, list[tuple[int, int]]] = {}
        for name, row, number in store.find(part.models):
            places.setdefault(name, []).append((row, number))
        # The largest first, so that a file is seldom read for a few models.
        for name, rows in sorted(places.items(), key=lambda item: -len(item[1])):
            new = np.array([(row, number) for row, number in rows if not found[number]], int).reshape(-1, 2)
            if not len(new) or (shard := store.read(name)) is None:
                continue
            # An index can be wrong; the shard itself says what is in it.
            new = new[new[:, 0] < shard.sizes["model"]]
            names = shard.model_id.values[new[:, 0]].tolist()
            right = [_name(known) == part.models[number]
                     for known, number in zip(names, new[:, 1].tolist(), strict=True)]  # fmt: skip
            new = new[right]
            put(part.indices, new[:, 1], _arrays(shard, new[:, 0]))
            found[new[:, 1]] = True
        part.missing = np.flatnonzero(~found)
        progress.loaded(int(found.sum()) * (part.job.part.steps - part.job.begin))


def _train_legs(parts: list[_Part], settings: Settings, store: Store, progress: Progress) -> None:
    """Let missing models go on from runs of fewer steps; what the store lacks of these is trained first."""
    none = np.empty(0, np.int64)
    for part in parts:
        if not len(part.missing):
            continue
        earlier = part.job.part.replace(steps=settings.continue_from)
        whole = replace(part.job, part=earlier, loss_steps=none, snapshot_steps=none, begin=0)
        identity = _identity.Identity(earlier, part.engine, whole.device)
        every = identity.states(whole, identity.points())
        states = [every[number] for number in part.missing.tolist()]

        def resume(wanted: list[bytes] = states, part: _Part = part) -> np.ndarray:
            """Fill in what there is; which models have none?"""
            found = np.zeros(len(wanted), bool)
            for name, row, number in store.find(wanted, states=True):
                if found[number] or (shard := store.read(name)) is None:
                    continue
                if row >= shard.sizes["model"] or _name(shard.state_id.values[row]) != wanted[number]:
                    continue  # an index can be wrong; the shard itself says what is in it
                if part.job.resume is None:
                    part.job = replace(part.job, resume={})
                assert part.job.resume is not None
                for key in _state_names(part.job):
                    value = shard[key].values[row]
                    kept = part.job.resume.setdefault(
                        key, np.zeros((part.job.n_models, *value.shape), value.dtype)
                    )
                    kept[part.missing[number]] = value
                found[number] = True
            return part.missing[~found]

        lacking = resume()
        if len(lacking):
            leg = _named(part.indices, whole, part.engine, True)
            cut = [(leg, models) for models in _cut(leg, settings, lacking)]
            progress.more(len(lacking) * settings.continue_from)
            _train(cut, settings, lambda *_: None, progress)
            lacking = resume()
            if len(lacking):
                raise StoreError(f"the store {store} has lost shards that were just written")


def _state_names(job: Job) -> list[str]:
    """The arrays that a state consists of."""
    names = job.parameter_names
    return [*names, *(f"{name}_{kind}" for name in names for kind in MEMORY)]


def _cut(part: _Part, settings: Settings, models: np.ndarray) -> list[np.ndarray]:
    """Cut models into shards of the same size, or one more or less."""
    count = math.ceil(len(models) / (settings.shard_size or shard_size(part.job)))
    return np.array_split(models, count) if count else []


def shard_size(job: Job) -> int:
    """How many models make a shard.

    A step on a batch of B samples of n features with m hidden dimensions counts as 20 B n (m + 1) operations.
    """
    experiment = job.part
    steps = experiment.steps - job.begin
    work = 20.0 * experiment.batch_length * experiment.n_features * (experiment.n_hidden + 1) * steps
    values = sum(int(np.prod(job.parameter_shape(name))) for name in job.parameter_names)
    size = np.dtype(experiment.dtype).itemsize
    held = size * (values * (3 + len(job.snapshot_steps)) + len(job.loss_steps)) + 100
    return max(1, int(min(SHARD_WORK / work, SHARD_BYTES / held)))


def _threads(engine: str) -> int:
    """How many threads of this process share shards out among themselves; torch uses all cores by itself."""
    return 1 if engine == "torch" else _fused_engine.thread_count()


def _takes_more(running: list[int], settings: Settings, threads: int) -> bool:
    """Whether one more shard is to be begun; of those that are, the numbers of models.

    In this process each shard may use all threads. One more shard than is needed to have a model for every
    thread keeps them busy while another shard's last models are trained.
    """
    if settings.executor is not None:
        return len(running) < AHEAD
    if threads == 1:
        return len(running) < 2
    return sum(running[:-1]) < threads


def _train(cut: list[tuple[_Part, np.ndarray]], settings: Settings, put: Put, progress: Progress) -> None:
    """Train shards of one engine, and put their arrays as they are finished."""
    if not cut:
        return
    store, total, done = settings.store, len(cut), 0
    where = _dashboard(settings.executor)
    waiting = iter(cut)
    running: dict[Future[Arrays | None], tuple[_Part, Shard]] = {}
    threads = _threads(cut[0][0].engine)
    with _workers(settings, threads, progress, running) as submit:
        exhausted = False
        while True:
            while not exhausted and _takes_more(
                [len(shard.job.models) for _, shard in running.values() if shard.job.models is not None],
                settings,
                threads,
            ):
                part, models = next(waiting, (None, None))
                if part is None or models is None:
                    exhausted = True
                    break
                shard = _shard(part, models)
                try:
                    running[submit(shard)] = (part, shard)
                except Exception as error:  # of a pool that is broken, or a client that is closed
                    raise _lost(error, done, total, store) from error
            progress.note(f"{done} of {total} shards{where}")
            if not running:
                return
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            # Those that failed come last, so that the others are counted.
            for future in sorted(finished, key=_failed):
                part, shard = running.pop(future)
                try:
                    arrays = future.result()
                except (ValueError, StoreError, SweepError, KeyboardInterrupt, MemoryError):
                    raise
                except (Exception, CancelledError) as error:
                    if settings.executor is None:
                        raise
                    raise _lost(error, done, total, store) from error
                numbers = shard.job.models
                assert numbers is not None
                if arrays is None:
                    assert store is not None
                    kept = store.read(shard.name)
                    if kept is None:
                        raise StoreError(f"the store {store} has lost {shard.name}.nc, just written; do the "
                                         f"workers see the same folder?")  # fmt: skip
                    arrays = _arrays(kept, np.arange(len(numbers)))
                put(part.indices, numbers, _without_memory(arrays))
                done += 1
                if settings.executor is not None:
                    progress.updates(len(numbers) * (shard.job.part.steps - shard.job.begin))


@contextmanager
def _workers(
    settings: Settings,
    threads: int,
    progress: Progress,
    running: dict[Future[Arrays | None], tuple[_Part, Shard]],
) -> Iterator[Callable[[Shard], Future[Arrays | None]]]:
    """A function that hands a shard to whoever trains it.

    If something fails, those of `running` that have not begun are cancelled. Nothing else is kept of a shard,
    since a future holds its arrays.
    """
    address = None if settings.store is None else str(settings.store)
    stop = threading.Event()

    def report(updates: int) -> None:
        if stop.is_set():
            raise _StoppedError
        progress.updates(updates)

    def submit(shard: Shard) -> Future[Arrays | None]:
        if settings.executor is None:
            own = replace(shard, job=replace(shard.job, report=report))
            return pool.submit(train_shard, own, address, None)
        return settings.executor.submit(train_elsewhere, shard, address)

    # Shards of one model take one thread each.
    pool = ThreadPoolExecutor(1 if threads == 1 else threads + 1, thread_name_prefix="tms-sweep")
    try:
        yield submit
    except BaseException:
        stop.set()
        for future in list(running):
            future.cancel()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _StoppedError(Exception):
    """Raised in the threads of a sweep that has been interrupted."""


def train_elsewhere(shard: Shard, address: str | None) -> Arrays | None:
    """Train a shard in a worker's process, on one thread.

    Returns
    -------
    dict or None
        The arrays; None if there is a store, where they are then.

    Raises
    ------
    SweepError
        If this process runs other code than the one that asks.
    """
    here = _identity.code_version(shard.engine)
    if here != shard.version:
        package = "numba" if shard.engine == "fused" else "torch"
        raise SweepError(
            f"a worker runs version {here} of the code that trains, and this process {shard.version}: "
            f"install the same Python, tms, numpy and {package} on both"
        )
    if shard.engine == "torch":
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            arrays = train_shard(shard, address, 1)
        finally:
            torch.set_num_threads(before)
    else:
        arrays = train_shard(shard, address, 1)
    return arrays if address is None else None


def train_shard(shard: Shard, address: str | None, threads: int | None) -> Arrays:
    """Train a shard, and keep it if there is a store. One that somebody else has finished is loaded."""
    store = None if address is None else Store(address)
    if (
        store is not None
        and store.has(shard.name)
        and (kept := store.read(shard.name, warn=False)) is not None
    ):
        assert shard.models is not None
        return _arrays(kept, np.arange(len(shard.models)))
    job = replace(shard.job, keep_memory=store is not None)
    if shard.engine == "fused":
        arrays = _fused_engine.train(job, threads=threads)
    else:
        arrays = importlib.import_module("tms._torch_engine").train(job)
    if store is not None:
        store.write(shard.name, _dataset(shard, arrays))
    return arrays


def _failed(future: Future[Any]) -> bool:
    return future.cancelled() or future.exception() is not None


def _silent(updates: int) -> None:
    """Reports from other processes go nowhere; a finished shard is what counts."""


def _shard(part: _Part, models: np.ndarray) -> Shard:
    resume = None if part.job.resume is None else {k: v[models] for k, v in part.job.resume.items()}
    job = replace(part.job, models=models, report=_silent, resume=resume)
    version = _identity.code_version(part.engine)
    if part.identity is None:
        return Shard(job, part.engine, None, None, None, version)
    return Shard(
        job,
        part.engine,
        [part.models[i] for i in models.tolist()],
        [part.states[i] for i in models.tolist()],
        [part.points[i] for i in job.points.tolist()],
        version,
    )


def _dataset(shard: Shard, arrays: Arrays) -> xr.Dataset:
    """A shard as it is kept: its arrays, what varies, names, and a description."""
    job = shard.job
    assert shard.models is not None
    assert shard.states is not None
    assert shard.points is not None
    dims = {"loss": ("model",), "loss_curve": ("model", "loss_step")}
    for name, inner in PARAMETERS.items():
        dims[name] = ("model", *inner)
        dims[f"{name}_snapshot"] = ("model", "snapshot_step", *inner)
        dims |= {f"{name}_{kind}": ("model", *inner) for kind in MEMORY}
    # The format knows no empty arrays: where nothing was recorded, there is none.
    data: dict[str, Any] = {name: (dims[name], array) for name, array in arrays.items() if array.size}
    text, values = description(_identity.Identity(job.part, shard.engine, job.device), job.points)
    for path, value in values.items():
        data[path] = (("model", "feature")[: value.ndim], value)
    finite = np.isfinite(arrays["loss"])
    for name in (*job.parameter_names, "loss_curve"):
        finite &= np.isfinite(arrays[name]).reshape(len(finite), -1).all(1)
    data["diverged"] = ("model", ~finite)
    data["seed"] = ("model", job.model_seeds.astype(np.int32))
    for name, names in (("model", shard.models), ("state", shard.states), ("point", shard.points)):
        data[f"{name}_id"] = ("model", np.array([item.hex().encode() for item in names], "S32"))
    recorded = {"loss_step": job.loss_steps, "snapshot_step": job.snapshot_steps}
    coords = {name: steps.astype(np.int32) for name, steps in recorded.items() if len(steps)}
    attributes = {
        "title": "Toy models of superposition, trained by tms",
        "tms_version": tms.__version__,
        "code_version": shard.version,
        "engine": shard.engine,
        "device": job.device,
        "steps": np.int32(job.part.steps),
        "experiment": text,
    }
    return xr.Dataset(data, coords, attributes)


def _arrays(shard: xr.Dataset, rows: np.ndarray) -> Arrays:
    """The arrays of some models of a kept shard, in this machine's byte order, as an engine returns them."""

    def some(name: str, *nothing: int) -> np.ndarray:
        """An array, or an empty one of this shape for each model."""
        if name not in shard:
            return np.zeros((len(rows), *nothing), shard.loss.dtype.newbyteorder("="))
        values: np.ndarray = shard[name].values[rows]
        native: np.ndarray = values.astype(values.dtype.newbyteorder("="))
        return native

    arrays = {"loss": some("loss"), "loss_curve": some("loss_curve", 0)}
    for name in PARAMETERS:
        if name in shard:
            arrays[name] = some(name)
            arrays[f"{name}_snapshot"] = some(f"{name}_snapshot", 0, *arrays[name].shape[1:])
    return arrays


def _without_memory(arrays: Arrays) -> Arrays:
    endings = tuple(f"_{kind}" for kind in MEMORY)
    return {name: array for name, array in arrays.items() if not name.endswith(endings)}


def _name(digits: Any) -> bytes:
    """A model's name as bytes."""
    return bytes.fromhex(digits.decode() if isinstance(digits, bytes) else str(digits))


def _dashboard(executor: Executor | None) -> str:
    """Where Dask shows what its workers do."""
    client = getattr(executor, "_client", None)
    link = getattr(client, "dashboard_link", None)
    return f", {link}" if link else ""


def _lost(error: BaseException, done: int, total: int, store: Store | None) -> SweepError:
    kept = "there is no store, so they are lost" if store is None else f"they are kept in {store}"
    what = str(error) or type(error).__name__
    return SweepError(
        f"the executor failed ({type(error).__name__}: {what}) when {done} of {total} shards were finished; "
        f"{kept}. The same call again trains what is missing"
    )


def check_continuation(parts: list[Experiment], continue_from: int) -> None:
    """Whether runs of so many steps are the beginning of these.

    Raises
    ------
    ValueError
        If they are not, because a schedule is laid over the whole run.
    """
    for part in parts:
        if isinstance(part.optimizer.lr, Schedule):
            raise fail(
                "continue_from",
                continue_from,
                f"None with {part.optimizer.lr!r}: a schedule is laid over the whole run, so a shorter run "
                f"is not its beginning",
            )


def check_settings(parts: list[Experiment], settings: Settings) -> None:
    """Whether a sweep can be run so.

    Raises
    ------
    ValueError
        If it cannot.
    """
    if settings.store is not None:
        for part in parts:
            check_storable(part)
    if settings.continue_from:
        check_continuation(parts, settings.continue_from)
