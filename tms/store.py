"""A folder in which trained models are kept: one file a shard, in a format that xarray opens by itself."""

from __future__ import annotations

import dataclasses
import errno
import functools
import hashlib
import io
import os
import re
import secrets
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr

from tms import _check, _identity
from tms._check import fail
from tms._description import Description
from tms.axis import Axis
from tms.experiment import Experiment

__all__ = ["info", "prune"]

FORMAT = "tms shard 1"

# A shard is a netCDF file (classic, 64-bit offsets). Its attribute `checksum` is the SHA-256 of the file with
# this in the checksum's place.
_NO_CHECKSUM = "0" * 64
_CHECKSUM = re.compile(rb"sha256 ([0-9a-f]{64})")
_SHARD = re.compile(r"[0-9a-f]{32}\.nc")
_ENTRY = re.compile(r"[0-9a-f]{32}\.npy")
_TEMPORARY = re.compile(r"\..*\.tmp")


class StoreError(OSError):
    """The store's folder cannot be read or written: the disk is full, say. What is in it stays as it was.

    Examples
    --------
    >>> import tms
    >>> issubclass(tms.StoreError, OSError)
    True
    """


class StoreWarning(UserWarning):
    """A file in a store is damaged or of another version. It is passed over; its models are trained again.

    Examples
    --------
    >>> import warnings
    >>> import tms
    >>> warnings.simplefilter("error", tms.StoreWarning)  # stop rather than train again
    """


class DamagedError(Exception):
    """Why a file cannot be used."""


# An entry of the index: the names of a shard's models and of their states, uint64 [model, 2] each.
Entry = tuple[np.ndarray, np.ndarray]


class Folder(Protocol):
    """Where files lie: on a disk, or anywhere that fsspec knows."""

    def names(self, sub: str = "") -> list[str]: ...
    def read(self, name: str) -> bytes: ...
    def write(self, name: str, data: bytes) -> None: ...
    def remove(self, name: str) -> None: ...
    def size(self, name: str) -> int: ...
    def has(self, name: str) -> bool: ...
    def stamp(self, name: str) -> tuple[int, ...] | None: ...
    def check_writable(self) -> None: ...


class LocalFolder:
    """A folder on a disk, perhaps a shared one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def names(self, sub: str = "") -> list[str]:
        try:
            return sorted(entry.name for entry in os.scandir(self._path / sub) if entry.is_file())
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes:
        return (self._path / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Write a file so that it is there whole or not at all, whatever happens."""
        target = self._path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        self._sync(target.parent)

    def remove(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    def size(self, name: str) -> int:
        return (self._path / name).stat().st_size

    def has(self, name: str) -> bool:
        return (self._path / name).is_file()

    def stamp(self, name: str) -> tuple[int, ...] | None:
        """What changes when a file is written again; None where that cannot be told."""
        found = os.stat(f"{self._path}/{name}")
        return found.st_ino, found.st_size, found.st_mtime_ns

    def check_writable(self) -> None:
        """Raises OSError if nothing can be written."""
        self._path.mkdir(parents=True, exist_ok=True)
        probe = self._path / f".probe.{secrets.token_hex(4)}.tmp"
        probe.touch(exist_ok=False)
        probe.unlink()

    @staticmethod
    def _sync(folder: Path) -> None:
        """See to it that the new name survives a power failure, where the system can."""
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


class RemoteFolder:
    """A folder at an fsspec address, such as "s3://bucket/sweep"."""

    def __init__(self, address: str) -> None:
        import fsspec  # torch brings it

        self._address = address
        self._system, self._path = fsspec.core.url_to_fs(address)

    def __str__(self) -> str:
        return self._address

    def names(self, sub: str = "") -> list[str]:
        self._system.invalidate_cache()
        try:
            found = self._system.ls(self._at(sub), detail=True)
        except FileNotFoundError:
            return []
        return sorted(item["name"].rsplit("/", 1)[-1] for item in found if item["type"] == "file")

    def read(self, name: str) -> bytes:
        data: bytes = self._system.cat_file(self._at(name))
        return data

    def write(self, name: str, data: bytes) -> None:
        """Object stores show a file once it is whole; elsewhere the new name comes last."""
        folder, _, last = self._at(name).rpartition("/")
        temporary = f"{folder}/.{last}.{secrets.token_hex(4)}.tmp"
        self._system.makedirs(folder, exist_ok=True)
        try:
            self._system.pipe_file(temporary, data)
            self._system.mv(temporary, self._at(name))
        except BaseException:
            with suppress(Exception):
                self._system.rm_file(temporary)
            raise

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._system.rm_file(self._at(name))

    def size(self, name: str) -> int:
        return int(self._system.size(self._at(name)))

    def has(self, name: str) -> bool:
        self._system.invalidate_cache()
        return bool(self._system.isfile(self._at(name)))

    def stamp(self, name: str) -> tuple[int, ...] | None:
        return None

    def check_writable(self) -> None:
        name = f".probe.{secrets.token_hex(4)}.tmp"
        self._system.makedirs(self._path, exist_ok=True)
        self._system.pipe_file(self._at(name), b"")
        self._system.rm_file(self._at(name))

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}".rstrip("/")


def folder_at(address: Any) -> Folder:
    """The folder at a path or an address.

    Raises
    ------
    ValueError
        If it is neither, or fsspec does not know this kind of address or lacks the package for it.
    """
    allowed = "a folder's path, or an fsspec address such as 's3://bucket/sweep'"
    if not isinstance(address, (str, os.PathLike)) or not str(address):
        raise fail("store", address, allowed)
    text = str(address)
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if "://" in text:
        try:
            return RemoteFolder(text)
        except (ValueError, ImportError) as error:
            raise fail("store", address, f"{allowed} ({error})") from error
    path = Path(text).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise fail("store", address, allowed)
    return LocalFolder(path)


class Store:
    """Shards in a folder, by name and by the models in them."""

    def __init__(self, address: Any) -> None:
        self._folder = folder_at(address)
        self._index: dict[str, Entry] = {}
        self._warned: set[str] = set()
        self._last: tuple[str, xr.Dataset] | None = None

    def __str__(self) -> str:
        """Its absolute path or address, which means the same to every process."""
        return str(self._folder)

    def check_writable(self) -> None:
        """Raises StoreError if nothing can be written."""
        try:
            self._folder.check_writable()
        except OSError as error:
            raise self._error("be written", error) from error

    def has(self, name: str) -> bool:
        """Whether there is a file of this name, whatever is in it."""
        try:
            return self._folder.has(f"{name}.nc")
        except OSError as error:
            raise self._error("be read", error) from error

    def write(self, name: str, shard: xr.Dataset) -> None:
        """Keep a shard, and an entry of the index for it.

        Raises
        ------
        StoreError
            If that fails; then the store is as it was.
        """
        names = shard.model_id.values, shard.state_id.values
        try:
            self._folder.write(f"{name}.nc", packed(shard))
            self._folder.write(f"index/{name}.npy", _entry(*names))
        except OSError as error:
            raise self._error("be written", error) from error

    def read(self, name: str, *, warn: bool = True) -> xr.Dataset | None:
        """A shard by its name; None if there is none that can be used. What is wrong is said once."""
        if self._last is not None and self._last[0] == name:
            return self._last[1]
        try:
            data = self._folder.read(f"{name}.nc")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error("be read", error) from error
        try:
            shard = unpacked(data)
            if _identity.shard(_names(shard.model_id.values)) != name:
                raise DamagedError("it holds other models than its name says")
            self._last = name, shard
        except DamagedError as error:
            if warn and name not in self._warned:
                self._warned.add(name)
                text = f"{self}/{name}.nc cannot be used: {error}. Its models are trained again"
                warnings.warn(text, StoreWarning, stacklevel=2)
            return None
        return shard

    def find(self, wanted: Sequence[bytes], *, states: bool = False) -> Iterator[tuple[str, int, int]]:
        """Where models are, by their names or by those of their states.

        Parameters
        ----------
        wanted
            Names.
        states
            Whether these are names of states.

        Yields
        ------
        shard
            The name of a shard that holds one.
        row
            Its row there.
        number
            Its position in `wanted`. One model may be in several shards, or in none.
        """
        if not wanted:
            return
        self._refresh()
        keys = np.frombuffer(b"".join(wanted), "<u8").reshape(-1, 2)
        order = np.argsort(keys[:, 0], kind="stable")
        first = keys[order, 0]
        for name, entry in self._index.items():
            known = entry[int(states)]
            at = np.searchsorted(first, known[:, 0])
            for row in np.flatnonzero(first[np.minimum(at, len(first) - 1)] == known[:, 0]).tolist():
                place = int(at[row])
                while place < len(first) and first[place] == known[row, 0]:
                    number = int(order[place])
                    if keys[number, 1] == known[row, 1]:
                        yield name, row, number
                    place += 1

    def _refresh(self) -> None:
        """Read entries of the index that are new, and make those that are missing."""
        try:
            shards = [name for name in self._folder.names() if _SHARD.fullmatch(name)]
            entries = set(self._folder.names("index"))
        except OSError as error:
            raise self._error("be read", error) from error
        here = {name.removesuffix(".nc") for name in shards}
        self._index = {name: entry for name, entry in self._index.items() if name in here}
        known = _remembered(str(self))
        for gone in set(known) - here:
            known.pop(gone, None)
        for name in sorted(here - set(self._index)):
            entry = self._read_entry(name) if f"{name}.npy" in entries else None
            if entry is None:
                shard = self.read(name)
                if shard is None:
                    continue
                data = _entry(shard.model_id.values, shard.state_id.values)
                with suppress(OSError):  # of a store that can only be read
                    self._folder.write(f"index/{name}.npy", data)
                entry = _from_entry(data)
            assert entry is not None
            self._index[name] = entry

    def _read_entry(self, name: str) -> Entry | None:
        known, path = _remembered(str(self)), f"index/{name}.npy"
        try:
            stamp = self._folder.stamp(path)
            if stamp is not None and known.get(name, (None,))[0] == stamp:
                return known[name][1]
            entry = _from_entry(self._folder.read(path))
        except OSError:
            return None
        if stamp is not None and entry is not None:
            known[name] = stamp, entry
        return entry

    def _error(self, what: str, error: OSError) -> StoreError:
        why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        return StoreError(
            error.errno, f"the store {self} cannot {what}: {why}. The shards that are finished are kept"
        )


def packed(shard: xr.Dataset) -> bytes:
    """A shard as the content of its file, checksum included."""
    shard = shard.assign_attrs(format=FORMAT, checksum=f"sha256 {_NO_CHECKSUM}")
    data = bytes(shard.to_netcdf(engine="scipy", format="NETCDF3_64BIT"))
    mark = f"sha256 {_NO_CHECKSUM}".encode()
    assert data.count(mark) == 1
    return data.replace(mark, f"sha256 {hashlib.sha256(data).hexdigest()}".encode())


def unpacked(data: bytes) -> xr.Dataset:
    """A shard from the content of its file.

    Raises
    ------
    DamagedError
        If it is none, is not whole, has changed, or is of another version.
    """
    if not data.startswith(b"CDF"):
        raise DamagedError("it is no shard")
    found = _CHECKSUM.search(data)
    if found is None:
        raise DamagedError("it has no checksum")
    whole = data[: found.start(1)] + _NO_CHECKSUM.encode() + data[found.end(1) :]
    if hashlib.sha256(whole).hexdigest().encode() != found[1]:
        raise DamagedError("its content does not fit its checksum, so it is cut short or has changed")
    with xr.open_dataset(io.BytesIO(data), engine="scipy", decode_times=False) as opened:
        shard = opened.load()
    if shard.attrs.get("format") != FORMAT:
        raise DamagedError(f"its format is {shard.attrs.get('format')!r}, and not {FORMAT!r}")
    current = _identity.code_version(shard.attrs["engine"])  # of the format's two engines
    if shard.attrs["code_version"] != current:
        made_by = shard.attrs["code_version"]
        raise DamagedError(f"it was made by version {made_by} of the code that trains, and this is {current}")
    return shard


def _entry(models: np.ndarray, states: np.ndarray) -> bytes:
    """An entry of the index: the names of a shard's models and states, uint64 [2, model, 2], as npy."""
    names = b"".join(_names(models) + _names(states))
    file = io.BytesIO()
    np.save(file, np.frombuffer(names, "<u8").reshape(2, -1, 2))
    return file.getvalue()


@functools.lru_cache(maxsize=4)
def _remembered(folder: str) -> dict[str, tuple[tuple[int, ...], Entry]]:
    """Entries of a folder's index that this process has read, with their files' stamps.

    A chapter trains a hundred times into one store. Reading thousands of small files each time would take
    longer than loading what they lead to.
    """
    return {}


def _from_entry(data: bytes) -> Entry | None:
    """The two halves of an entry; None if it is damaged. What it leads to is looked at before it is used."""
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError):
        return None
    if array.dtype != np.dtype("<u8") or array.ndim != 3 or array.shape[::2] != (2, 2):
        return None
    return array[0], array[1]


def _names(texts: np.ndarray) -> list[bytes]:
    """Names as bytes from hexadecimal digits."""
    return [bytes.fromhex(text.decode() if isinstance(text, bytes) else text) for text in texts.tolist()]


def info(store: str | os.PathLike[str]) -> pd.DataFrame:
    """What is in a store, a row for each file.

    Parameters
    ----------
    store
        The folder's path, or its fsspec address.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``file``. ``kind``: "shard"; "other version", a shard that the present code does not load;
        "damaged"; "temporary", left by a process that was killed, or an entry of the index without its shard;
        or "unknown". ``bytes``. Of shards: ``models``, ``diverged`` (how many), ``steps``, ``engine``,
        ``n_features``, ``n_hidden``, and ``experiment``, their description as JSON. The rest of the index,
        which can be made again, is left out.

    Raises
    ------
    ValueError
        If this is no folder's path or address.
    StoreError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile, tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=3, n_hidden=2), inputs=tms.OneHot(), steps=5
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     runs = tms.train(experiment, seeds=4, store=folder)
    ...     tms.store.info(folder).models.sum()
    np.int64(4)
    """
    opened = Store(store)
    try:
        rows = [_described(opened, name) for name in opened._folder.names()]
        rows += [
            {"file": f"index/{name}", "kind": "temporary", "bytes": opened._folder.size(f"index/{name}")}
            for name in opened._folder.names("index")
            if _TEMPORARY.fullmatch(name)
            or (_ENTRY.fullmatch(name) and not opened._folder.has(name.replace(".npy", ".nc")))
        ]
    except StoreError:
        raise
    except OSError as error:
        raise opened._error("be read", error) from error
    columns = [
        "file",
        "kind",
        "bytes",
        "models",
        "diverged",
        "steps",
        "engine",
        "n_features",
        "n_hidden",
        "experiment",
    ]
    frame = pd.DataFrame(rows, columns=columns).set_index("file")
    whole = ["bytes", "models", "diverged", "steps", "n_features", "n_hidden"]
    return frame.astype(dict.fromkeys(whole, "Int64"))


def prune(
    store: str | os.PathLike[str], keep: Experiment | Iterable[Experiment], *, remove: bool = False
) -> pd.DataFrame:
    """Find what no current description names, and remove it if asked to.

    That is: shards with no model of the experiments to keep, shards that the present code does not load,
    damaged ones, and what killed processes left. Seeds do not matter, and files of a kind that no store
    writes are never touched. Let no other process write to the store at the same time.

    Parameters
    ----------
    store
        The folder's path, or its fsspec address.
    keep
        The experiments whose models stay, whatever their seeds.
    remove
        Whether to remove the files. Without it they are only shown.

    Returns
    -------
    pandas.DataFrame
        The rows of `info` that are, or were, to be removed.

    Raises
    ------
    ValueError
        If the store is no folder's path or address, or `keep` holds something else than experiments, or one
        that cannot be in a store because it holds a callable or a class of your own.
    StoreError
        If it cannot be read or written.

    Examples
    --------
    >>> import tempfile, tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=3, n_hidden=2), inputs=tms.OneHot(), steps=5
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for steps in (5, 6):
    ...         runs = tms.train(experiment.replace(steps=steps), store=folder)
    ...     tms.store.prune(folder, keep=experiment, remove=True).steps.tolist()
    [6]
    """
    wanted: set[str] = set()
    if not isinstance(keep, (Experiment, Iterable)):
        raise fail("keep", keep, "an experiment, or several")
    for i, experiment in enumerate([keep] if isinstance(keep, Experiment) else keep):
        _check.instance(Experiment)(f"keep[{i}]", experiment)
        for _, part in experiment.parts():
            check_storable(part)
            wanted |= {point.hex() for point in _identity.Identity(part, "fused", "cpu").points()}
    opened, found = Store(store), info(store)
    named = []
    for name, row in found.iterrows():
        if row.kind == "shard":
            shard = opened.read(str(name).removesuffix(".nc"))
            assert shard is not None
            named.append(bool(wanted & {name.hex() for name in _names(shard.point_id.values)}))
        else:
            named.append(row.kind == "unknown")
    unnamed = found[~np.array(named, bool)]
    if remove:
        try:
            for name in map(str, unnamed.index):
                # The index first: an entry without a shard would be of no use.
                if _SHARD.fullmatch(name):
                    opened._folder.remove(f"index/{name.removesuffix('.nc')}.npy")
                opened._folder.remove(name)
        except OSError as error:
            raise opened._error("be written", error) from error
    return unnamed


def check_storable(part: Experiment) -> None:
    """Raises ValueError if a part's models cannot be named, since code cannot be written down."""
    own = _own_code(part)
    if own is not None:
        allowed = "None where an experiment holds a callable or a class of your own"
        raise fail("store", "a folder", f"{allowed} ({_check.short(own)} cannot be written down)")


def _own_code(item: Any) -> Any:
    """Something in a description that is decided by a user's own code; None if there is nothing.

    Of a class of theirs a name would hold no more than what the class is called.
    """
    within: list[Any] = []
    if isinstance(item, Axis):
        within = list(item.values)
    elif isinstance(item, Description):
        if not _check.is_ours(type(item)):
            return item
        within = [getattr(item, field.name) for field in dataclasses.fields(item)]
    elif callable(item):
        return item
    found = (_own_code(value) for value in within)
    return next((own for own in found if own is not None), None)


def _described(store: Store, name: str) -> dict[str, Any]:
    """A row of `info`."""
    row: dict[str, Any] = {"file": name, "kind": "unknown"}
    try:
        row["bytes"] = store._folder.size(name)
        if _TEMPORARY.fullmatch(name):
            return row | {"kind": "temporary"}
        if not _SHARD.fullmatch(name):
            return row
        data = store._folder.read(name)
    except OSError as error:
        raise store._error("be read", error) from error
    try:
        shard = unpacked(data)
    except DamagedError as error:
        return row | {"kind": "other version" if "version" in str(error) else "damaged"}
    return row | {
        "kind": "shard",
        "models": shard.sizes["model"],
        "diverged": int(shard.diverged.sum()),
        "steps": int(shard.attrs["steps"]),
        "engine": shard.attrs["engine"],
        "n_features": shard.sizes["feature"],
        "n_hidden": shard.sizes["hidden"],
        "experiment": shard.attrs["experiment"],
    }


def description(identity: _identity.Identity, points: np.ndarray) -> tuple[str, dict[str, Any]]:
    """What a shard says of its models: the description as JSON, and the values of what varies.

    Parameters
    ----------
    identity
        Of the part.
    points
        The grid point of every model.

    Returns
    -------
    text
        JSON, in which an axis is the word "varies"; arrays are given by their SHA-256.
    values
        By the place of the parameter, such as "inputs.feature_probability": [model] or [model, feature].
    """
    shape = tuple(identity.part.shape.values())
    place = np.unravel_index(points, shape) if shape else ()
    values = {}
    for item in identity.varied:
        rows = np.stack(np.broadcast_arrays(*(np.asarray(value, np.float64) for value in item.values)))
        values[item.path] = rows[place[item.dim]]
    return identity.text(), values
