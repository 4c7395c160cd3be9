"""The fused engine: each model's training loop as one compiled function, models spread over threads.

The work on a model never leaves the processor's cache: a tile of the batch is sampled, encoded, decoded,
judged, and its gradient taken, before the next one; then the optimiser steps. See `tms._kernels`.
"""

from __future__ import annotations

import dataclasses
import os
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from tms import _random
from tms._check import fail
from tms._engine import MEMORY, Arrays, Job
from tms.experiment import Experiment
from tms.inputs import Dataset, GroupedSparse, KSparse, OneHot, SparseUniform
from tms.loss import MSE, CrossEntropy
from tms.model import ACTIVATIONS, Autoencoder, Bilinear, Model
from tms.optimizer import SGD, Adam, AdamW
from tms.schedule import Cosine, Linear, Schedule, WarmupCosine

# Seconds that a call into compiled code may take: how soon an interrupt is noticed.
_CHUNK_SECONDS = 0.2


def supports(part: Experiment, device: str) -> bool:
    """Whether this engine can train a part of a grid."""
    model, lr = part.model, part.optimizer.lr
    if isinstance(model, Autoencoder):
        known = isinstance(model.activation, str) and isinstance(model.hidden_activation, str)
    else:
        known = isinstance(model, Bilinear) and isinstance(part.loss, MSE)
    return (
        known
        and device == "cpu"
        # numba's own switch for debugging; Python would take hours.
        and os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
        # Not what is derived from these: it may do something else.
        and type(part.loss) in (MSE, CrossEntropy)
        and type(part.inputs) in (SparseUniform, GroupedSparse, OneHot, KSparse, Dataset)
        and type(part.optimizer) in (SGD, Adam, AdamW)
        and (not isinstance(lr, Schedule) or type(lr) in (Linear, Cosine, WarmupCosine))
    )


def train(job: Job, *, gaps: bool = True, threads: int | None = None) -> Arrays:
    """Train models of one part of a grid; see `tms._engine.Job`.

    Parameters
    ----------
    gaps
        Whether inputs with few active features may be sampled by the gaps between them. The distribution is
        the same; without it the samples are the torch engine's, to the bit.
    threads
        How many threads to use; `thread_count()` if None. The result does not depend on it.
    """
    task = _Task(job, gaps)
    threads = min(threads or thread_count(), job.n_models)
    models = iter(range(job.n_models))
    lock, stop = threading.Lock(), threading.Event()
    messages: queue.SimpleQueue[int | BaseException | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            memory = task.memory()
            while not stop.is_set():
                with lock:
                    model = next(models, None)
                if model is None:
                    break
                for updates in task.train(model, memory):
                    messages.put(updates)
                    if stop.is_set():
                        break
            messages.put(None)
        except BaseException as error:  # to be raised where train was called
            messages.put(error)

    workers = [threading.Thread(target=work, name=f"tms-{i}", daemon=True) for i in range(threads)]
    try:
        for worker in workers:
            worker.start()
        running = len(workers)
        while running:
            message = messages.get()
            if message is None:
                running -= 1
            elif isinstance(message, BaseException):
                raise message
            else:
                job.report(message)
    finally:
        stop.set()
        for worker in workers:
            if worker.ident is not None:
                worker.join()
    return task.arrays()


def thread_count() -> int:
    """TMS_THREADS if that is set, otherwise the number of processors that this process may use.

    Raises
    ------
    ValueError
        If TMS_THREADS is set to something else than a whole number, at least 1.
    """
    text = os.environ.get("TMS_THREADS", "")
    if text:
        if not text.isdecimal() or int(text) < 1:
            raise fail("TMS_THREADS", text, "a whole number, at least 1")
        return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Task:
    """A job in the form that the kernels take, and its results."""

    def __init__(self, job: Job, gaps: bool) -> None:
        from tms._kernels import _types  # only here: numba takes a moment to load

        self.job, self.dtype = job, np.dtype(job.part.dtype)
        self.run: Any = None  # the compiled loop
        part, sizes = (
            job.part,
            {name: int(np.prod(job.parameter_shape(name))) for name in job.parameter_names},
        )
        offsets = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist(), strict=False))
        inputs, loss, given = part.inputs, part.loss, self._given()
        assert isinstance(loss, (MSE, CrossEntropy))
        self.offsets, self.sizes = offsets, sizes
        self.data, self.targets = given
        samples = part.n_features if isinstance(inputs, OneHot) else self.data.shape[1]
        self.numbers = _types.Numbers(
            features=part.n_features,
            hidden=part.n_hidden,
            batch=part.batch_size or samples,
            samples=samples,
            shuffled=int(isinstance(inputs, Dataset) and part.batch_size is not None),
            own_targets=int(isinstance(inputs, Dataset) and inputs.targets is not None),
            source={
                SparseUniform: _types.UNIFORM,
                GroupedSparse: _types.GROUPED,
                KSparse: _types.K_SPARSE,
                OneHot: _types.ONE_HOT,
                Dataset: _types.DATA,
            }[type(inputs)],
            k=(
                inputs.k
                if isinstance(inputs, KSparse)
                else inputs.set_size
                if isinstance(inputs, GroupedSparse)
                else 0
            ),
            ones=int(isinstance(inputs, KSparse) and inputs.values == "one"),
            activation=_activation(part.model, "activation"),
            hidden_activation=_activation(part.model, "hidden_activation"),
            loss=_types.SQUARED_ERROR if isinstance(loss, MSE) else _types.CROSS_ENTROPY,
            reduction=("mean", "feature_sum", "sum").index(loss.reduction),
            optimizer=(SGD, Adam, AdamW).index(type(part.optimizer)),
            schedule=self._schedule(),
            steps=part.steps,
            evaluations=job.evaluation_batches if part.inputs.sampled else 1,
            parameters=sum(sizes.values()),
            read=offsets.get("W_out", 0),
            end_bias=offsets.get("b", -1),
            hidden_bias=offsets.get("b_hidden", -1),
            gate=offsets.get("W_gate", -1),
            gate_bias=offsets.get("b_gate", -1),
        )
        self.optimizer_numbers = self._optimizer_numbers()
        self._set_inputs(gaps)
        importance = job.per_model(loss.importance) if isinstance(loss, MSE) else np.ones(1)
        self.importance = _per_feature(importance, part.n_features).astype(self.dtype)

        n, total = job.n_models, self.numbers.parameters
        self.parameters = np.concatenate([job.start(name).reshape(n, -1) for name in sizes], 1).astype(
            self.dtype
        )
        self.parameters = np.ascontiguousarray(self.parameters)
        self.memories = np.zeros((len(MEMORY), n, total) if job.keep_memory or job.resume else 0, self.dtype)
        if job.resume is not None:
            for memory, kind in zip(self.memories, MEMORY, strict=True):
                memory[:] = np.concatenate(
                    [job.resume[f"{name}_{kind}"].reshape(n, -1) for name in sizes], axis=1
                )
        self.losses = np.zeros((n, len(job.loss_steps)), self.dtype)
        self.snapshots = np.zeros((n, len(job.snapshot_steps), total), self.dtype)
        self.loss = np.zeros((n, 1))
        self.loss_steps = np.array(job.loss_steps, np.int64)
        self.snapshot_steps = np.array(job.snapshot_steps, np.int64)

    def _given(self) -> tuple[np.ndarray, np.ndarray]:
        """Data and targets [feature, sample]; empty where data are drawn, or targets are the data."""
        inputs, empty = self.job.part.inputs, np.zeros((0, 0), self.dtype)
        if not isinstance(inputs, Dataset):
            return empty, empty
        targets = empty if inputs.targets is None else self._columns(inputs.targets)
        return self._columns(inputs.data), targets

    def _columns(self, values: Any) -> np.ndarray:
        return np.array(np.asarray(values).T, self.dtype, order="C")

    def _schedule(self) -> int:
        lr = self.job.part.optimizer.lr
        return (float, Linear, Cosine, WarmupCosine).index(type(lr) if isinstance(lr, Schedule) else float)

    def _optimizer_numbers(self) -> np.ndarray:
        """float64 [model, 8]: the learning rate or its schedule's parameters, then the optimiser's own."""
        optimizer, job = self.job.part.optimizer, self.job
        numbers = np.zeros((job.n_models, 8))
        lr = optimizer.lr
        schedule = (
            [getattr(lr, field.name) for field in dataclasses.fields(lr)]
            if isinstance(lr, Schedule)
            else [lr]
        )
        own = [
            getattr(optimizer, field.name) for field in dataclasses.fields(optimizer) if field.name != "lr"
        ]
        for i, value in enumerate(schedule):
            numbers[:, i] = job.per_model(value)
        for i, value in enumerate(own):
            numbers[:, 4 + i] = job.per_model(value)
        return numbers

    def _set_inputs(self, gaps: bool) -> None:
        """How every model's inputs are sampled."""
        job, inputs, n = self.job, self.job.part.inputs, self.job.part.n_features
        self.gap_factor, self.by_entries = np.zeros(job.n_models), np.zeros(job.n_models, bool)
        self.last, self.scale = np.zeros((1, n), np.uint32), np.zeros((1, n), self.dtype)
        if isinstance(inputs, KSparse):
            self.by_entries[:] = _entries_pay(inputs.k / n, job.part.n_hidden)
        self.set_limits, self.set_from = np.zeros((1, 2), np.uint32), np.zeros((1, n), np.uint32)
        if not isinstance(inputs, (SparseUniform, GroupedSparse)):
            return
        probability = job.per_model(inputs.feature_probability)
        limit = _random.threshold(_per_feature(probability, n))
        # A limit of 2**32 does not fit 32 bits, but the last number below it does. Where the limit is 0 the
        # number 0 counts as active, with value 0.
        self.last = np.maximum(limit - 1, 0).astype(np.uint32)
        self.scale = np.divide(1.0, limit, out=np.zeros(limit.shape), where=limit > 0).astype(self.dtype)
        if isinstance(inputs, GroupedSparse):
            limits = _random.set_limits(probability, job.per_model(inputs.correlation), inputs.set_size, n)
            self.set_limits = np.concatenate(limits[:2], 1).astype(np.uint32)
            self.set_from = limits[2].astype(np.uint32)
            return
        if not gaps:
            return
        rows = probability.reshape(len(probability), -1)
        p = rows[:, 0]
        # A probability that rounds to no chance in 2**32 is none for the other engine as well.
        few = (rows == p[:, None]).all(1) & (p >= 2.0**-33) & _gaps_pay(p)
        self.gap_factor[few] = 1.0 / np.log1p(-p[few])
        self.by_entries = few & _entries_pay(p, job.part.n_hidden)

    def memory(self) -> Any:
        """Memory for one thread."""
        from tms._kernels._types import make_work

        listed = isinstance(self.job.part.inputs, KSparse) or bool(self.gap_factor.any())
        return make_work(self.numbers, self.dtype, listed)

    def model(self, number: int) -> Any:
        """What the kernels need to know of one model; arrays are views, so that results appear here."""
        from tms._kernels._loop import Model

        def row(array: np.ndarray) -> Any:
            return array[number % len(array)]

        parameters = self.parameters[number]
        # Kept for all models only where they are wanted: they are as large as the parameters.
        kept = self.memories.size > 0
        first, second = self.memories[:, number] if kept else np.zeros((2, *parameters.shape), self.dtype)
        return Model(
            seed=int(self.job.model_seeds[number]),
            gap_factor=float(self.gap_factor[number]),
            by_entries=bool(self.by_entries[number]),
            numbers=self.optimizer_numbers[number],
            last=row(self.last),
            scale=row(self.scale),
            set_limits=row(self.set_limits),
            set_from=row(self.set_from),
            importance=row(self.importance),
            parameters=parameters,
            first=first,
            second=second,
            losses=self.losses[number],
            snapshots=self.snapshots[number],
            loss=self.loss[number],
        )

    def train(self, number: int, memory: Any) -> Iterator[int]:
        """Train one model; yields, from time to time, the number of updates done since the last time."""
        given = (self.data, self.targets, self.loss_steps, self.snapshot_steps)
        steps, begin, model = self.numbers.steps, self.job.begin, self.model(number)
        if self.run is None:
            from tms._kernels._compiled import compiled

            self.run = compiled(self.numbers, memory, model, *given, 0, 0)
        last = steps + 1 + self.numbers.evaluations
        # Steps that are done in one call. Each model finds its own number, since their costs differ, and
        # begins with few: at most 20 ms if only one operation were done in a nanosecond.
        chunk = max(1, int(2e7 / self._operations()))
        while begin < last:
            end = min(begin + chunk, last)
            before = time.perf_counter()
            self.run(self.numbers, memory, model, *given, begin, end)
            seconds = time.perf_counter() - before
            yield max(0, min(end, steps) - begin)
            # As many steps at a time as an interrupt can wait for.
            faster = (end - begin) * _CHUNK_SECONDS / max(seconds, 1e-9)
            chunk = max(1, int(min(10.0 * chunk, faster)))
            begin = end

    def _operations(self) -> float:
        """Arithmetic in a step of dense inputs, roughly."""
        c = self.numbers
        return 20.0 * max(c.batch, c.samples if not c.shuffled else 0) * c.features * (c.hidden + 1)

    def arrays(self) -> Arrays:
        with np.errstate(over="ignore"):  # a loss that has outgrown the dtype becomes infinite
            loss = self.loss.astype(self.dtype)
        n = self.job.n_models
        arrays = {"loss": loss.reshape(n), "loss_curve": self.losses}
        for name, offset in self.offsets.items():
            part = slice(offset, offset + self.sizes[name])
            inner = self.job.parameter_shape(name)
            arrays[name] = self.parameters[:, part].reshape(n, *inner)
            arrays[f"{name}_snapshot"] = self.snapshots[..., part].reshape(
                n, len(self.snapshot_steps), *inner
            )
            if self.job.keep_memory:
                for memory, kind in zip(self.memories, MEMORY, strict=True):
                    arrays[f"{name}_{kind}"] = memory[:, part].reshape(n, *inner)
        return arrays


def _activation(model: Model, name: str) -> int:
    return ACTIVATIONS.index(getattr(model, name) if isinstance(model, Autoencoder) else "linear")


# Measured: below these densities of active features it is faster not to look at the others.


def _gaps_pay(density: Any) -> Any:
    """Whether to draw the gaps between active features rather than a number for each feature."""
    return density < 0.04


def _entries_pay(density: Any, n_hidden: int) -> Any:
    """Whether the encoder works from lists of active features rather than by a dense product."""
    return (density < 0.04) & (n_hidden >= 10)


def _per_feature(values: np.ndarray, n_features: int) -> np.ndarray:
    """[model] or [model, feature] as [model or 1, feature]: one row where all models have the same."""
    rows = values.reshape(len(values), -1)
    if (rows == rows[0]).all():
        rows = rows[:1]
    return np.ascontiguousarray(np.broadcast_to(rows, (len(rows), n_features)))
