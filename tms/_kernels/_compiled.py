"""The training loop as machine code: compiled when first used, and kept on disk for later processes."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
from numba import config

from tms import _random
from tms._kernels import _loop
from tms._kernels._kernel import kernel

# What changes the code that numba makes.
_OPTIONS = (
    "NUMBA_BOUNDSCHECK",
    "NUMBA_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "NUMBA_DEBUGINFO",
    "NUMBA_LOOP_VECTORIZE",
    "NUMBA_OPT",
    "NUMBA_SLP_VECTORIZE",
)

_lock = threading.Lock()
_compiled: dict[Any, Callable[..., None]] = {}


def compiled(*arguments: Any) -> Callable[..., None]:
    """`_loop.run`, compiled for arguments of these types. It does not hold the interpreter's lock."""
    signature = tuple(map(numba.typeof, arguments))
    with _lock:
        if signature not in _compiled:
            _compiled[signature] = _compile(signature)
    return _compiled[signature]


def _compile(signature: tuple[Any, ...]) -> Any:
    folder = _cache_folder()
    if folder is not None:
        before = config.CACHE_DIR  # type: ignore[attr-defined]
        # Read when a function is decorated, and only then.
        config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
        try:
            loop = kernel(nogil=True, cache=True)(_loop.run)
            loop.compile(signature)
            return loop
        except Exception:
            # A full disk, a folder that has gone, a damaged file: a cache is no more than a convenience.
            # What is wrong with the code itself comes up again below.
            _clear(folder)
        finally:
            config.CACHE_DIR = before  # type: ignore[attr-defined]
    loop = kernel(nogil=True)(_loop.run)
    loop.compile(signature)
    return loop


def _cache_folder() -> Path | None:
    """Where compiled code is kept, or None if nothing can be written there.

    A folder for each version of the kernels: numba itself looks at the file of the compiled function alone,
    and would not see that a function which it calls has changed.
    """
    try:
        folder = _user_cache() / "tms" / _version()
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError):  # RuntimeError: the user has no home
        return None
    return folder


def _clear(folder: Path) -> None:
    """Remove what may be damaged, so that the next process can write it anew."""
    for path in folder.rglob("*.nb[ic]"):
        with suppress(OSError):
            path.unlink()


def _user_cache() -> Path:
    for variable in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        if os.environ.get(variable):
            return Path(os.environ[variable])
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"])
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def _version() -> str:
    """A hash of all that the compiled code depends on."""
    digest = hashlib.sha256()
    for path in [*sorted(Path(__file__).parent.glob("*.py")), Path(_random.__file__)]:
        digest.update(path.read_bytes())
    options = {name: os.environ.get(name) for name in _OPTIONS}
    for text in (
        numba.__version__,
        str(sorted(options.items())),
        sys.version,
        llvmlite.binding.get_host_cpu_name(),
        llvmlite.binding.get_host_cpu_features().flatten(),
    ):
        digest.update(text.encode())
    return digest.hexdigest()[:16]
