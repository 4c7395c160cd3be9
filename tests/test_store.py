"""The store: what is loaded and what is trained, its files, and what can be wrong with them."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import tms
from tests.sweeping import grid, mounted, same_bits, slow, temporary
from tms import _fused_engine, _identity, _torch_engine
from tms import store as store_module


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many models each call of the fused engine trains."""
    counts: list[int] = []
    inner = _fused_engine.train

    def train(job: Any, **settings: Any) -> Any:
        counts.append(job.n_models)
        return inner(job, **settings)

    monkeypatch.setattr(_fused_engine, "train", train)
    return counts


@pytest.fixture(scope="module")
def plain() -> xr.Dataset:
    return tms.train(grid(), seeds=5)


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.nc"))


def test_what_was_trained_is_loaded(tmp_path: Path, trained: list[int], plain: xr.Dataset) -> None:
    xr.testing.assert_identical(tms.train(grid(), seeds=5, store=tmp_path, shard_size=7), plain)
    assert sum(trained) == 60
    assert max(trained) == 6  # shards of a part are alike
    before = list(trained)
    xr.testing.assert_identical(tms.train(grid(), seeds=5, store=tmp_path, shard_size=7), plain)
    xr.testing.assert_identical(tms.train(grid(), seeds=5, store=str(tmp_path)), plain)
    assert trained == before


def test_an_enlarged_or_recut_grid_trains_only_what_is_new(tmp_path: Path, trained: list[int]) -> None:
    tms.train(grid(), seeds=5, store=tmp_path, shard_size=7)
    trained.clear()
    more = grid(
        inputs=tms.SparseUniform(feature_probability=tms.axis("density", [0.02, 0.5, 1.0])),
        optimizer=tms.Adam(lr=tms.axis("rate", [0.03, 0.01], labels=["high", "low"])),
    )
    runs = tms.train(more, seeds=[7, 4, 3], store=tmp_path, shard_size=4)
    assert sum(trained) == 2 * 2 * (3 + 2)  # biases, rates; three seeds at the new density, one at the others
    same_bits(runs, tms.train(more, seeds=[7, 4, 3]))


def test_one_model_alone_is_found_in_a_grid(tmp_path: Path, trained: list[int], plain: xr.Dataset) -> None:
    tms.train(grid(), seeds=5, store=tmp_path)
    trained.clear()
    chosen = {"bias": "end", "p": 0.3, "lr": 0.01}
    alone = tms.train(grid().sel(**chosen), seeds=[2], store=tmp_path)
    assert not trained
    np.testing.assert_array_equal(alone.W.values, plain.sel(**chosen, seed=[2]).W.values)


@pytest.mark.parametrize(
    "changed",
    [
        {"steps": 41},
        {"batch_size": 17},
        {"dtype": "float64"},
        {"init": tms.Normal(scale=0.1)},
        {"loss": tms.MSE(importance=[1.0, 1.0, 1.0, 0.5])},
        {"optimizer": tms.AdamW(lr=tms.axis("lr", [0.01, 0.03]))},
        {"inputs": tms.SparseUniform(feature_probability=0.4)},
        {"init": tms.Given(W=np.ones((4, 2)), b=None)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_whatever_changes_a_model_changes_its_name(changed: dict[str, Any]) -> None:
    known, other = names(grid(model=MODEL)), names(grid(model=MODEL, **changed))
    assert not set(known) & set(other)


MODEL = tms.Autoencoder(n_features=4, n_hidden=2)


def names(experiment: tms.Experiment, engine: str = "fused", **settings: Any) -> list[bytes]:
    """The names of the models of an experiment of one part, at two seeds."""
    steps = np.array(settings.get("loss_steps", [0, 5]))
    job = tms._engine.Job(experiment, np.array([0, 3]), steps, steps, 2, "cpu", lambda _: None)
    identity = _identity.Identity(experiment, engine, "cpu")
    return _identity.models(identity.states(job, identity.points()), job)


def test_names_tell_apart_what_was_recorded_and_what_trained() -> None:
    made = grid(model=MODEL)
    assert len(set(names(made))) == 12
    assert not set(names(made)) & set(names(made, loss_steps=[0, 6]))
    assert not set(names(made)) & set(names(made, engine="torch"))


def test_a_value_has_one_name_on_an_axis_and_off_it() -> None:
    varied = names(grid(model=MODEL, loss=tms.MSE(importance=tms.axis("one", [1.0]))))
    assert varied == names(grid(model=MODEL))
    rows = tms.axis("rows", [[1.0, 2.0, 3.0, 4.0]], labels=["a"])
    fixed = grid(model=MODEL, loss=tms.MSE(importance=[1.0, 2.0, 3.0, 4.0]))
    assert names(grid(model=MODEL, loss=tms.MSE(importance=rows))) == names(fixed)


def test_given_starts_count_model_by_model(tmp_path: Path, trained: list[int]) -> None:
    """A start of its own for each seed and grid point, of which one is changed afterwards."""
    made = grid(model=MODEL)
    starts = tms.train(made.replace(steps=1), seeds=3)
    first = tms.train(made.replace(init=tms.Given.from_runs(starts)), seeds=3, store=tmp_path)
    same_bits(first, tms.train(made.replace(init=tms.Given.from_runs(starts)), seeds=3))
    trained.clear()
    starts.W[1, 0, 2] += 1.0
    changed = made.replace(init=tms.Given.from_runs(starts))
    same_bits(tms.train(changed, seeds=3, store=tmp_path), tms.train(changed, seeds=3))
    assert trained[0] == 1


@pytest.mark.parametrize(
    "inputs", [tms.OneHot(), tms.KSparse(k=2), tms.Dataset(data=np.eye(4)[:3] + 0.1)], ids=repr
)
@pytest.mark.parametrize("engine", ["fused", "torch"])
def test_all_inputs_and_both_engines(tmp_path: Path, inputs: Any, engine: str) -> None:
    batch = 3 if isinstance(inputs, tms.KSparse) else None
    made = grid(inputs=inputs, batch_size=batch, steps=6)
    runs = tms.train(made, seeds=3, store=tmp_path, engine=engine, shard_size=4)
    same_bits(tms.train(made, seeds=3, store=tmp_path, engine=engine), runs)
    for name, array in tms.train(made, seeds=3, engine=engine).data_vars.items():
        np.testing.assert_allclose(runs[name], array, rtol=0 if engine == "fused" else 1e-5)


def test_bilinear_and_untied_models_come_back(tmp_path: Path) -> None:
    for model in (
        tms.Bilinear(n_features=4, n_hidden=2),
        tms.Autoencoder(n_features=4, n_hidden=2, tied=False),
    ):
        made = grid(model=model, steps=5)
        runs = tms.train(made, seeds=2, store=tmp_path)
        same_bits(tms.train(made, seeds=2, store=tmp_path), runs)
        assert "W_out" in runs


def test_xarray_opens_a_shard_by_itself(tmp_path: Path) -> None:
    made = slow(steps=20)
    runs = tms.train(made, seeds=5, store=tmp_path)
    (path,) = shards(tmp_path)
    assert path.read_bytes()[:4] == b"CDF\x02"  # classic netCDF with 64-bit offsets
    with xr.open_dataset(path) as shard:
        assert shard.sizes == {"model": 15, "feature": 8, "hidden": 3} | {
            name: runs.sizes[name] for name in ("loss_step", "snapshot_step")
        }
        for i in range(15):
            p, seed = float(shard["inputs.feature_probability"][i]), int(shard.seed[i])
            one = runs.sel(p=p, seed=seed)
            np.testing.assert_array_equal(shard.W[i], one.W)
            np.testing.assert_array_equal(shard.W_snapshot[i], one.W_snapshot)
            assert float(shard.loss[i]) == float(one.loss)
        assert shard.attrs["steps"] == 20
        assert '"n_features": 8' in shard.attrs["experiment"]
        assert not shard.diverged.any()


def test_the_same_file_whoever_asks(tmp_path: Path) -> None:
    """A shard's file is a function of its name: neither names of axes nor the time of day are in it."""
    tms.train(slow(steps=9), seeds=2, store=tmp_path / "a")
    renamed = tms.axis("density", [1.0, 0.3, 0.02], labels=["x", "y", "z"])
    tms.train(
        slow(steps=9, inputs=tms.SparseUniform(feature_probability=renamed)), seeds=2, store=tmp_path / "b"
    )
    (a,), (b,) = shards(tmp_path / "a"), shards(tmp_path / "b")
    assert (a.name, a.read_bytes()) == (b.name, b.read_bytes())


def other_version(path: Path) -> None:
    """A whole shard, with a checksum that is right, of another version of the code."""
    data = path.read_bytes()
    version = _identity.code_version("fused").encode()
    assert data.count(version) == 1
    data = data.replace(version, b"f" * len(version))
    data = re.sub(rb"sha256 [0-9a-f]{64}", b"sha256 " + b"0" * 64, data, count=1)
    digest = hashlib.sha256(data).hexdigest().encode()
    path.write_bytes(data.replace(b"sha256 " + b"0" * 64, b"sha256 " + digest, 1))


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-7] ^= 16
    path.write_bytes(data)


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-9]), "does not fit its checksum"),
    "empty": (lambda path: path.write_bytes(b""), "is no shard"),
    "flipped": (flipped, "does not fit its checksum"),
    "none": (lambda path: path.write_text("my notes\n"), "is no shard"),
    "version": (other_version, "made by version f{16} of the code that trains, and this is"),
    "renamed": (lambda path: path.write_bytes(shards(path.parent)[0].read_bytes()), "holds other models"),
}


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_is_named_and_trained_again(
    tmp_path: Path, trained: list[int], plain: xr.Dataset, how: str, indexed: bool
) -> None:
    damage, complaint = DAMAGE[how]
    tms.train(grid(), seeds=5, store=tmp_path, shard_size=10)
    trained.clear()
    victim = shards(tmp_path)[2]
    damage(victim)
    if not indexed:
        (tmp_path / "index" / victim.with_suffix(".npy").name).unlink()
    with pytest.warns(tms.StoreWarning, match=f"{victim.name} cannot be used: .*{complaint}") as caught:
        xr.testing.assert_identical(tms.train(grid(), seeds=5, store=tmp_path, shard_size=10), plain)
    assert len(caught) == 1
    assert sum(trained) == 10
    trained.clear()
    xr.testing.assert_identical(tms.train(grid(), seeds=5, store=tmp_path, shard_size=10), plain)
    assert not trained


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    tms.train(slow(steps=3), seeds=1, store=tmp_path, loss_steps=2, snapshot_steps=1)
    data = shards(tmp_path)[0].read_bytes()
    store_module.unpacked(data)
    rng = np.random.default_rng(0)
    for position in {0, 3, len(data) - 1, *rng.integers(0, len(data), 300).tolist()}:
        changed = bytearray(data)
        changed[position] ^= 1 << int(rng.integers(8))
        with pytest.raises(store_module.DamagedError):
            store_module.unpacked(bytes(changed))


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x93NUMPY"])
def test_a_damaged_index_changes_nothing(
    tmp_path: Path, trained: list[int], plain: xr.Dataset, data: bytes
) -> None:
    tms.train(grid(), seeds=5, store=tmp_path, shard_size=10)
    trained.clear()
    for path in (tmp_path / "index").iterdir():
        path.write_bytes(data)
    xr.testing.assert_identical(tms.train(grid(), seeds=5, store=tmp_path), plain)
    assert not trained


def test_an_entry_of_the_index_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: xr.Dataset
) -> None:
    """By all calls of a process together, unless it has changed: a store has thousands of them."""
    read: list[str] = []
    inner = store_module.LocalFolder.read
    monkeypatch.setattr(
        store_module.LocalFolder, "read", lambda self, name: read.append(name) or inner(self, name)
    )
    tms.train(grid(), seeds=5, store=tmp_path, shard_size=10)
    for times in (1, 0):
        read.clear()
        xr.testing.assert_identical(tms.train(grid(), seeds=5, store=tmp_path), plain)
        entries = [name for name in read if name.endswith(".npy")]
        assert len(entries) == times * len(shards(tmp_path))
    changed = next((tmp_path / "index").iterdir())
    changed.write_bytes(changed.read_bytes())
    read.clear()
    tms.train(grid(), seeds=5, store=tmp_path)
    assert [name for name in read if name.endswith(".npy")] == [f"index/{changed.name}"]


def test_an_index_that_lies_is_not_believed(tmp_path: Path, trained: list[int], plain: xr.Dataset) -> None:
    """Two entries with each other's content: the shards themselves say what is in them."""
    tms.train(grid(), seeds=5, store=tmp_path, shard_size=10)
    trained.clear()
    a, b = sorted((tmp_path / "index").iterdir())[:2]
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)
    xr.testing.assert_identical(tms.train(grid(), seeds=5, store=tmp_path, shard_size=10), plain)
    assert not trained
    xr.testing.assert_identical(tms.train(grid(), seeds=5, store=tmp_path, shard_size=9), plain)
    assert sum(trained) == 20


def test_an_index_that_lies_of_a_smaller_shard(tmp_path: Path, trained: list[int], plain: xr.Dataset) -> None:
    """Its rows are not in the shard."""
    tms.train(grid(), seeds=5, store=tmp_path, shard_size=9)
    trained.clear()
    small, *_, large = sorted((tmp_path / "index").iterdir(), key=lambda path: path.stat().st_size)
    small.write_bytes(large.read_bytes())
    xr.testing.assert_identical(tms.train(grid(), seeds=5, store=tmp_path, shard_size=9), plain)
    assert not trained


def test_no_run_goes_on_from_a_wrong_row(tmp_path: Path) -> None:
    """The shards of a part have each other's entries: their models begin anew, and not as another one."""
    long = {"seeds": 5, "loss_steps": [50], "snapshot_steps": [50]}
    made, longer = grid(model=MODEL), grid(model=MODEL, steps=50)
    tms.train(made, seeds=5, store=tmp_path, shard_size=10)
    entries = sorted((tmp_path / "index").iterdir())
    contents = [path.read_bytes() for path in entries]
    for path, content in zip(entries, contents[1:] + contents[:1], strict=True):
        path.write_bytes(content)
    runs = tms.train(longer, store=tmp_path, continue_from=40, shard_size=10, **long)
    same_bits(runs, tms.train(longer, **long))


def test_models_that_diverge_are_kept_and_marked(tmp_path: Path, trained: list[int]) -> None:
    made = grid(model=MODEL, optimizer=tms.SGD(lr=tms.axis("lr", [0.01, 1e9])))
    with pytest.warns(tms.DivergenceWarning):
        runs = tms.train(made, seeds=4, store=tmp_path)
    assert int(tms.store.info(tmp_path).diverged.sum()) == int(runs.diverged.sum()) == 12
    trained.clear()
    with pytest.warns(tms.DivergenceWarning):
        again = tms.train(made, seeds=4, store=tmp_path)
    assert not trained
    same_bits(again, runs)


@pytest.mark.parametrize(
    "optimizer", [tms.SGD(lr=0.1), tms.SGD(lr=0.05, momentum=0.9), tms.Adam(), tms.AdamW(lr=0.01)], ids=repr
)
@pytest.mark.parametrize("engine", ["fused", "torch"])
def test_going_on_is_as_if_training_had_not_paused(
    tmp_path: Path, trained: list[int], optimizer: Any, engine: str
) -> None:
    short, long = grid(optimizer=optimizer, steps=11), grid(optimizer=optimizer, steps=30)
    steps = {"loss_steps": [11, 20, 30], "snapshot_steps": [15, 30]}
    undisturbed = tms.train(long, seeds=4, engine=engine, **steps)
    tms.train(short, seeds=4, engine=engine, store=tmp_path, shard_size=5)
    trained.clear()
    on = {"engine": engine, "store": tmp_path, "continue_from": 11, "shard_size": 3}
    runs = tms.train(long, seeds=4, **on, **steps)
    same_bits(runs, undisturbed)
    if engine == "fused":
        assert sum(trained) == 24  # the legs were there
    # Where there is no shorter run, it is trained first, with the same result.
    more = tms.train(long, seeds=6, **on, **steps)
    same_bits(more.isel(seed=slice(4)), undisturbed)
    same_bits(more.isel(seed=[5]), tms.train(long, seeds=[5], engine=engine, **steps))


def test_going_on_twice(tmp_path: Path) -> None:
    """With shuffled data, whose epochs the legs cut in the middle."""
    data = tms.Dataset(data=np.random.default_rng(0).uniform(size=(10, 4)))
    made = grid(inputs=data, batch_size=3)
    for begin, end in ((None, 5), (5, 14), (14, 40)):
        runs = tms.train(
            made.replace(steps=end), seeds=2, store=tmp_path, continue_from=begin, loss_steps=[end]
        )
    same_bits(runs.drop_vars(["W_snapshot", "b_snapshot", "snapshot_step"]),
              tms.train(made, seeds=2, loss_steps=[40]).drop_vars(
                  ["W_snapshot", "b_snapshot", "snapshot_step"]))  # fmt: skip


def test_recorded_steps_begin_where_training_goes_on(tmp_path: Path) -> None:
    runs = tms.train(grid(), seeds=1, store=tmp_path, continue_from=30, loss_steps=4, snapshot_steps=3)
    assert runs.loss_step.values.tolist() == [30, 31, 33, 40]
    assert runs.snapshot_step.values.tolist() == [30, 31, 40]


def test_where_one_cannot_go_on(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"continue_from must be a whole number.* 39; got 40"):
        tms.train(grid(), store=tmp_path, continue_from=40)
    with pytest.raises(ValueError, match="store must be given with continue_from"):
        tms.train(grid(), continue_from=20)
    falling = grid(optimizer=tms.Adam(lr=tms.Cosine(start=0.01)))
    with pytest.raises(ValueError, match="continue_from must be None with Cosine"):
        tms.train(falling, store=tmp_path, continue_from=20)
    with pytest.raises(ValueError, match=r"loss_steps\[0\] must be .* 20 <= number <= 40; got 3"):
        tms.train(grid(), store=tmp_path, continue_from=20, loss_steps=[3, 40])


@pytest.mark.parametrize("store", ["", 7, True, __file__, "nonsense://x"])
def test_what_is_no_store(store: Any) -> None:
    with pytest.raises(ValueError, match="store must be a folder's path, or an fsspec address"):
        tms.train(grid(), store=store)


def test_what_cannot_be_kept(tmp_path: Path) -> None:
    made = grid(model=tms.Autoencoder(n_features=4, n_hidden=2, activation=torch.tanh))
    with pytest.raises(ValueError, match=r"store must be None where .* a callable .*cannot be written"):
        tms.train(made, store=tmp_path)

    class Linear(tms.Linear):
        """What it does is in no name: another class may be called so too."""

    for lr in (Linear(start=0.1), tms.axis("lr", [Linear(start=0.1)])):
        with pytest.raises(ValueError, match=r"a class of your own \(Linear\(start=0.1\) cannot be written"):
            tms.train(grid(optimizer=tms.Adam(lr=lr)), store=tmp_path, engine="torch")
    with pytest.raises(ValueError, match=r"shard_size must be .*got 0"):
        tms.train(grid(), store=tmp_path, shard_size=0)
    assert not list(tmp_path.iterdir())


def test_a_store_anywhere_that_fsspec_knows(trained: list[int], plain: xr.Dataset) -> None:
    address = "memory://sweeps/one"
    xr.testing.assert_identical(tms.train(grid(), seeds=5, store=address, shard_size=7), plain)
    trained.clear()
    xr.testing.assert_identical(tms.train(grid(), seeds=5, store=address), plain)
    assert not trained
    assert tms.store.info(address).models.sum() == 60
    assert len(tms.store.prune(address, keep=[], remove=True)) == 10
    assert len(tms.store.info(address)) == 0


def test_a_full_disk(tmp_path: Path) -> None:
    """A file system of 150 kB: what was finished before it was full is there, and nothing else."""
    made, folder = slow(steps=30), tmp_path / "small"
    whole = tms.train(made, seeds=200)
    with mounted(folder, "-t", "tmpfs", "-o", "size=150k", "tmpfs"):
        with pytest.raises(tms.StoreError, match=f"the store {folder} cannot be written: the disk is full"):
            tms.train(made, seeds=200, store=folder, shard_size=10)
        assert not temporary(folder)
        kept = shards(folder)
        assert kept
        for path in kept:
            store_module.unpacked(path.read_bytes())
        assert set(tms.store.info(folder).kind) == {"shard"}
        for path in kept[:2]:  # make room
            path.unlink()
        part = tms.train(made, seeds=1, store=folder, shard_size=10)
        same_bits(part, whole.isel(seed=[0]))


def test_a_store_that_can_only_be_read(tmp_path: Path, trained: list[int], plain: xr.Dataset) -> None:
    folder = tmp_path / "store"
    tms.train(grid(), seeds=5, store=folder)
    before = sorted(folder.rglob("*"))
    for path in (folder / "index").iterdir():
        path.unlink()
    with mounted(folder, "--bind", "-o", "ro", str(folder)):
        trained.clear()
        xr.testing.assert_identical(tms.train(grid(), seeds=5, store=folder), plain)
        with pytest.raises(tms.StoreError, match=f"the store {folder} cannot be written: Read-only"):
            tms.train(grid(), seeds=6, store=folder)
        assert not trained
        with pytest.raises(tms.StoreError, match="Read-only"):
            tms.store.prune(folder, keep=[], remove=True)
    assert tms.train(grid(), seeds=6, store=folder).sizes["seed"] == 6
    assert set(before) <= set(folder.rglob("*"))


def test_what_is_in_a_store(tmp_path: Path) -> None:
    tms.train(grid(), seeds=5, store=tmp_path, shard_size=20)
    other_version(shards(tmp_path)[0])
    flipped(shards(tmp_path)[1])
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".abc.nc.1234.tmp").write_text("left behind")
    found = tms.store.info(tmp_path)
    assert found.kind.value_counts().to_dict() == {
        "shard": 2, "other version": 1, "damaged": 1, "unknown": 1, "temporary": 1
    }  # fmt: skip
    assert (found.bytes > 0).all()
    whole = found[found.kind == "shard"]
    assert (whole.steps == 40).all()
    assert whole.experiment.str.contains('"feature_probability": "varies"').all()
    assert len(tms.store.info(tmp_path / "nowhere")) == 0


def test_prune_removes_what_no_description_names(tmp_path: Path, trained: list[int]) -> None:
    old, new = slow(steps=5), slow(steps=6)
    for made in (old, new):
        tms.train(made, seeds=3, store=tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "index" / ".abc.npy.1234.tmp").write_text("left behind")
    found = tms.store.prune(tmp_path, keep=new.sel(p=0.3))
    assert sorted(found.kind) == ["shard", "temporary"]
    assert found.steps.dropna().tolist() == [5]
    assert len(shards(tmp_path)) == 2  # shown, no more
    removed = tms.store.prune(tmp_path, keep=[new.sel(p=0.3)], remove=True)
    assert removed.equals(found)
    assert len(tms.store.prune(tmp_path, keep=[new])) == 0
    assert (tmp_path / "notes.txt").exists()
    assert len(list((tmp_path / "index").iterdir())) == 1
    trained.clear()
    tms.train(new, seeds=3, store=tmp_path)
    assert not trained
    shards(tmp_path)[0].unlink()  # by hand: an entry of the index is left
    assert tms.store.prune(tmp_path, keep=[new], remove=True).kind.tolist() == ["temporary"]
    assert not list((tmp_path / "index").iterdir())
    with pytest.raises(ValueError, match="keep must be an experiment, or several; got 5"):
        tms.store.prune(tmp_path, keep=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"keep\[0\] must be"):
        tms.store.prune(tmp_path, keep=["everything"], remove=True)


def test_the_version_is_that_of_what_trains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A comment or a docstring changes nothing; code and releases of packages do."""
    source = Path(_identity.__file__).parent
    for path in [*source.glob("*.py"), *source.glob("_kernels/*.py")]:
        target = tmp_path / path.relative_to(source)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    monkeypatch.setattr(_identity, "__file__", str(tmp_path / "_identity.py"))

    def version(engine: str = "fused") -> str:
        _identity.code_version.cache_clear()
        return _identity.code_version(engine)

    try:
        first, torch_first = version(), version("torch")
        kernel = tmp_path / "_kernels" / "_update.py"
        text = kernel.read_text()
        kernel.write_text("# A remark.\n" + text.replace('"""One step', '"""A step'))
        assert version() == first
        kernel.write_text(text.replace("velocity[i] * momentum", "momentum * velocity[i] * 2"))
        assert version() != first
        assert version("torch") == torch_first
        kernel.write_text(text)
        inner = _identity.importlib.metadata.version
        changed = {"numba": "0.1"}
        monkeypatch.setattr(
            _identity.importlib.metadata, "version", lambda name: changed.get(name) or inner(name)
        )
        assert version() != first
        assert version("torch") == torch_first
    finally:
        monkeypatch.undo()
        _identity.code_version.cache_clear()


def test_nothing_is_warned_of_in_a_sound_store(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            tms.train(grid(), seeds=2, store=tmp_path, engine="torch")
    assert _torch_engine is not None
