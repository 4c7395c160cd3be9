"""Where a step's time goes: each piece of the fused engine by itself, on one thread. Half a minute."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import _measure
from benchmarks._contenders import CONTENDERS
from benchmarks._settings import SETTINGS, Setting
from tms import _fused_engine
from tms._engine import Job
from tms._kernels import _network, _sample, _update, _vector
from tms._kernels._kernel import kernel


@kernel(nogil=True)
def _sampling(c, w, model, repeats):  # type: ignore[no-untyped-def]
    for s in range(repeats):
        key0, key1 = _sample.keys(1, 1, s)
        for start in range(0, c.batch, w.x.shape[1]):
            count = min(w.x.shape[1], c.batch - start)
            _sample.uniform(c, w, start, count, key0, key1, model.last, model.scale)


@kernel(nogil=True)
def _products(c, w, model, repeats):  # type: ignore[no-untyped-def]
    m, block = c.hidden, _vector.COLUMN_BYTES // w.x.itemsize
    for _ in range(repeats):
        for start in range(0, c.batch, w.x.shape[1]):
            columns = (min(w.x.shape[1], c.batch - start) + block - 1) // block * block
            _vector.product(w.h, model.parameters, 0, 1, m, w.x, columns)
            _vector.product(w.y, model.parameters, 0, m, 1, w.h, columns)
            _vector.inner(w.gradient, 0, w.y, w.h, columns)
            _vector.product(w.dh, model.parameters, 0, 1, m, w.y, columns)
            _vector.inner(w.gradient, 0, w.x, w.dh, columns)


@kernel(nogil=True)
def _loss(c, w, model, repeats):  # type: ignore[no-untyped-def]
    scale = model.importance[0] * model.importance[0]
    for _ in range(repeats):
        for start in range(0, c.batch, w.x.shape[1]):
            count = min(w.x.shape[1], c.batch - start)
            _network.squared_error(c, w, w.x, model.parameters, model.importance, scale, count, False)


@kernel(nogil=True)
def _updates(c, w, model, repeats):  # type: ignore[no-untyped-def]
    for s in range(repeats):
        _update.update(c, model.numbers, s, model.parameters, w.gradient, model.first, model.second)


PIECES: dict[str, Callable[..., None]] = {
    "sampling": _sampling,
    "products": _products,
    "activation and loss": _loss,
    "optimiser": _updates,
}


def measure(of: Setting, wanted: float) -> dict[str, Any]:
    """Seconds a step of one model, all features active, for each piece and for the whole."""
    alone = Setting(of.name, of.n_features, of.n_hidden, (1.0,), of.importance, 1)
    ((_, part),) = alone.experiment(10).parts()
    none = np.zeros(0, np.int64)
    task = _fused_engine._Task(Job(part, np.zeros(1, np.int64), none, none, 1, "cpu", lambda _: None), True)
    memory = task.memory()
    model = task.model(0)
    seconds = {}
    for name, piece in PIECES.items():
        memory.x[:] = 0.5
        memory.weight[:] = 1.0
        memory.gradient[:] = 0.0

        def run(repeats: int, piece: Callable[..., None] = piece) -> None:
            piece(task.numbers, memory, model, repeats)

        steps = _measure.steps_for(run, wanted)
        seconds[name] = min(
            _measure.seconds(lambda run=run, steps=steps: run(steps)) / steps for _ in range(5)
        )
    run = CONTENDERS["tms, fused"](alone)
    whole = _measure.alternate({"": (run, _measure.steps_for(run, 3 * wanted))}, 5)[""]["least"]
    return {
        "name": of.name,
        "operations": alone.operations,
        "numbers": of.n_features * alone.samples,
        "pieces": seconds,
        "whole": whole,
    }


def main(wanted: float = 0.1) -> None:
    before = os.environ.get("TMS_THREADS")
    os.environ["TMS_THREADS"] = "1"
    try:
        limits = _measure.limits()
        settings = [measure(of, wanted) for of in SETTINGS if of.probability]
        _measure.write("pieces", {"limits": limits, "settings": settings})
    finally:
        if before is None:
            del os.environ["TMS_THREADS"]
        else:
            os.environ["TMS_THREADS"] = before


if __name__ == "__main__":
    main(*((0.02,) if "--short" in sys.argv else ()))
