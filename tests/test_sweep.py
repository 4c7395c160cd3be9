"""Sweeps: any executor gives the same bits, and whatever is killed or interrupted goes on."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
import xarray as xr

import tms
from tests.sweeping import ROOT, child, grid, logged, random_floats, same_bits, slow, temporary
from tms import _identity, _sweep
from tms.train import Grid

# Dask's own threads and sockets end a moment after the client; what they say then is no concern of ours.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


@pytest.fixture(scope="module")
def plain() -> xr.Dataset:
    return tms.train(grid(), seeds=5)


@pytest.fixture(scope="module")
def plain_slow() -> xr.Dataset:
    return tms.train(slow(), seeds=8)


@contextmanager
def processes(count: int = 2) -> Iterator[Executor]:
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as executor:
        yield executor


@contextmanager
def dask_cluster(workers: int = 2) -> Iterator[Any]:
    """A scheduler in this process, and worker processes of one thread each."""
    distributed = pytest.importorskip("distributed")
    settings = {
        "n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0",
        "host": "127.0.0.1",
    }  # fmt: skip
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        yield client


@contextmanager
def dask() -> Iterator[Executor]:
    with dask_cluster() as client:
        yield client.get_executor()


EXECUTORS = {"threads": lambda: ThreadPoolExecutor(3), "processes": processes, "dask": dask}


@pytest.mark.parametrize("name", EXECUTORS)
def test_any_executor_gives_the_same_bits(name: str, tmp_path: Path, plain: xr.Dataset) -> None:
    with EXECUTORS[name]() as executor:  # type: ignore[attr-defined]
        xr.testing.assert_identical(tms.train(grid(), seeds=5, executor=executor), plain)
        for size in (None, 1, 7):
            folder = tmp_path / str(size)
            runs = tms.train(grid(), seeds=5, executor=executor, store=folder, shard_size=size)
            xr.testing.assert_identical(runs, plain)
            xr.testing.assert_identical(tms.train(grid(), seeds=5, store=folder), plain)
        # Going on, where the workers get the earlier weights and the optimiser's memory.
        long = grid(steps=60)
        on = {"executor": executor, "store": tmp_path / "7", "continue_from": 40}
        same_bits(
            tms.train(long, seeds=5, **on, loss_steps=[60], snapshot_steps=[60]),
            tms.train(long, seeds=5, loss_steps=[60], snapshot_steps=[60]),
        )


def test_the_number_of_threads_changes_nothing(
    tmp_path: Path, plain: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    for threads in (1, 2, 5):
        monkeypatch.setenv("TMS_THREADS", str(threads))
        runs = tms.train(grid(), seeds=5, store=tmp_path / str(threads), shard_size=11)
        xr.testing.assert_identical(runs, plain)
    names = [{path.name for path in folder.glob("*.nc")} for folder in tmp_path.iterdir()]
    assert names[0] == names[1] == names[2]


class Recorder(Executor):
    """Trains at once, and keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[Any, ...]] = []

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.given.append(args)
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


def test_a_shard_takes_one_thread_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers share a machine: each of them uses one of its cores, with either engine."""
    threads: list[Any] = []
    inner = _sweep._fused_engine.train

    def train(job: Any, **settings: Any) -> Any:
        threads.append(settings["threads"])
        return inner(job, **settings)

    monkeypatch.setattr(_sweep._fused_engine, "train", train)
    tms.train(grid(), executor=Recorder())
    assert threads == [1, 1]

    seen: list[int] = []

    def tanh(x: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return torch.tanh(x)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        made = grid(model=tms.Autoencoder(n_features=4, n_hidden=2, activation=tanh), steps=3)
        runs = tms.train(made, executor=Recorder())
        assert set(seen[2:]) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    same_bits(runs, tms.train(made))


def test_shards_have_the_stated_work() -> None:
    """20 operations for each sample, feature and hidden dimension; memory is a limit too."""

    def cut(experiment: tms.Experiment, seeds: int, **settings: Any) -> list[int]:
        executor = Recorder()
        tms.train(experiment, seeds=seeds, executor=executor, **settings)
        return [shard.job.n_models for shard, _ in executor.given]

    made = grid(model=tms.Autoencoder(n_features=4, n_hidden=2), steps=10)
    work = 20 * 16 * 4 * 3 * 10
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sweep, "SHARD_WORK", 5.5 * work)
        assert cut(made, 3) == [5, 5, 4, 4]
        assert cut(made, 3, shard_size=16) == [9, 9]
        patch.setattr(_sweep, "SHARD_WORK", 0.1 * work)
        assert cut(made, 1) == [1] * 6
    with pytest.MonkeyPatch.context() as patch:
        # Three times 12 numbers of 4 bytes, the same for each snapshot, the losses, and names.
        patch.setattr(_sweep, "SHARD_BYTES", 3.5 * (4 * (12 * (3 + 2) + 1) + 100))
        assert cut(made, 1, loss_steps=1, snapshot_steps=2) == [3, 3]


def test_a_worker_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(Recorder):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(_identity, "code_version", lambda engine: "f" * 16)
                return super().submit(function, *args, **kwargs)

    with pytest.raises(
        tms.SweepError, match=r"a worker runs version f{16} .* install the same Python, tms, numpy and"
    ):
        tms.train(grid(), executor=Elsewhere(), store=tmp_path)
    assert not list(tmp_path.glob("*.nc"))


@pytest.mark.parametrize("executor", [3, "dask", object()])
def test_what_is_no_executor(executor: Any) -> None:
    with pytest.raises(
        ValueError, match=r"executor must be a concurrent.futures.Executor, or None; .*get_exec"
    ):
        tms.train(grid(), executor=executor)


def test_what_a_worker_complains_of_reaches_the_caller(tmp_path: Path) -> None:
    """An error of our own comes as it is; any other names the executor and what was finished."""

    class Failing(Recorder):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            if len(self.given) == 2:
                future: Future[Any] = Future()
                future.set_exception(ConnectionError("the cable is out"))
                return future
            return super().submit(function, *args, **kwargs)

    complaint = r"ConnectionError: the cable is out\) when 2 of 10 shards were finished; they are kept in "
    with pytest.raises(tms.SweepError, match=complaint + re.escape(str(tmp_path))):
        tms.train(grid(), seeds=5, executor=Failing(), store=tmp_path, shard_size=7)
    assert len(list(tmp_path.glob("*.nc"))) == 2
    with pytest.raises(tms.SweepError, match="there is no store, so they are lost"):
        tms.train(grid(), seeds=5, executor=Failing(), shard_size=7)


def test_what_fails_in_this_process_comes_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(job: Any, **settings: Any) -> Any:
        raise RuntimeError("out of memory, say")

    monkeypatch.setattr(_sweep._fused_engine, "train", train)
    with pytest.raises(RuntimeError, match=r"^out of memory, say$") as caught:
        tms.train(grid(), store=tmp_path)
    assert type(caught.value) is RuntimeError  # no executor is to blame


def test_an_executor_that_takes_no_more(tmp_path: Path) -> None:
    """Whatever it raises when it is given a shard, the call says how far it came."""

    class Closed(Recorder):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            raise OSError("the client is closed")

    with pytest.raises(tms.SweepError, match=r"OSError: the client is closed\) when 0 of 2 shards"):
        tms.train(grid(), executor=Closed(), store=tmp_path)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_finished_shard_is_let_go(elsewhere: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its arrays are in the result; a sweep that held them too would take the memory twice."""
    kept: list[weakref.ref[Any]] = []
    alive: list[int] = []
    inner, put = _sweep.train_shard, Grid.put

    class Held(dict[str, Any]):
        """Arrays that one can have a weak reference to."""

    def train_shard(*args: Any) -> Held:
        arrays = Held(inner(*args))
        kept.append(weakref.ref(arrays))
        return arrays

    def counted(*args: Any) -> None:
        put(*args)
        alive.append(sum(reference() is not None for reference in kept))

    monkeypatch.setattr(_sweep, "train_shard", train_shard)
    monkeypatch.setattr(Grid, "put", counted)
    monkeypatch.setenv("TMS_THREADS", "1")
    with ThreadPoolExecutor(1) as executor:
        settings: dict[str, Any] = {"executor": executor} if elsewhere else {"store": tmp_path}
        monkeypatch.setattr(_sweep, "AHEAD", 2)
        tms.train(grid(), seeds=5, shard_size=2, **settings)
    assert len(alive) == 30
    assert max(alive) <= 4


def test_only_as_many_shards_begin_as_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them may use all threads, so that more would only wait for each other."""
    lock, running, most = threading.Lock(), 0, 0
    inner = _sweep._fused_engine.train

    def train(job: Any, **settings: Any) -> Any:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.1)
        arrays = inner(job, **settings)
        with lock:
            running -= 1
        return arrays

    monkeypatch.setattr(_sweep._fused_engine, "train", train)
    monkeypatch.setenv("TMS_THREADS", "8")
    tms.train(grid(), seeds=5, store=tmp_path / "a", shard_size=14)  # three of 10 in each part
    assert most == 1 + 1  # a shard that gives work to all threads, and one more
    most = 0
    tms.train(grid(), seeds=2, store=tmp_path / "b", shard_size=1)
    assert 4 <= most <= 9


def test_workers_must_see_the_store(tmp_path: Path) -> None:
    class Blind(Recorder):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            return super().submit(function, args[0], str(tmp_path / "elsewhere"))

    with pytest.raises(tms.StoreError, match="do the workers see the same folder"):
        tms.train(grid(), executor=Blind(), store=tmp_path / "here")


RUN = "tms.train(sweeping.slow(), seeds=8, store={store!r}, shard_size=2, progress=False)"


def test_killed_at_twenty_random_moments(tmp_path: Path, plain_slow: xr.Dataset) -> None:
    """SIGKILL while shards are trained and written; each time at most one shard a worker is lost.

    A sweep that is finished before its time has come is followed by another one, in a new folder.
    """
    moments, folders = random_floats(1, 20), [tmp_path / "0"]
    kills = {folders[0]: 0}
    while moments:
        folder = folders[-1]
        folder.mkdir(exist_ok=True)
        begun = logged(folder).count("ready")
        process = child(folder, RUN.format(store=str(folder / "store")))
        wait_for(lambda: logged(folder).count("ready") > begun or process.poll() is not None)  # noqa: B023
        time.sleep(0.2 * moments[-1])
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            moments.pop()
            kills[folder] += 1
        process.wait(30)
        if "done" in logged(folder):
            folders.append(tmp_path / str(len(folders)))
            kills[folders[-1]] = 0
    for folder in folders:
        if not kills[folder]:
            continue
        store = folder / "store"
        last = child(folder, RUN.format(store=str(store)))
        assert last.wait(60) == 0
        begun = [line for line in logged(folder) if line.startswith("[")]
        assert len(set(begun)) == 12
        assert len(begun) - 12 <= kills[folder]  # one worker, so one shard for each kill
        same_bits(tms.train(slow(), seeds=8, store=store), plain_slow)
        # What killed processes left is seen, and removed.
        left = tms.store.prune(store, keep=slow(), remove=True)
        assert set(left.kind) <= {"temporary"}
        assert len(left) <= kills[folder]
        assert not temporary(store)
        assert set(tms.store.info(store).kind) == {"shard"}


def wait_for(condition: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_ctrl_c(tmp_path: Path, plain_slow: xr.Dataset) -> None:
    store = tmp_path / "store"
    process = child(tmp_path, RUN.format(store=str(store)), TMS_THREADS="2")
    wait_for(lambda: len(list(store.glob("*.nc"))) >= 2)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in errors
    assert not temporary(store)
    finished = len(list(store.glob("*.nc")))
    assert 2 <= finished < 12
    (tmp_path / "log").unlink()
    again = child(tmp_path, RUN.format(store=str(store)))
    assert again.wait(60) == 0
    assert sum(line.startswith("[") for line in logged(tmp_path)) == 12 - finished
    same_bits(tms.train(slow(), seeds=8, store=store), plain_slow)


def test_two_processes_on_one_store(tmp_path: Path, plain_slow: xr.Dataset) -> None:
    store = tmp_path / "store"
    both = [child(tmp_path, RUN.format(store=str(store))) for _ in range(2)]
    for process in both:
        assert process.wait(90) == 0
    assert not temporary(store)
    assert len(list(store.glob("*.nc"))) == 12
    same_bits(tms.train(slow(), seeds=8, store=store), plain_slow)


def test_a_worker_of_a_pool_is_killed(tmp_path: Path, plain_slow: xr.Dataset) -> None:
    """Python's own pool does not recover; what was finished is kept, and the call says so."""
    with processes() as executor:
        assert isinstance(executor, ProcessPoolExecutor)
        tms.train(slow(steps=1), seeds=8, executor=executor, shard_size=1)  # start the workers
        victim = next(iter(executor._processes))

        class Killing(Recorder):
            def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
                self.given.append(args)
                future = executor.submit(function, *args, **kwargs)
                if len(self.given) == 12:
                    wait_for(lambda: len(list(tmp_path.glob("*.nc"))) >= 2)
                    os.kill(victim, signal.SIGKILL)
                return future

        with pytest.raises(
            tms.SweepError, match=r"BrokenProcessPool.* \d+ of 12 shards were finished; they are"
        ):
            tms.train(slow(), seeds=8, executor=Killing(), store=tmp_path, shard_size=2)
    kept = len(list(tmp_path.glob("*.nc")))
    assert 2 <= kept < 12
    same_bits(tms.train(slow(), seeds=8, store=tmp_path, shard_size=2), plain_slow)


def test_a_dask_worker_is_killed_in_mid_shard(tmp_path: Path, plain_slow: xr.Dataset) -> None:
    """Dask gives its shard to another one."""
    with dask_cluster() as client:
        inner = client.get_executor()
        pids = client.run(os.getpid)

        class Killing(Recorder):
            def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
                self.given.append(args)
                future = inner.submit(function, *args, **kwargs)
                if len(self.given) == 12:
                    wait_for(lambda: len(list(tmp_path.glob("*.nc"))) >= 1)
                    os.kill(next(iter(pids.values())), signal.SIGKILL)
                return future

        runs = tms.train(slow(), seeds=8, executor=Killing(), store=tmp_path, shard_size=2)
    same_bits(runs, plain_slow)
    assert len(list(tmp_path.glob("*.nc"))) == 12


def test_the_dask_scheduler_is_lost(tmp_path: Path, plain_slow: xr.Dataset) -> None:
    """A scheduler and two workers as processes of their own, of which the first is killed."""
    distributed = pytest.importorskip("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, run = f"tcp://127.0.0.1:{port}", [sys.executable, "-m"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": ROOT}
    started = [
        subprocess.Popen(
            [*run, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port),
             "--no-dashboard"], **quiet,
        )
    ]  # fmt: skip
    try:
        started += [
            subprocess.Popen(
                [*run, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard",
                 "--local-directory", str(tmp_path / f"worker{i}"), "--death-timeout", "20"], **quiet,
            )
            for i in range(2)
        ]  # fmt: skip
        with distributed.Client(address, timeout=30) as client:
            client.wait_for_workers(2, timeout=60)
            inner, store = client.get_executor(), tmp_path / "store"

            class Killing(Recorder):
                def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
                    self.given.append(args)
                    future = inner.submit(function, *args, **kwargs)
                    if len(self.given) == 12:
                        wait_for(lambda: len(list(store.glob("*.nc"))) >= 2, 60)
                        started[0].kill()
                    return future

            with pytest.raises(
                tms.SweepError, match=r"the executor failed .* of 12 shards .*they are kept in"
            ):
                tms.train(slow(), seeds=8, executor=Killing(), store=store, shard_size=2)
    finally:
        for process in reversed(started):
            process.kill()
            process.wait(20)
    assert len(list(store.glob("*.nc"))) >= 2
    same_bits(tms.train(slow(), seeds=8, store=store, shard_size=2), plain_slow)


def test_progress_tells_of_shards_and_of_the_dashboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TQDM_MININTERVAL", "0")
    tms.train(grid(), seeds=5, store=tmp_path, shard_size=20, progress=True)
    shown = capsys.readouterr().err
    assert "2 of 4 shards" in shown
    assert "4 of 4 shards" in shown
    assert "/2.40k" in shown  # updates: 60 models, 40 steps

    # Runs that are gone on from and that are not there are part of the work: 60 models, 40 steps more.
    tms.train(grid(steps=50), seeds=5, store=tmp_path, continue_from=40, progress=True)
    assert re.search(r"\b100%.*\b600/600 ", capsys.readouterr().err)
    tms.train(grid(steps=50), seeds=[7], store=tmp_path, continue_from=40, progress=True)
    assert re.search(r"\b100%.*\b600/600 ", capsys.readouterr().err)

    class Dask(Recorder):
        _client = type("Client", (), {"dashboard_link": "http://127.0.0.1:8787/status"})()

    tms.train(grid(), seeds=[9], executor=Dask(), progress=True)
    assert "http://127.0.0.1:8787/status" in capsys.readouterr().err
