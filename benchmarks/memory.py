"""Peak memory of large grids, and how long the first use takes. One minute."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from benchmarks import _measure

GRID = """
import resource, sys
import numpy as np
import tms

models = int(sys.argv[1])
importing = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
experiment = tms.Experiment(
    model=tms.Autoencoder(n_features=5, n_hidden=2),
    inputs=tms.SparseUniform(feature_probability=tms.axis("p", 20.0 ** -np.linspace(0, 1, models // 100))),
    steps=10, batch_size=1024,
)
settings = {"loss_steps": 0, "snapshot_steps": 0, "evaluation_samples": 1024}
runs = tms.train(experiment, seeds=100, engine="fused", **settings)
assert runs.loss.size == models
print(importing * 1024, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""

FIRST = """
import time
start = time.perf_counter()
import tms
imported = time.perf_counter()
experiment = tms.Experiment(
    model=tms.Autoencoder(n_features=5, n_hidden=2),
    inputs=tms.SparseUniform(feature_probability=1.0), steps=1, batch_size=8,
)
tms.train(experiment, engine="fused")
print(imported - start, time.perf_counter() - imported)
"""


def _numbers(code: str, *arguments: str, **environment: str) -> list[float]:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=os.environ | environment, check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def main(sizes: tuple[int, ...] = (100, 1000, 10_000, 100_000)) -> None:
    peaks = []
    for models in sizes:
        importing, peak = _numbers(GRID, str(models))
        peaks.append({"models": models, "bytes_after_import": importing, "peak_bytes": peak})
        print(f"  {models:7} models: {peak / 2**20:.0f} MiB", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        imported, first = _numbers(FIRST, NUMBA_CACHE_DIR=folder)
        later = [_numbers(FIRST, NUMBA_CACHE_DIR=folder) for _ in range(3)]
    start = {
        "import": imported,
        "first_use": first,
        "later_use": min(second for _, second in later),
        "later_import": min(first for first, _ in later),
    }
    print("  " + ", ".join(f"{name} {value:.2f} s" for name, value in start.items()), flush=True)
    _measure.write("memory", {"peaks": peaks, "start": start, "measured_at": time.strftime("%H:%M")})


if __name__ == "__main__":
    main(*(((100, 1000),) if "--short" in sys.argv else ()))
