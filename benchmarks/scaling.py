"""How time grows with models, features and threads, on the fused engine. About one minute."""

from __future__ import annotations

import os
import sys

from benchmarks import _measure
from benchmarks._contenders import CONTENDERS
from benchmarks._settings import Setting

MODELS = (1, 2, 4, 10, 30, 100, 300, 1000)
FEATURES = (5, 10, 20, 40, 80, 160, 320)


def setting(n: int, m: int, models: int, p: float = 1.0) -> Setting:
    return Setting(f"{n}→{m}", n, m, (p,) * models, (1.0,) * n, models)


def seconds_per_step(of: Setting, wanted: float, rounds: int) -> dict[str, object]:
    run = CONTENDERS["tms, fused"](of)
    return _measure.alternate({"fused": (run, _measure.steps_for(run, wanted))}, rounds)["fused"]  # type: ignore[no-any-return]


def main(wanted: float = 0.4, rounds: int = 3) -> None:
    all_threads = _measure.threads()
    models = [{"models": k, **seconds_per_step(setting(5, 2, k), wanted, rounds)} for k in MODELS]
    features = []
    for n in FEATURES:
        for m in (2, max(2, n // 4)):
            of = setting(n, m, 2 * all_threads)
            features.append(
                {
                    "n": n,
                    "m": m,
                    "models": of.instances,
                    "operations": of.operations,
                    **seconds_per_step(of, wanted, rounds),
                }
            )
    threads = []
    for count in range(1, all_threads + 1):
        os.environ["TMS_THREADS"] = str(count)
        for n, m in ((5, 2), (20, 5), (80, 20)):
            # Many models, so that the last ones to finish hardly matter.
            of = setting(n, m, 12 * all_threads)
            threads.append({"threads": count, "n": n, "m": m, **seconds_per_step(of, wanted, rounds)})
    os.environ["TMS_THREADS"] = str(all_threads)
    _measure.write(
        "scaling",
        {"limits": _measure.limits(), "models": models, "features": features, "by_threads": threads},
    )


if __name__ == "__main__":
    main(*((0.05, 2) if "--short" in sys.argv else ()))
