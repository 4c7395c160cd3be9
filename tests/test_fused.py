"""The fused engine does what the torch engine does."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import scipy.stats

import tms
from tms import _fused_engine, _torch_engine
from tms._engine import Arrays, Job
from tms._kernels import _compiled, _loop, _types
from tms.init import PARAMETERS
from tms.model import BILINEAR_BIASES

GRADIENT = 1e-10  # relative to the largest entry, float64
TRAJECTORY = 1e-8

RNG = np.random.default_rng(5)
DATA = RNG.uniform(-1.0, 1.0, size=(7, 5))
TARGETS = RNG.uniform(0.0, 1.0, size=(7, 5))
PROBABILITIES = [0.0, 0.2, 0.5, 0.9, 1.0]

INPUTS = {
    "uniform": tms.SparseUniform(feature_probability=0.3),
    "always active": tms.SparseUniform(feature_probability=1.0),
    "a probability each": tms.SparseUniform(feature_probability=PROBABILITIES),
    "together": tms.GroupedSparse(set_size=5, feature_probability=0.3, correlation=0.6),
    "one at most": tms.GroupedSparse(set_size=5, feature_probability=0.2, correlation=-1.0),
    "one-hot": tms.OneHot(),
    "2-sparse": tms.KSparse(k=2),
    "5-sparse ones": tms.KSparse(k=5, values="one"),
    "data": tms.Dataset(data=DATA),
    "data in batches, with targets": tms.Dataset(data=DATA, targets=TARGETS),
}
LOSSES = [
    tms.MSE(reduction="mean"),
    tms.MSE(importance=0.7 ** np.arange(5), reduction="feature_sum"),
    tms.MSE(importance=2.0, reduction="sum"),
    tms.CrossEntropy(reduction="mean"),
    tms.CrossEntropy(reduction="sum"),
]
SCHEDULES = [
    0.01,
    tms.Linear(start=0.02, end=0.001),
    tms.Cosine(start=0.02),
    tms.WarmupCosine(initial_lr=0.001, max_lr=0.02, final_lr=0.002, warmup_frac=0.1),
    tms.WarmupCosine(initial_lr=0.001, max_lr=0.02, final_lr=0.002, warmup_frac=0.0),
]
OPTIMIZERS = [
    lambda lr: tms.SGD(lr=lr, momentum=0.5),
    lambda lr: tms.Adam(lr=lr, beta1=0.5, eps=1e-4),  # the correction for beta1 ends within the 200 steps
    lambda lr: tms.AdamW(lr=lr, weight_decay=0.1),
]


def description(inputs: Any = INPUTS["uniform"], n: int = 5, m: int = 3, **changes: Any) -> tms.Experiment:
    model = {
        name: changes.pop(name)
        for name in ("tied", "bias", "activation", "hidden_activation")
        if name in changes
    }
    batch_size = 64 if inputs.sampled else 3 if inputs == INPUTS["data in batches, with targets"] else None
    return tms.Experiment(
        **{
            "model": tms.Autoencoder(n_features=n, n_hidden=m, **model),
            "inputs": inputs,
            "init": tms.XavierNormal(bias_scale=0.2),
            "optimizer": tms.SGD(lr=1.0),
            "steps": 1,
            "batch_size": batch_size,
            "dtype": "float64",
        }
        | changes
    )


def job(experiment: tms.Experiment, seeds: Any = (3, 1), report: Callable[[int], None] | None = None) -> Job:
    ((_, part),) = experiment.parts()
    steps = np.unique([0, part.steps // 2, part.steps])
    return Job(part, np.array(seeds), steps, steps, 2, "cpu", report or (lambda _: None))


def assert_agree(mine: Arrays, theirs: Arrays, tolerance: float) -> None:
    assert set(mine) == set(theirs)
    for name, expected in theirs.items():
        assert mine[name].shape == expected.shape
        assert mine[name].dtype == expected.dtype
        assert np.isfinite(expected).all()
        largest = np.abs(expected).max(initial=1e-300)
        assert np.abs(mine[name] - expected).max(initial=0) <= tolerance * largest, name


def assert_same_bits(a: Arrays, b: Arrays) -> None:
    assert set(a) == set(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], name)


def gradients(engine: Any, experiment: tms.Experiment, **settings: Any) -> Arrays:
    """Each parameter's gradient in the first step, and the losses."""
    runs = engine.train(job(experiment), **settings)
    moved = {
        name: runs[f"{name}_snapshot"][..., 0, *(slice(None),) * len(inner)] - runs[name]
        for name, inner in PARAMETERS.items()
        if name in runs
    }
    return moved | {"loss": runs["loss"], "loss_curve": runs["loss_curve"]}


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("inputs", INPUTS)
def test_gradients(inputs: str, loss: Any) -> None:
    """Over the whole product of what can be described, on the same batch."""
    for tied, bias, activation, hidden in itertools.product(
        (True, False), tms.model.BIASES, tms.model.ACTIVATIONS, tms.model.ACTIVATIONS
    ):
        experiment = description(
            INPUTS[inputs], loss=loss, tied=tied, bias=bias, activation=activation, hidden_activation=hidden
        )
        mine = gradients(_fused_engine, experiment, gaps=False)
        assert_agree(mine, gradients(_torch_engine, experiment), GRADIENT)


@pytest.mark.parametrize("loss", LOSSES[:3], ids=repr)
@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("bias", BILINEAR_BIASES)
def test_gradients_of_bilinear_models(bias: str, inputs: str, loss: Any) -> None:
    model = tms.Bilinear(n_features=5, n_hidden=3, bias=bias)
    experiment = description(INPUTS[inputs], model=model, loss=loss)
    mine = gradients(_fused_engine, experiment, gaps=False)
    assert set(model.parameter_names) < set(mine)
    assert_agree(mine, gradients(_torch_engine, experiment), GRADIENT)


@pytest.mark.parametrize("bias", BILINEAR_BIASES)
@pytest.mark.parametrize("batch_size", [1, 65, 1500])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 3), (9, 4), (23, 7), (80, 20)])
def test_gradients_of_bilinear_models_at_any_size(n: int, m: int, batch_size: int, bias: str) -> None:
    experiment = description(
        model=tms.Bilinear(n_features=n, n_hidden=m, bias=bias), n=n, m=m, batch_size=batch_size
    )
    assert_agree(
        gradients(_fused_engine, experiment, gaps=False), gradients(_torch_engine, experiment), GRADIENT
    )


@pytest.mark.parametrize("batch_size", [1, 65, 1500])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 3), (9, 4), (23, 7), (80, 20)])
@pytest.mark.parametrize("tied", [True, False])
def test_gradients_at_any_size(n: int, m: int, batch_size: int, tied: bool) -> None:
    """Blocks of vectors have edges: sizes that are no multiple of anything, more than one tile."""
    experiment = description(n=n, m=m, batch_size=batch_size, tied=tied)
    assert_agree(
        gradients(_fused_engine, experiment, gaps=False), gradients(_torch_engine, experiment), GRADIENT
    )


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("n", [65, 600])
def test_one_hot_inputs_of_many_features(n: int, tied: bool) -> None:
    """More samples than a tile has columns."""
    experiment = description(tms.OneHot(), n=n, m=2, tied=tied, bias="both")
    assert_agree(gradients(_fused_engine, experiment), gradients(_torch_engine, experiment), GRADIENT)


@pytest.mark.parametrize("correlation", [-1.0, -0.4, 0.0, 0.3, 1.0])
@pytest.mark.parametrize(("n", "size", "dtype"), [(4, 2, "float32"), (12, 3, "float64"), (12, 12, "float64")])
def test_sets_of_features(n: int, size: int, dtype: str, correlation: float) -> None:
    """More than one tile; without correlation the samples are those of independent features, to the bit."""
    p = 0.08
    inputs = tms.GroupedSparse(set_size=size, feature_probability=p, correlation=correlation)
    experiment = description(inputs, n=n, batch_size=1500, dtype=dtype)
    mine = gradients(_fused_engine, experiment)
    theirs = gradients(_torch_engine, experiment)
    assert_agree(mine, theirs, GRADIENT if dtype == "float64" else 1e-4)
    alone = experiment.replace(inputs=tms.SparseUniform(feature_probability=p))
    if correlation == 0:
        assert_same_bits(mine, gradients(_fused_engine, alone, gaps=False))
        assert_same_bits(theirs, gradients(_torch_engine, alone))


def test_sets_of_features_over_a_grid() -> None:
    """Every model has the numbers of its own grid point."""
    inputs = tms.GroupedSparse(
        set_size=2,
        feature_probability=tms.axis("p", [0.0, 0.1, 0.5]),
        correlation=tms.axis("c", [-1.0, 0.0, 0.7, 1.0]),
    )
    experiment = description(inputs, n=6, steps=5, optimizer=tms.Adam(lr=0.01))
    assert_agree(_fused_engine.train(job(experiment)), _torch_engine.train(job(experiment)), TRAJECTORY)


@pytest.mark.parametrize("batch_size", [None, 1100])
def test_targets_of_many_samples(batch_size: int | None) -> None:
    rng = np.random.default_rng(8)
    inputs = tms.Dataset(data=rng.uniform(size=(2500, 3)), targets=rng.uniform(size=(2500, 3)))
    experiment = description(inputs, n=3, m=2, batch_size=batch_size, optimizer=tms.Adam(lr=0.01), steps=4)
    assert_agree(_fused_engine.train(job(experiment)), _torch_engine.train(job(experiment)), TRAJECTORY)


@pytest.mark.parametrize("lr", SCHEDULES, ids=repr)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_trajectories(optimizer: Callable[[Any], Any], lr: Any) -> None:
    """Where nothing is sampled, 200 steps lead to the same place."""
    experiment = description(
        tms.OneHot(),
        m=2,
        activation="gelu",
        loss=tms.MSE(reduction="sum"),
        optimizer=optimizer(lr),
        steps=200,
    )
    assert_agree(_fused_engine.train(job(experiment)), _torch_engine.train(job(experiment)), TRAJECTORY)


@pytest.mark.parametrize("bias", BILINEAR_BIASES)
@pytest.mark.parametrize(
    "optimizer",
    [tms.SGD(lr=0.01, momentum=0.5), tms.Adam(lr=0.01, beta1=0.5, eps=0.01), tms.AdamW(lr=0.01)],
    ids=repr,
)
def test_trajectories_of_bilinear_models(optimizer: Any, bias: str) -> None:
    """200 steps. Where both reads are near 0, so is the gradient, and Adam with a small eps tears any two
    starts apart: in one engine alone, starts that differ by 1e-15 came to be more than 1e-4 apart.
    """
    model = tms.Bilinear(n_features=5, n_hidden=2, bias=bias)
    loss = tms.MSE(importance=0.7 ** np.arange(5), reduction="sum")
    experiment = description(tms.OneHot(), model=model, loss=loss, optimizer=optimizer, steps=200)
    assert_agree(_fused_engine.train(job(experiment)), _torch_engine.train(job(experiment)), TRAJECTORY)


@pytest.mark.parametrize("inputs", INPUTS)
def test_trajectories_on_the_same_samples(inputs: str) -> None:
    """Every step draws what it draws for torch; passes over the data are shuffled alike."""
    experiment = description(INPUTS[inputs], optimizer=tms.Adam(lr=0.01), steps=20)
    assert_agree(
        _fused_engine.train(job(experiment), gaps=False), _torch_engine.train(job(experiment)), TRAJECTORY
    )


def test_a_long_pass_is_shuffled_alike() -> None:
    """More samples than a digit of the sort has values."""
    data = np.random.default_rng(1).uniform(size=(5000, 3))
    experiment = description(
        tms.Dataset(data=data), n=3, m=2, batch_size=700, optimizer=tms.Adam(lr=0.01), steps=20
    )
    assert_agree(_fused_engine.train(job(experiment)), _torch_engine.train(job(experiment)), TRAJECTORY)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("inputs", INPUTS)
def test_single_precision(inputs: str, loss: Any) -> None:
    """Losses too, which are summed in double precision."""
    settings = {"activation": "gelu", "optimizer": tms.AdamW(lr=0.01), "steps": 20}
    experiment = description(INPUTS[inputs], loss=loss, dtype="float32", **settings)
    assert_agree(_fused_engine.train(job(experiment), gaps=False), _torch_engine.train(job(experiment)), 1e-4)


SPARSE = tms.SparseUniform(feature_probability=0.03)


@pytest.mark.parametrize("inputs", INPUTS)
def test_bilinear_models_in_single_precision(inputs: str) -> None:
    settings = {"optimizer": tms.AdamW(lr=0.01), "steps": 20, "dtype": "float32"}
    experiment = description(INPUTS[inputs], model=tms.Bilinear(n_features=5, n_hidden=3), **settings)
    assert_agree(_fused_engine.train(job(experiment), gaps=False), _torch_engine.train(job(experiment)), 1e-4)


def sparse(**changes: Any) -> tms.Experiment:
    settings = {"n": 12, "m": 6, "batch_size": 700, "activation": "gelu", "bias": "both"}
    return description(SPARSE, **settings | changes)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("inputs", [SPARSE, tms.KSparse(k=3)], ids=repr)
def test_lists_of_active_features_give_the_dense_gradient(
    inputs: Any, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_entries_change_nothing(
        sparse(tied=tied, hidden_activation="relu").replace(inputs=inputs), monkeypatch
    )


@pytest.mark.parametrize("inputs", [SPARSE, tms.KSparse(k=3)], ids=repr)
def test_lists_of_active_features_in_bilinear_models(inputs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tms.Bilinear(n_features=12, n_hidden=6)
    assert_entries_change_nothing(description(inputs, model=model, batch_size=700), monkeypatch)


def assert_entries_change_nothing(experiment: tms.Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for pays in (True, False):
        monkeypatch.setattr(_fused_engine, "_entries_pay", lambda density, _, pays=pays: (density > 0) & pays)
        found.append(gradients(_fused_engine, experiment))
    assert_agree(*found, GRADIENT)


@pytest.mark.parametrize("loss", [tms.MSE(importance=0.9 ** np.arange(12)), tms.CrossEntropy()], ids=repr)
def test_samples_without_active_features_count(loss: Any) -> None:
    """One column stands for all of them: the loss of a batch is that of its samples, zeros included."""
    W = np.random.default_rng(2).normal(size=(12, 6))
    experiment = sparse(init=tms.Given(W=W, b=np.linspace(0.1, 1.0, 12)), loss=loss, steps=1500)
    experiment = experiment.replace(optimizer=tms.SGD(lr=0.0), batch_size=50)
    curves = []
    for gaps in (True, False):
        every = job(experiment, seeds=[0])
        every = Job(every.part, every.seeds, np.arange(1500), every.snapshot_steps, 1, "cpu", every.report)
        curves.append(_fused_engine.train(every, gaps=gaps)["loss_curve"].ravel())
    assert not np.array_equal(*curves)
    assert scipy.stats.ttest_ind(*curves).pvalue > 0.001
    assert scipy.stats.ks_2samp(*curves).pvalue > 0.001


@pytest.mark.parametrize("p", [1e-300, 1e-12, 2.0**-33])
def test_features_that_are_never_active(p: float) -> None:
    """Gaps longer than any batch: every sample is empty, and outputs are the activation of the bias."""
    experiment = description(
        tms.SparseUniform(feature_probability=p),
        n=12,
        m=6,
        batch_size=700,
        init=tms.Given(W=np.ones((12, 6)), b=np.full(12, 0.5)),
        bias="end",
        activation="linear",
        loss=tms.MSE(reduction="sum"),
        optimizer=tms.SGD(lr=0.0),
    )
    np.testing.assert_allclose(_fused_engine.train(job(experiment))["loss_curve"][..., 0], 700 * 12 * 0.25)


def test_no_sample_is_lost_where_a_tile_is_just_full() -> None:
    """As many samples with active features as columns, now and then; the empty ones need one more."""
    n, steps = 400, 600
    experiment = tms.Experiment(
        model=tms.Autoencoder(n_features=n, n_hidden=1, activation="linear"),
        init=tms.Given(W=np.zeros((n, 1)), b=np.ones(n)),
        loss=tms.MSE(reduction="sum"),
        optimizer=tms.SGD(lr=0.0),
        inputs=tms.SparseUniform(feature_probability=0.001),
        steps=steps,
        batch_size=1000,
    )
    width = _types.tile_columns(_fused_engine._Task(job(experiment), True).numbers, np.float32)
    p = -np.log1p(-width / 1000) / n  # so that a tile is just full on average
    full = scipy.stats.binom.pmf(width, 1000, -np.expm1(n * np.log1p(-p)))
    assert (1 - full) ** steps < 1e-4
    experiment = experiment.replace(inputs=tms.SparseUniform(feature_probability=float(p)))
    every = job(experiment, seeds=[0])
    every = Job(every.part, every.seeds, np.arange(steps), every.snapshot_steps, 1, "cpu", every.report)
    losses = _fused_engine.train(every)["loss_curve"]
    # Every output is 1: an empty sample costs n, and an active feature takes off less than 1 of that.
    assert losses.max() <= 1000 * n
    assert losses.min() > 1000 * n - 2 * 1000 * n * p


@pytest.mark.parametrize("p", [0.01, 0.035])
def test_sampling_by_gaps_trains_alike(p: float) -> None:
    """Many seeds: the losses found, on fresh samples and exactly, have the same distribution as torch's."""
    experiment = tms.Experiment(
        model=tms.Autoencoder(n_features=4, n_hidden=2),
        inputs=tms.SparseUniform(feature_probability=p),
        optimizer=tms.Adam(lr=0.01),
        steps=400,
        batch_size=128,
    )
    settings = {"evaluation_samples": 20_000, "loss_steps": 0, "snapshot_steps": 0}
    mine = tms.train(experiment, seeds=120, engine="fused", **settings)
    theirs = tms.train(experiment, seeds=np.arange(1000, 1120), engine="torch", **settings)
    assert mine.attrs["engine"] == "fused"
    assert theirs.attrs["engine"] == "torch"
    for measure in (lambda runs: runs.loss, tms.expected_loss):
        assert scipy.stats.ks_2samp(measure(mine).values, measure(theirs).values).pvalue > 0.001


GRID = description(
    tms.SparseUniform(feature_probability=tms.axis("p", [1.0, 0.3, 0.05, 0.01])),
    n=20,
    m=5,
    optimizer=tms.Adam(lr=tms.Linear(start=tms.axis("lr", [0.01, 0.02]))),
    steps=30,
    dtype="float32",
)


def test_threads_and_chunks_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _fused_engine.train(job(GRID), threads=1)
    assert_same_bits(_fused_engine.train(job(GRID), threads=3), whole)
    monkeypatch.setattr(_fused_engine, "_CHUNK_SECONDS", 0.0)
    monkeypatch.setattr(_fused_engine._Task, "_operations", lambda _: 2e7)  # one step in the first call
    assert_same_bits(_fused_engine.train(job(GRID)), whole)
    monkeypatch.setenv("TMS_THREADS", "5")
    assert _fused_engine.thread_count() == 5
    assert_same_bits(_fused_engine.train(job(GRID)), whole)


def test_alone_and_within_a_grid_the_same_bits() -> None:
    whole = _fused_engine.train(job(GRID, seeds=[3, 1, 4]))
    for i, p in enumerate([1.0, 0.3, 0.05, 0.01]):
        alone = _fused_engine.train(job(GRID.sel(p=p, lr=0.02), seeds=[4]))
        for name, array in alone.items():
            np.testing.assert_array_equal(array[0], whole[name][(i * 2 + 1) * 3 + 2], name)


def _train_one(seed: int) -> np.ndarray:
    """At the top of the module, so that a new process finds it."""
    return np.asarray(tms.train(GRID, seeds=[seed], engine="fused").W)


def test_from_threads_and_from_new_processes() -> None:
    expected = [_train_one(seed) for seed in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        np.testing.assert_array_equal(list(pool.map(_train_one, (0, 1))), expected)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        np.testing.assert_array_equal(list(pool.map(_train_one, (0, 1))), expected)


def test_without_a_cache_folder_the_same_bits(tmp_path: Path) -> None:
    """A process that cannot write anywhere compiles for itself, with the same result."""
    (tmp_path / "file").touch()
    code = "import sys; from tests.test_fused import _train_one as t; sys.stdout.buffer.write(t(0).tobytes())"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "file")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout == _train_one(0).tobytes()


def test_an_interrupt_stops_all_threads() -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    endless = job(description(steps=2**31 - 1, batch_size=1024), report=interrupt)
    with pytest.raises(KeyboardInterrupt):
        _fused_engine.train(endless, threads=2)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tms-")]


def test_an_error_in_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fused_engine._Task, "memory", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _fused_engine.train(job(GRID))


def test_progress_adds_up() -> None:
    reports: list[int] = []
    _fused_engine.train(job(GRID, report=reports.append))
    assert sum(reports) == 8 * 2 * 30


@pytest.mark.parametrize("text", ["abc", "2.5", "0", "-3"])
def test_a_wrong_number_of_threads_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMS_THREADS", text)
    with pytest.raises(ValueError, match=f"TMS_THREADS must be a whole number, at least 1; got '{text}'"):
        tms.train(GRID)


def test_dear_models_do_not_begin_with_the_steps_of_cheap_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise one call would take seconds, and an interrupt would have to wait for it."""
    calls: list[tuple[int, int]] = []

    def spied(*arguments: Any) -> Callable[..., None]:
        loop = compiled(*arguments)

        def run(*given: Any) -> None:
            calls.append(given[-2:])
            loop(*given)

        return run

    compiled = _compiled.compiled
    monkeypatch.setattr(_compiled, "compiled", spied)
    inputs = tms.SparseUniform(feature_probability=tms.axis("p", [0.0001, 1.0]))
    _fused_engine.train(job(description(inputs, n=100, steps=20_000, batch_size=512), seeds=[0]), threads=1)
    first = [end for begin, end in calls if begin == 0]
    assert first[0] == first[1] < 20_000
    assert max(end - begin for begin, end in calls) > first[0]


def _tiny(x):  # type: ignore[no-untyped-def]
    return x


@pytest.mark.parametrize("damage", [b"", b"not a cache"])
def test_a_damaged_cache_is_made_anew(damage: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(_loop, "run", _tiny)
    signature = (numba.types.int64,)
    assert _compiled._compile(signature)(3) == 3
    files = list(tmp_path.rglob("*.nb[ic]"))
    assert len(files) == 2
    for path in files:
        path.write_bytes(damage)
        assert _compiled._compile(signature)(3) == 3
    assert _compiled._compile(signature)(3) == 3
    assert all(path.read_bytes() != damage for path in tmp_path.rglob("*.nb[ic]"))


@pytest.mark.parametrize("features", ["avx2", ""])
def test_narrower_vectors(features: str) -> None:
    """As on a processor whose vectors have 32 bytes, or 16."""
    code = f"""
import llvmlite.binding as binding
own = binding.get_host_cpu_features()
class Features(dict):
    def flatten(self):  # what the cached code is known by
        return ",".join(("+" if on else "-") + name for name, on in self.items())
hidden = "avx512" if {features!r} else "avx"
kept = {{name: on and hidden not in name for name, on in own.items()}}
binding.get_host_cpu_features = lambda: Features(kept)
from tests import test_fused as t
from tms._kernels import _vector
assert _vector.VECTOR_BYTES == (32 if kept["avx2"] else 16)
for tied in (True, False):
    for n, m, batch_size in ((1, 1, 1), (2, 3, 65), (9, 4, 1500), (23, 7, 65), (80, 20, 130)):
        t.test_gradients_at_any_size(n, m, batch_size, tied)
    t.test_one_hot_inputs_of_many_features(65, tied)
for n, m, batch_size in ((1, 1, 1), (9, 4, 1500), (23, 7, 65)):
    t.test_gradients_of_bilinear_models_at_any_size(n, m, batch_size, "both")
"""
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=True)


def test_which_engine_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = description()
    assert tms.train(plain).attrs["engine"] == "fused"
    assert tms.train(plain, engine="torch").attrs["engine"] == "torch"
    own = description(activation=abs)
    assert tms.train(own).attrs["engine"] == "torch"
    with pytest.raises(ValueError, match=r"engine must be 'torch' or 'auto', since callables.*got 'fused'"):
        tms.train(own, engine="fused")

    class Own(tms.SparseUniform):
        """It might sample in another way."""

    assert not _fused_engine.supports(description(Own(feature_probability=0.1)), "cpu")
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert tms.train(plain).attrs["engine"] == "torch"
    monkeypatch.delenv("NUMBA_DISABLE_JIT")
    bilinear = {"model": tms.Bilinear(n_features=5, n_hidden=3)}
    assert tms.train(description(**bilinear)).attrs["engine"] == "fused"
    beyond = description(loss=tms.CrossEntropy(), **bilinear)
    assert tms.train(beyond).attrs["engine"] == "torch"
    with pytest.raises(ValueError, match=r"engine must be 'torch' .* cross-entropy of a bilinear model"):
        tms.train(beyond, engine="fused")
    mixed = description(activation=tms.axis("activation", ["relu", abs], labels=["relu", "abs"]))
    assert tms.train(mixed).attrs["engine"] == "fused, torch"
