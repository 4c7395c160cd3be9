"""All measurements, one after another: `python -m benchmarks`, about ten minutes on two quiet cores."""

from __future__ import annotations

import subprocess
import sys

MODULES = ("engines", "scaling", "pieces", "memory", "sweeps")

if __name__ == "__main__":
    for name in MODULES:
        print(name, flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]], check=True)
