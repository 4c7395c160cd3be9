"""The training loop as machine code: compiled when first used, and kept on disk for later processes."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
from numba import config

from tms import _random
from tms._kernels import _loop
from tms._kernels._kernel import kernel

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
        except OSError:  # a full disk, or a folder that has gone: a cache is no more than a convenience
            pass
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
    for text in (
        numba.__version__,
        sys.version,
        llvmlite.binding.get_host_cpu_name(),
        llvmlite.binding.get_host_cpu_features().flatten(),
    ):
        digest.update(text.encode())
    return digest.hexdigest()[:16]
