"""How kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

# Products and sums may become one instruction.
CONTRACT = frozenset({"contract"})
# Sums may also be taken in any order. NaN and infinity still count: they say that a model has diverged.
REORDER = CONTRACT | {"reassoc", "nsz", "arcp"}


def kernel(
    function: Callable[..., Any] | None = None,
    *,
    fastmath: frozenset[str] = CONTRACT,
    **options: Any,
) -> Any:
    """`numba.njit` with what all kernels need, as a decorator with or without options.

    Results must not depend on what else a process has compiled, down to the last bit. So every option is
    given, since a function would take over what is left out from the first one that calls it; and everything
    is inlined, since a function that is called may turn out to be a copy that was optimised for another
    caller.

    References to arrays are not counted. Otherwise every function that is handed two dozen arrays counts them
    up and down with atomic instructions, which was half the time of a small step. So kernels may not make
    arrays; they work in memory that they are given. Division by zero gives infinity and raises nothing.
    """
    njit: Any = numba.njit
    decorator = njit(_nrt=False, error_model="numpy", fastmath=set(fastmath), forceinline=True, **options)
    return decorator if function is None else decorator(function)
