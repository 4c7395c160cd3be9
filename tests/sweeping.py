"""Small sweeps for the tests of the store and of executors, and processes that run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import tms

ROOT = Path(__file__).parents[1]


def grid(**changes: Any) -> tms.Experiment:
    """Two parts with twelve grid points."""
    settings: dict[str, Any] = {
        "model": tms.Autoencoder(n_features=4, n_hidden=2, bias=tms.axis("bias", ["end", "none"])),
        "inputs": tms.SparseUniform(feature_probability=tms.axis("p", [1.0, 0.3, 0.02])),
        "optimizer": tms.Adam(lr=tms.axis("lr", [0.01, 0.03])),
        "steps": 40,
        "batch_size": 16,
    }
    return tms.Experiment(**settings | changes)


def slow(**changes: Any) -> tms.Experiment:
    """One part whose models take some hundredths of a second each."""
    return grid(
        **{
            "model": tms.Autoencoder(n_features=8, n_hidden=3),
            "optimizer": tms.Adam(lr=0.01),
            "steps": 4000,
            "batch_size": 64,
        }
        | changes
    )


def same_bits(a: xr.Dataset, b: xr.Dataset) -> None:
    xr.testing.assert_identical(a.drop_attrs(), b.drop_attrs())


# A process that trains `slow()` into a store. It writes the models of a shard to a log when it begins one.
_CHILD = """
import os, sys, warnings
sys.path[:0] = [{root!r}, {tests!r}]
warnings.simplefilter("error")
import tms, sweeping
from tms import _sweep
log = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
inner = _sweep._fused_engine.train
def train(job, **settings):
    os.write(log, f"{{job.models.tolist()}}\\n".encode())
    return inner(job, **settings)
_sweep._fused_engine.train = train
os.write(log, b"ready\\n")
{code}
os.write(log, b"done\\n")
"""


def child(folder: Path, code: str, **environment: str) -> subprocess.Popen[bytes]:
    """A process that runs some code with a log of what it trains, in `folder`/log."""
    text = _CHILD.format(root=str(ROOT), tests=str(ROOT / "tests"), log=str(folder / "log"), code=code)
    return subprocess.Popen(
        [sys.executable, "-c", text],
        stderr=subprocess.PIPE,
        env=os.environ | {"TMS_THREADS": "1"} | environment,
        start_new_session=True,
    )


def logged(folder: Path) -> list[str]:
    """The lines of the log."""
    try:
        return (folder / "log").read_text().splitlines()
    except FileNotFoundError:
        return []


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A file system mounted at a folder, where this process may do that; otherwise the test is skipped."""
    folder.mkdir(exist_ok=True)
    if sys.platform != "linux" or subprocess.run(["mount", *options, folder], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True, capture_output=True)


def temporary(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


def random_floats(seed: int, count: int) -> list[float]:
    found: list[float] = np.random.default_rng(seed).uniform(size=count).tolist()
    return found
