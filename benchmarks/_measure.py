"""Timing, the machine's limits, and writing results down."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from tms import _fused_engine
from tms._kernels._kernel import kernel
from tms._kernels._sample import bits
from tms._kernels._vector import VECTOR_BYTES

RESULTS = Path(__file__).parent / "results"
ROUNDS = 5


def threads() -> int:
    return _fused_engine.thread_count()


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def steps_for(run: Callable[[int], None], wanted: float) -> int:
    """A number of steps that take about so many seconds, after a warm-up (and whatever it compiles)."""
    run(2)
    steps = 2
    while True:
        elapsed = seconds(lambda steps=steps: run(steps))
        if elapsed > wanted / 3 or steps > 10**6:
            return max(2, round(steps * wanted / elapsed))
        steps = int(steps * min(20.0, max(2.0, wanted / 2 / elapsed)))


def alternate(runs: dict[str, tuple[Callable[[int], None], int]], rounds: int = ROUNDS) -> dict[str, Any]:
    """Seconds a step of each run, measured in turns so that all see the same disturbances."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, (run, steps) in runs.items():
            times[name].append(seconds(lambda run=run, steps=steps: run(steps)) / steps)
    return {
        name: {
            "steps": runs[name][1],
            "seconds": values,
            "median": statistics.median(values),
            "least": min(values),
            "most": max(values),
        }
        for name, values in times.items()
    }


@intrinsic
def _multiply_adds(typing, count):  # type: ignore[no-untyped-def]
    """`count` rounds of 16 independent fused multiply-adds on whole vectors of float32; their sum."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.FloatType(), VECTOR_BYTES // 4)
        sums = [
            cgutils.alloca_once_value(builder, ir.Constant(vector, [0.1 * k] * vector.count))
            for k in range(16)
        ]
        # Numbers that the compiler cannot know, near 1.
        start = builder.sitofp(builder.and_(arguments[0], arguments[0].type(1)), ir.FloatType())
        factor = builder.fadd(builder.fmul(start, ir.FloatType()(1e-7)), ir.FloatType()(0.999999))
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), factor, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
        factors = builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), lanes)
        with cgutils.for_range(builder, arguments[0]):
            for place in sums:
                product = builder.fmul(builder.load(place), factors, flags=("contract",))
                builder.store(builder.fadd(product, factors, flags=("contract",)), place)
        total = builder.load(sums[0])
        for place in sums[1:]:
            total = builder.fadd(total, builder.load(place))
        return builder.extract_element(total, ir.IntType(32)(0))

    return types.float32(types.intp), generate


@njit(nogil=True)
def _fma_loop(count):  # type: ignore[no-untyped-def]
    return _multiply_adds(count)


@kernel(nogil=True)
def _random_loop(rounds, out):  # type: ignore[no-untyped-def]
    for r in range(rounds):
        for i in range(len(out)):
            out[i] ^= bits(np.uint32(i), np.uint32(r), np.uint32(7))


def _on_all_threads(run: Callable[[], Any]) -> float:
    workers = [threading.Thread(target=run) for _ in range(threads())]

    def together() -> None:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return seconds(together)


def limits() -> dict[str, float]:
    """What the machine can do at most, on all threads: the best of several attempts."""
    rounds = 20_000_000
    _fma_loop(2)
    best = min(_on_all_threads(lambda: _fma_loop(rounds)) for _ in range(5))
    operations = 2.0 * 16 * (VECTOR_BYTES // 4) * rounds * threads() / best
    repeats = 100_000
    _random_loop(1, np.zeros(4096, np.uint32))
    random = min(_on_all_threads(lambda: _random_loop(repeats, np.zeros(4096, np.uint32))) for _ in range(5))
    return {
        "operations_per_second": operations,
        "random_numbers_per_second": 4096.0 * repeats * threads() / random,
    }


def machine() -> dict[str, Any]:
    versions = {}
    for package in ("numpy", "numba", "llvmlite", "torch", "jax"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "processor": _processor(),
        "threads": threads(),
        "vector_bytes": VECTOR_BYTES,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
    }


def _processor() -> str:
    """The processor's name as LLVM knows it, which says the generation, and as the system gives it."""
    import llvmlite.binding

    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name} ({llvmlite.binding.get_host_cpu_name()})"


def write(name: str, content: dict[str, Any]) -> None:
    """Keep results as `results/<name>.json`, with the machine and the date."""
    RESULTS.mkdir(exist_ok=True)
    whole = {"date": datetime.date.today().isoformat(), "machine": machine(), **content}
    (RESULTS / f"{name}.json").write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
