"""What a store and an executor cost, and what a grid costs as it grows. About four minutes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import tms
from benchmarks import _measure

# The smallest model: the grid of a phase diagram.
STEPS, BATCH = 2000, 256
RECORD: dict[str, Any] = {"loss_steps": 0, "snapshot_steps": 0, "evaluation_samples": 1024}

GRID = """
import json, resource, sys, tempfile, time
import tms
from benchmarks.sweeps import RECORD, phase_grid

models, folder = int(sys.argv[1]), sys.argv[2] or None
tms.train(phase_grid(1), seeds=1, **RECORD)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
runs = tms.train(phase_grid(models // 10), seeds=10, store=folder, **RECORD)
first = time.perf_counter() - start
assert runs.loss.size == models
start = time.perf_counter()
if folder:
    tms.train(phase_grid(models // 10), seeds=10, store=folder, **RECORD)
again = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"models": models, "seconds": first, "again": again, "peak_bytes": peak * 1024,
                  "bytes_before": before * 1024}))
"""


def phase_grid(points: int, steps: int = STEPS) -> tms.Experiment:
    """2→1 on so many points of feature probability and relative importance."""
    side = next(k for k in range(int(points**0.5), 0, -1) if points % k == 0)
    rows = points // side
    importance = [[1.0, float(r)] for r in np.geomspace(0.1, 10, rows)]
    p = np.geomspace(0.01, 1, side)
    return tms.Experiment(
        model=tms.Autoencoder(n_features=2, n_hidden=1),
        inputs=tms.SparseUniform(feature_probability=tms.axis("p", p)),
        loss=tms.MSE(importance=tms.axis("r", importance, labels=range(rows))),
        optimizer=tms.Adam(lr=1e-2),
        steps=steps,
        batch_size=BATCH,
    )


def _seconds(task: Callable[[], Any]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def overhead(rounds: int) -> dict[str, float]:
    """Seconds that a shard costs beside its training: to write it, and to find and read it."""
    experiment, shards = phase_grid(400, steps=1), 80
    tms.train(experiment, seeds=10, **RECORD)
    plain, kept, loaded = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            settings = {"seeds": 10, "shard_size": 4000 // shards, **RECORD}
            plain.append(_seconds(lambda: tms.train(experiment, seeds=10, **RECORD)))
            kept.append(_seconds(lambda: tms.train(experiment, store=folder, **settings)))  # noqa: B023
            loaded.append(_seconds(lambda: tms.train(experiment, store=folder, **settings)))  # noqa: B023
    found = {"write": (min(kept) - min(plain)) / shards, "read": min(loaded) / shards}
    print(
        "  a shard: " + ", ".join(f"{name} {1e3 * value:.1f} ms" for name, value in found.items()), flush=True
    )
    return found


def throughput(models: int, rounds: int) -> list[dict[str, Any]]:
    """Models a second with one worker and with two: of a pool, of Dask, and as threads of this process."""
    from distributed import Client, LocalCluster

    experiment = phase_grid(models // 10)
    found: list[dict[str, Any]] = []

    def measure(kind: str, workers: int, executor: Any) -> None:
        # Workers compile, or load what is compiled, before the clock starts.
        tms.train(phase_grid(4), seeds=10, executor=executor, shard_size=2, **RECORD)
        seconds = []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                settings: dict[str, Any] = {"seeds": 10, "store": folder, "executor": executor, **RECORD}
                seconds.append(_seconds(lambda: tms.train(experiment, **settings)))  # noqa: B023
        found.append({"kind": kind, "workers": workers, "models": models, "seconds": seconds})
        print(f"  {kind}, {workers}: {models / min(seconds):.0f} models/s", flush=True)

    for workers in (1, 2):
        os.environ["TMS_THREADS"] = str(workers)
        measure("this process", workers, None)
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            measure("process pool", workers, pool)
        dask = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
        with LocalCluster(**dask) as cluster, Client(cluster) as client:
            measure("Dask", workers, client.get_executor())
    del os.environ["TMS_THREADS"]
    return found


def grids(sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Time and peak memory against the number of models, each grid in a process of its own."""
    import json

    found = []
    for models in sizes:
        for stored in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-c", GRID, str(models), folder if stored else ""]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                row = json.loads(done.stdout) | {"store": stored}
                if stored:
                    files = list(Path(folder).glob("*.nc"))
                    row |= {"shards": len(files), "stored_bytes": sum(f.stat().st_size for f in files)}
            found.append(row)
            print(f"  {models} models, {'with' if stored else 'without'} store: {row['seconds']:.2f} s, "
                  f"{row['peak_bytes'] / 2**20:.0f} MiB", flush=True)  # fmt: skip
    return found


def main(
    sizes: tuple[int, ...] = (10, 100, 1000, 10_000, 100_000), models: int = 10_000, rounds: int = 3
) -> None:
    results = {
        "steps": STEPS,
        "batch_size": BATCH,
        "overhead": overhead(rounds),
        "throughput": throughput(models, rounds),
        "grids": grids(sizes),
    }
    _measure.write("sweeps", results)


if __name__ == "__main__":
    main(*(((10, 100, 1000), 1000, 1) if "--short" in sys.argv else ()))
