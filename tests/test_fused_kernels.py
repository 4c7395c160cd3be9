"""The pieces of the fused engine, each by itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats
from numba import njit

from tms import _random
from tms._kernels import _compiled, _loop, _sample, _special, _types, _update
from tms.schedule import Cosine, Linear, WarmupCosine


def numbers(**changes: int) -> _types.Numbers:
    """Numbers about a job of 4 features and 2 hidden dimensions."""
    plain = dict.fromkeys(_types.Numbers._fields, 0) | {
        "features": 4,
        "hidden": 2,
        "batch": 1000,
        "parameters": 8,
    }
    return _types.Numbers(**plain | changes)


@njit
def all_bits(count: Any, key0: Any, key1: Any, out: Any) -> None:
    for i in range(count):
        out[i] = _sample.bits(np.uint32(i), key0, key1)


def test_the_generator_is_that_of_python() -> None:
    for seed, purpose, step in ((0, 1, 0), (12345, 9, 10**6), (2**62, 2, 7)):
        keys = _sample.keys(seed, purpose, step)
        assert keys == _random.keys(seed, purpose, step)
        out = np.empty(5000, np.uint32)
        all_bits(len(out), np.uint32(keys[0]), np.uint32(keys[1]), out)
        np.testing.assert_array_equal(out, _random.bits(np.arange(5000), *keys))


def test_purposes_of_streams_are_all_different() -> None:
    known = [
        value
        for name, value in vars(_random).items()
        if name.isupper() and not name.startswith(("MASK", "_"))
    ]
    assert len(known) == 12
    assert len(set(known)) == 12


@njit
def gap_batches(c: Any, w: Any, factor: Any, steps: Any, x: Any) -> None:
    """Batches sampled by gaps, x [step, sample, feature], with the samples in no matter which order."""
    for s in range(steps):
        _sample.begin_gaps(w)
        row, complete = 0, False
        while not complete:
            count, complete = _sample.gaps(c, w, factor, _sample.keys(8, 101, s), _sample.keys(8, 102, s))
            for t in range(count):
                for _ in range(int(w.weight[t])):
                    for i in range(c.features):
                        x[s, row, i] = w.x[i, t]
                    row += 1
            _sample.clear(w, count)


@pytest.mark.parametrize("p", [0.003, 0.05, 0.6])
def test_sampling_by_gaps(p: float) -> None:
    c = numbers()
    x = np.full((400, 1000, 4), np.nan)
    work = _types.make_work(c, "float64", True)
    gap_batches(c, work, 1.0 / np.log1p(-p), len(x), x)
    assert not work.x.any()
    assert not np.isnan(x).any()  # as many samples as there should be
    active = x > 0
    trials = active[..., 0].size
    for i in range(4):
        assert scipy.stats.binomtest(int(active[..., i].sum()), trials, p).pvalue > 0.001
    for i, j in ((0, 1), (1, 2), (3, 0)):
        both = int((active[..., i] & active[..., j]).sum())
        assert scipy.stats.binomtest(both, trials, p**2).pvalue > 0.001
    counts = np.bincount(active.sum(-1).ravel(), minlength=5)
    expected = scipy.stats.binom.pmf(np.arange(5), 4, p) * trials
    keep = expected > 5
    counts, expected = (np.append(v[keep], v[~keep].sum() + 1e-9) for v in (counts, expected))
    assert scipy.stats.chisquare(counts, expected, sum_check=False).pvalue > 0.001
    assert scipy.stats.kstest(x[active], "uniform").pvalue > 0.001
    many = active.sum((1, 2))
    assert len(set(many)) > 10 or p < 0.01  # every step draws anew


@njit
def normals(z: Any, below: Any, density: Any) -> None:
    for i in range(len(z)):
        below[i], density[i] = _special.normal(z[i])


@njit
def exponentials(x: Any, out: Any) -> None:
    for i in range(len(x)):
        out[i] = _special.exp(x[i])


@njit
def logarithms(x: Any, out: Any) -> None:
    for i in range(len(x)):
        out[i] = _special.log(x[i])


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-15), ("float32", 3e-7)])
def test_functions(dtype: str, tolerance: float) -> None:
    z = np.concatenate([np.linspace(-40, 40, 20_001), np.linspace(-1e-3, 1e-3, 101)]).astype(dtype)
    below, density = np.empty_like(z), np.empty_like(z)
    normals(z, below, density)
    exact = z.astype(float)
    assert np.abs(below - scipy.special.ndtr(exact)).max() < tolerance
    assert np.abs(density - scipy.stats.norm.pdf(exact)).max() < tolerance
    # Far out on the left it is the relative error that counts.
    tail = (z > -5) & (z < 0)
    assert np.abs(below[tail] / scipy.special.ndtr(exact[tail]) - 1).max() < 20 * tolerance

    x = np.linspace(-60, 0, 20_001).astype(dtype)
    out = np.empty_like(x)
    exponentials(x, out)
    assert np.abs(out / np.exp(x.astype(float)) - 1).max() < tolerance

    special = np.array([np.nan, 0.0, 1e4, -1e4], dtype)
    below, density = np.empty_like(special), np.empty_like(special)
    normals(special, below, density)
    assert np.isnan(below[0])
    assert np.isnan(density[0])
    np.testing.assert_allclose(below[1:], [0.5, 1.0, 0.0], atol=tolerance)


def test_logarithm() -> None:
    x = np.concatenate(
        [(np.arange(1000) + 0.5) * 2.0**-32, np.linspace(0.001, 3, 10_000), [1.0, 1e300, 1e-300]]
    )
    out = np.empty_like(x)
    logarithms(x, out)
    np.testing.assert_allclose(out, np.log(x), rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize(
    ("kind", "schedule", "values"),
    [
        (_types.LINE, Linear, {"start": 0.3, "end": 0.1}),
        (_types.COSINE, Cosine, {"start": 0.3, "end": 0.1}),
        *(
            (
                _types.WARMUP_COSINE,
                WarmupCosine,
                {"initial_lr": 0.1, "max_lr": 2.0, "final_lr": 0.3, "warmup_frac": frac},
            )
            for frac in (0.0, 0.05, 0.9)
        ),
    ],
)
def test_schedules(kind: int, schedule: Any, values: dict[str, float]) -> None:
    padded = [*values.values(), 0.0, 0.0][:4]
    for step in range(101):
        mine = _update.rate(kind, step / 100, *padded)
        assert mine == pytest.approx(float(schedule.rate(step / 100, **values)), rel=1e-15)


def test_the_kernels_own_memory_is_aligned() -> None:
    work = _types.make_work(numbers(own_targets=1, samples=9, shuffled=1), "float32", True)
    for name, array in work._asdict().items():
        assert not array.size or array.ctypes.data % 64 == 0, name
        assert array.flags.c_contiguous, name


def test_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "chosen"))
    folder = _compiled._cache_folder()
    assert folder is not None
    assert folder.is_dir()
    assert tmp_path in folder.parents
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    folder = _compiled._cache_folder()
    assert folder is not None
    assert tmp_path / "xdg" in folder.parents
    # Nothing can be made below a file: compile in memory.
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    assert _compiled._cache_folder() is None


def test_cache_follows_every_source(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _compiled._version()
    assert before == _compiled._version()
    read = Path.read_bytes
    for changed in ("_vector.py", "_random.py", "_update.py"):
        monkeypatch.setattr(
            Path, "read_bytes", lambda path, changed=changed: read(path) + b"#" * (path.name == changed)
        )
        assert _compiled._version() != before


def test_a_cache_that_fails_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, say: the second attempt does without."""
    attempts = []

    class Loop:
        def __init__(self, cache: bool) -> None:
            self.cache = cache

        def compile(self, _: Any) -> None:
            attempts.append(self.cache)
            if self.cache:
                raise OSError("No space left on device")

    def kernel(**options: Any) -> Any:
        return lambda function: Loop(options.get("cache", False)) if function is _loop.run else None

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(_compiled, "kernel", kernel)
    before = _compiled.config.CACHE_DIR
    _compiled._compile(())
    assert attempts == [True, False]
    assert before == _compiled.config.CACHE_DIR


def test_importing_tms_does_not_load_the_compiler() -> None:
    import subprocess

    code = "import sys, tms; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
