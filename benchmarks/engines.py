"""The engines against what a user would otherwise run. About six minutes."""

from __future__ import annotations

import sys

from benchmarks import _measure
from benchmarks._contenders import available, use_threads
from benchmarks._settings import SETTINGS, Setting, wide

# Feature probabilities of the sweep of 200→20.
SWEEP = (1.0, 0.3, 0.1, 0.05, 0.03, 0.02, 0.01, 0.003)


def compare(setting: Setting, names: list[str], wanted: float, rounds: int) -> dict[str, object]:
    """All contenders on one setting, in turns."""
    runs = {}
    contenders = available()
    for name in names:
        if name in contenders:
            run = contenders[name](setting)
            runs[name] = (run, _measure.steps_for(run, wanted))
    times = _measure.alternate(runs, rounds)
    for name, result in times.items():
        print(f"  {setting.name:20} {name:14} {1e6 * result['median']:12.1f} µs a step", flush=True)
    return {
        "name": setting.name,
        "n_features": setting.n_features,
        "n_hidden": setting.n_hidden,
        "instances": setting.instances,
        "samples": setting.samples,
        "operations": setting.operations,
        "probability": setting.probability,
        "times": times,
    }


def main(wanted: float = 1.0, rounds: int = _measure.ROUNDS) -> None:
    use_threads(_measure.threads())
    limits = _measure.limits()
    names = ["notebook", "torch.compile", "JAX", "tms, torch", "tms, fused"]
    settings = [compare(setting, names, wanted, rounds) for setting in SETTINGS]
    sweep = []
    for p in SWEEP:
        # What the others cost does not depend on p; they are measured at its two ends, ours everywhere.
        some = ["notebook", "JAX", "tms, fused"] if p in (1.0, 0.01) else ["tms, fused"]
        sweep.append({"p": p, **compare(wide(p), some, wanted / 2, rounds)})
    _measure.write("engines", {"limits": limits, "settings": settings, "sweep": sweep})


if __name__ == "__main__":
    short = "--short" in sys.argv
    main(*((0.1, 2) if short else ()))
