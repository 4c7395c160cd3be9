"""An axis: one parameter of an experiment that takes several values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import numpy as np

from tms._check import FrozenArray, fail

# Dimensions and variables of the result, which an axis may not be called by.
RESERVED = frozenset(
    {
        "seed",
        "feature",
        "other_feature",
        "hidden",
        "loss_step",
        "snapshot_step",
        "loss",
        "loss_curve",
        "diverged",
        # of what is measured
        "sample",
        "gap",
        "direction",
        "n_directions",
        # and what Python's methods call themselves, since axes are keywords of theirs
        "self",
        "cls",
    }
    | {f"{name}{ending}" for name in ("W", "W_out", "b", "b_hidden") for ending in ("", "_snapshot")}
)

T = TypeVar("T")

# How a description writes that a parameter may be an axis. `axis` itself is declared to return Any, so that a
# type checker takes it there, and takes the parameter for one value, which it is where a model is trained.
OrAxis = Annotated[T, "or an axis"]


@dataclass(frozen=True)
class Axis:
    """Several values of one parameter; made by `tms.axis`.

    Parameters
    ----------
    name
        Name of the dimension in the result.
    values
        The values that the parameter takes, in order.
    labels
        The coordinate of the dimension in the result, one label a value.
    """

    name: str
    values: tuple[Any, ...]
    labels: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        if len(self) > 8:
            return f"<axis {self.name!r}: {self.labels[0]!r} … {self.labels[-1]!r}, {len(self)} values>"
        labels = "" if self.labels == self.values else f", labels={list(self.labels)!r}"
        return f"axis({self.name!r}, {list(self.values)!r}{labels})"

    def replace_values(self, values: Iterable[Any]) -> Axis:
        """The same axis over other values (the checked ones)."""
        return Axis(self.name, tuple(values), self.labels)


def axis(name: str, values: Iterable[Any], *, labels: Iterable[Any] | None = None) -> Any:
    """Let a parameter take several values: every model of the grid is trained.

    Any parameter except a size (`n_features`, `n_hidden`, `steps`) may be an axis: a number, a vector with
    one entry a feature, an activation, a whole optimiser. Two parameters that carry axes of the same name and
    length vary together; axes of different names span a grid.

    Parameters
    ----------
    name
        Name of the dimension in the result.
    values
        The values, at least one.
    labels
        Coordinate of the dimension. Needed where the values are no good labels, such as vectors; by default
        the values themselves, or their names. Either numbers or strings, all distinct.

    Returns
    -------
    Axis
        To be given in the place of the parameter. It has ``name``, ``values`` and ``labels``.

    Raises
    ------
    ValueError
        If the name is no identifier or is taken by a part of every result, if there are no values, or if
        labels are missing, repeated, neither numbers nor strings, or not as many as the values.

    Examples
    --------
    >>> import tms
    >>> inputs = tms.SparseUniform(feature_probability=tms.axis("p", [1.0, 0.1, 0.01]))
    >>> len(inputs.feature_probability)
    3

    Vectors need labels:

    >>> ratios = [1.0, 0.9, 0.7]
    >>> importance = tms.axis("ratio", [[r**i for i in range(5)] for r in ratios], labels=ratios)
    >>> tms.MSE(importance=importance).importance.labels
    (1.0, 0.9, 0.7)
    """
    if not isinstance(name, str) or not name.isidentifier() or name in RESERVED:
        allowed = "an identifier that is none of " + ", ".join(sorted(RESERVED))
        raise fail("axis name", name, allowed)
    unordered = isinstance(values, (str, bytes, Set, Mapping)) or not isinstance(values, Iterable)
    if unordered or getattr(values, "ndim", 1) == 0:
        raise fail(f"values of axis {name!r}", values, "a sequence")
    try:
        items = tuple(_plain(value) for value in values)
    except ValueError:  # numpy's, about rows of different lengths
        raise fail(f"values of axis {name!r}", values, "a sequence, its lists rectangular") from None
    if not items:
        raise fail(f"values of axis {name!r}", values, "a sequence with at least one value")
    if any(isinstance(item, Axis) for item in items):
        raise fail(f"values of axis {name!r}", values, "values, not axes")
    if labels is None and any(isinstance(item, FrozenArray) for item in items):
        raise fail(f"labels of axis {name!r}", None, "given, since its values are no numbers or names")
    names = _labels(items) if labels is None else tuple(map(_plain, labels))
    if len(names) != len(items):
        raise fail(f"labels of axis {name!r}", names, f"{len(items)} labels, one for each value")
    if not (all(map(_is_number, names)) or all(isinstance(label, str) for label in names)):
        raise fail(f"labels of axis {name!r}", names, "all finite numbers, or all strings")
    if len(set(names)) != len(names):
        raise fail(f"labels of axis {name!r}", names, "distinct; give labels= if the values repeat")
    return Axis(name, items, names)


def _plain(value: Any) -> Any:
    """numpy scalars as Python's, arrays frozen; everything else as it is."""
    if hasattr(value, "detach"):  # a torch tensor
        value = value.detach().cpu().numpy()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.item() if value.ndim == 0 else FrozenArray(value)
    if isinstance(value, list):
        return FrozenArray(value)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) and math.isfinite(value)


def _labels(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values, if all are numbers; otherwise their names, since a coordinate has one type."""
    if all(isinstance(value, (bool, int, float)) for value in values):
        return values
    names = (value if isinstance(value, str) else getattr(value, "__name__", None) for value in values)
    return tuple(
        name if isinstance(name, str) else repr(value) for name, value in zip(names, values, strict=True)
    )
