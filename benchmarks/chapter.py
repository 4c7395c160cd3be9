"""What the reproduction chapter's training costs with either engine. About six minutes.

The chapter's own code runs, at its full size. Each call of `tms.train` uses the fused engine and is timed.
The torch engine does the first steps of the same experiment with the same seeds; its time for all of them is
extrapolated from that, since it would take hours.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import jupytext
import matplotlib as mpl

import tms
from benchmarks import _measure

CHAPTER = Path(__file__).parents[1] / "book/reproduction.md"


def _seconds(experiment: tms.Experiment, engine: str, **settings: Any) -> float:
    begin = time.perf_counter()
    tms.train(experiment, engine=engine, **settings)
    return time.perf_counter() - begin


def _torch_seconds(experiment: tms.Experiment, few: int, **settings: Any) -> float:
    """Setting up once, and each step as long as the steps after the first few."""
    settings = {**settings, "progress": False} if "progress" in settings else settings
    once = _seconds(experiment.replace(steps=few), "torch", **settings)
    twice = _seconds(experiment.replace(steps=3 * few), "torch", **settings)
    return once + (twice - once) / (2 * few) * (experiment.steps - few)


def main(few: int = 10) -> None:
    mpl.use("agg")
    own, trainings, probes = tms.train, [], [0.0]

    def train(experiment: tms.Experiment, **settings: Any) -> Any:
        begin = time.perf_counter()
        runs = own(experiment, **settings)
        fused = time.perf_counter() - begin
        begin = time.perf_counter()
        tms.train = own
        torch = _torch_seconds(experiment, few, **settings)
        tms.train = train
        probes.append(time.perf_counter() - begin)
        engine = runs.attrs.get("engine", "")
        print(
            f"  {runs.sizes} {experiment.steps} steps: {engine} {fused:.1f} s, torch {torch:.0f} s",
            flush=True,
        )
        trainings.append(
            {
                "models": experiment.size * runs.sizes["seed"],
                "steps": experiment.steps,
                "engine": engine,
                "seconds": fused,
                "torch": torch,
            }
        )
        return runs

    space: dict[str, Any] = {"__name__": "chapter"}
    begin = time.perf_counter()
    tms.train = train
    try:
        for cell in jupytext.read(CHAPTER, fmt="md:myst").cells:
            if cell.cell_type == "code":
                code = "\n".join(line for line in cell.source.splitlines() if not line.startswith("%"))
                probed, before = sum(probes), time.perf_counter()
                exec(compile(code, str(CHAPTER), "exec"), space)
                seconds = time.perf_counter() - before - (sum(probes) - probed)
                if seconds > 1:
                    print(f"{seconds:6.1f} s  {code.strip().splitlines()[0]}", flush=True)
    finally:
        tms.train = own
    total = time.perf_counter() - begin - sum(probes)
    fused, torch = (sum(t[name] for t in trainings) for name in ("seconds", "torch"))
    print(f"all {total:.0f} s, training {fused:.0f} s; with the torch engine it would be {torch:.0f} s")
    _measure.write("chapter", {"trainings": trainings, "seconds": fused, "torch": torch, "all": total})


if __name__ == "__main__":
    main(*((2,) if "--short" in sys.argv else ()))
