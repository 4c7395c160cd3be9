"""Checks for the parameters of descriptions: each names the parameter, its value and what is allowed."""

from __future__ import annotations

import hashlib
import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Check = Callable[[str, Any], Any]

_INTEGER_LIMIT = 2**31


class FrozenArray:
    """A read-only numpy array that can be compared and hashed by its content.

    Descriptions are hashable, and plain arrays are not; so every array that a description holds is kept as
    one of these. ``np.asarray`` turns it back into an array.
    """

    __slots__ = ("_array", "_digest")

    def __init__(self, values: Any, dtype: Any = None) -> None:
        array = np.array(values, dtype=dtype, order="C")
        array.setflags(write=False)
        self._array = array
        self._digest = hashlib.sha256(
            f"{array.dtype.str}{array.shape}".encode() + array.tobytes()
        ).hexdigest()

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def digest(self) -> str:
        """SHA-256 of type, shape and content."""
        return self._digest

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self._array if dtype is None else self._array.astype(dtype)
        return array.copy() if copy else array

    def __len__(self) -> int:
        return len(self._array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenArray) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenArray, (self._array,)  # a pickled array would come back writable

    def __repr__(self) -> str:
        if self._array.size <= 8:
            return repr(self._array.tolist())  # every digit, so that it can be read back
        return f"<{'×'.join(map(str, self.shape))} {self._array.dtype}, sha256 {self._digest[:8]}>"


def fail(name: str, value: Any, allowed: str) -> ValueError:
    """The one form of a complaint about a parameter."""
    return ValueError(f"{name} must be {allowed}; got {short(value)}")


def short(value: Any) -> str:
    """What is shown of a value in a message."""
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."


def _as_float(name: str, value: Any, allowed: str) -> float:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise fail(name, value, allowed)
    try:
        number = float(value)
    except OverflowError:
        raise fail(name, value, allowed) from None
    if not math.isfinite(number):
        raise fail(name, value, allowed)
    return number


def floats(name: str, value: Any, allowed: str, kinds: str = "iuf") -> np.ndarray:
    """An array or tensor as float64; `kinds` are the numpy kinds that may become numbers.

    Not every array that numpy would convert is meant: neither text nor the real part of a complex number.
    """
    if hasattr(value, "detach"):  # a torch tensor, perhaps on another device, of a type numpy does not know
        value = value.detach().cpu()
        value = value if value.is_complex() else value.double()
    try:
        array = np.asarray(value)
        if array.dtype.kind not in kinds:
            raise fail(name, value, allowed)
        return array.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError):
        raise fail(name, value, allowed) from None


def number(
    low: float = -math.inf, high: float = math.inf, *, open_low: bool = False, open_high: bool = False
) -> Check:
    """A finite number between `low` and `high`, bounds included unless they are open."""
    allowed = _interval("a finite number", low, high, open_low, open_high)

    def check(name: str, value: Any) -> float:
        result = _as_float(name, value, allowed)
        if not _inside(result, low, high, open_low, open_high):
            raise fail(name, value, allowed)
        return result

    return check


def number_per_feature(low: float, high: float = math.inf) -> Check:
    """A finite number, or a sequence of them with one entry a feature."""
    allowed = _interval("a finite number, or one per feature,", low, high, False, False)

    def check(name: str, value: Any) -> float | FrozenArray:
        if isinstance(value, (numbers.Number, str)) or getattr(value, "ndim", None) == 0:
            result = _as_float(name, value, allowed)
            if not low <= result <= high:
                raise fail(name, value, allowed)
            return result
        array = floats(name, value, allowed)
        if array.ndim != 1 or array.size == 0:
            raise fail(name, value, allowed)
        wrong = ~(np.isfinite(array) & (array >= low) & (array <= high))
        if wrong.any():
            where = int(np.argmax(wrong))
            raise fail(f"{name}[{where}]", float(array[where]), allowed)
        return FrozenArray(array)

    return check


def integer(low: int, high: int = _INTEGER_LIMIT - 1, *, optional: bool = False) -> Check:
    """A whole number between `low` and `high`, bounds included; None too if it is optional."""
    allowed = f"a whole number, {low} <= number <= {high}" + (", or None" if optional else "")

    def check(name: str, value: Any) -> int | None:
        if value is None and optional:
            return None
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (numbers.Integral, np.integer)):
            raise fail(name, value, allowed)
        if not low <= int(value) <= high:
            raise fail(name, value, allowed)
        return int(value)

    return check


def choice(*options: str, or_callable: bool = False) -> Check:
    """One of the given strings; or any callable where that is allowed."""
    allowed = "one of " + ", ".join(map(repr, options)) + (", or a callable" if or_callable else "")

    def check(name: str, value: Any) -> Any:
        if isinstance(value, (str, np.str_)) and str(value) in options:
            return str(value)
        if or_callable and callable(value) and not isinstance(value, type):
            return value
        raise fail(name, value, allowed)

    return check


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise fail(name, value, "True or False")
    return bool(value)


def instance(*types: type, or_callable: bool = False, hint: str = "") -> Check:
    """An instance of one of the given classes; or any callable where that is allowed.

    Where a base class is given, a complaint lists its subclasses; `hint` is added to it.
    """

    def check(name: str, value: Any) -> Any:
        allowed = "one of " + ", ".join(sorted(t.__name__ for base in types for t in _concrete(base)))
        allowed += (", or a callable" if or_callable else "") + (f" ({hint})" if hint else "")
        if isinstance(value, types) or (or_callable and callable(value) and not isinstance(value, type)):
            return value
        raise fail(name, value, allowed)

    return check


def is_ours(cls: type) -> bool:
    """Whether a class is the library's, and not a user's own."""
    return cls.__module__.startswith("tms.")


def _concrete(base: Any) -> list[type]:
    """The library's classes that one would make: public ones without subclasses."""
    known = [c for c in base.__subclasses__() if is_ours(c)]
    return [c for sub in known for c in _concrete(sub)] if known else [base]


def matrix(name: str, value: Any) -> FrozenArray:
    """A two-dimensional array of finite numbers."""
    allowed = "an array [sample, feature] of finite numbers"
    array = floats(name, value, allowed, kinds="iufb")
    if array.ndim != 2 or array.size == 0:
        raise fail(name, f"shape {array.shape}", allowed)
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise fail(f"{name}{list(where)}", float(array[where]), allowed)
    # One that was checked before keeps its digest, which takes a while for a large data set.
    return value if isinstance(value, FrozenArray) and np.asarray(value) is array else FrozenArray(array)


def seeds_of(value: Any) -> np.ndarray:
    """`seeds` as an array: a count n stands for 0 … n − 1, a sequence for itself."""
    allowed = "a positive count, or a sequence of distinct whole numbers, 0 <= seed < 2**31"
    if isinstance(value, (numbers.Integral, np.integer)) and not isinstance(value, (bool, np.bool_)):
        if not 1 <= int(value) < _INTEGER_LIMIT:
            raise fail("seeds", value, allowed)
        return np.arange(int(value), dtype=np.int64)
    if not is_sequence(value) or len(value) == 0:
        raise fail("seeds", value, allowed)
    check = integer(0)
    array = np.array([check(f"seeds[{i}]", seed) for i, seed in enumerate(value)], dtype=np.int64)
    if len(np.unique(array)) != len(array):
        raise fail("seeds", value, allowed)
    return array


def runs(value: Any, *names: str) -> None:
    """What training returned, or a selection of it, with the arrays that are needed."""
    known = getattr(value, "data_vars", None)
    if known is None or any(name not in value for name in names):
        got = f"a {type(value).__name__}" + ("" if known is None else f" with {list(known)}")
        raise fail("runs", got, f"a Dataset with {', '.join(names)}: what tms.train returned")


def is_sequence(value: Any) -> bool:
    """Whether this is a list, a tuple, a range or an array, and no text."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _inside(value: float, low: float, high: float, open_low: bool, open_high: bool) -> bool:
    above = value > low if open_low else value >= low
    below = value < high if open_high else value <= high
    return above and below


def _interval(what: str, low: float, high: float, open_low: bool, open_high: bool) -> str:
    left = f"{low:g} {'<' if open_low else '<='} " if low > -math.inf else ""
    right = f" {'<' if open_high else '<='} {high:g}" if high < math.inf else ""
    return f"{what} with {left}value{right}" if left or right else what


def optional(check: Check) -> Check:
    """None, or what `check` lets pass."""
    return lambda name, value: None if value is None else check(name, value)
