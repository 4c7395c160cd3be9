"""An axis: one parameter of an experiment that takes several values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tms._check import FrozenArray, fail

# Dimensions of the result that an axis may not be called by.
RESERVED = frozenset({"seed", "feature", "other_feature", "hidden", "loss_step", "snapshot_step"})


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

    def replace_values(self, values: Iterable[Any]) -> Axis:
        """The same axis over other values (the checked ones)."""
        return Axis(self.name, tuple(values), self.labels)


def axis(name: str, values: Iterable[Any], *, labels: Iterable[Any] | None = None) -> Axis:
    """Let a parameter take several values: every model of the grid is trained.

    Any parameter except a size (`n_features`, `n_hidden`, `steps`) may be an axis: a number, a vector with one
    entry a feature, an activation, a whole optimiser. Two parameters that carry axes of the same name and
    length vary together; axes of different names span a grid.

    Parameters
    ----------
    name
        Name of the dimension in the result.
    values
        The values, at least one.
    labels
        Coordinate of the dimension. Needed where the values are no good labels, such as vectors; by default
        the values themselves, or their names.

    Raises
    ------
    ValueError
        If the name is no identifier or is taken by a dimension of every result, if there are no values, or if
        labels are missing, repeated, or as many as there are not values.

    Examples
    --------
    >>> import tms
    >>> inputs = tms.SparseUniform(feature_probability=tms.axis("p", [1.0, 0.1, 0.01]))
    >>> len(inputs.feature_probability)
    3
    """
    if not isinstance(name, str) or not name.isidentifier() or name in RESERVED:
        allowed = "an identifier that is none of " + ", ".join(sorted(RESERVED))
        raise fail("axis name", name, allowed)
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise fail(f"values of axis {name!r}", values, "a sequence")
    items = tuple(_plain(value) for value in values)
    if not items:
        raise fail(f"values of axis {name!r}", values, "a sequence with at least one value")
    if any(isinstance(item, Axis) for item in items):
        raise fail(f"values of axis {name!r}", values, "values, not axes")
    names = tuple(map(_plain, labels)) if labels is not None else tuple(map(_label, items))
    if any(label is None for label in names):
        raise ValueError(f"axis {name!r} needs labels=, since its values are no numbers or names")
    if len(names) != len(items):
        raise fail(f"labels of axis {name!r}", names, f"{len(items)} labels, one for each value")
    if len(set(names)) != len(names):
        raise fail(f"labels of axis {name!r}", names, "distinct; give labels= if the values repeat")
    return Axis(name, items, names)


def _plain(value: Any) -> Any:
    """numpy scalars as Python's, arrays frozen; everything else as it is."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.item() if value.ndim == 0 else FrozenArray(value)
    if isinstance(value, list):
        return FrozenArray(value)
    return value


def _label(value: Any) -> Any:
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, FrozenArray):
        return None
    name = getattr(value, "__name__", None)
    return name if isinstance(name, str) else repr(value)
