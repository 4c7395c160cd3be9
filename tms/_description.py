"""What all descriptions share: checks when made, axes, and a form that can be written down."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any, Self, dataclass_transform

import numpy as np

from tms._check import Check, FrozenArray, is_ours
from tms.axis import Axis
from tms.axis import axis as make_axis

KINDS: dict[str, type[Description]] = {}


def parameter(
    check: Check,
    *,
    default: Any = dataclasses.MISSING,
    axis: bool = True,
    vector: bool = False,
    shown: bool = False,
) -> Any:
    """A field of a description.

    Parameters
    ----------
    check
        Called with name and value when the description is made; returns the value to keep, or raises.
    default
        As in `dataclasses.field`.
    axis
        Whether the parameter may be an axis.
    vector
        Whether the engines take a different number for every model in one batch. A parameter that is an axis
        and no vector splits the grid into parts that are trained one after another.
    shown
        Whether it is shown even where it is the default.
    """
    metadata = {"check": check, "axis": axis, "vector": vector, "shown": shown}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass_transform(field_specifiers=(parameter,), kw_only_default=True, frozen_default=True)
@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """Base of all descriptions: frozen, hashable, checked when made."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        KINDS[_kind(cls)] = cls

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            name = f"{type(self).__name__}.{field.name}"
            check = field.metadata["check"]
            if isinstance(value, Axis):
                if not field.metadata["axis"]:
                    raise ValueError(
                        f"{name} must be one value, since arrays of a grid have one shape; "
                        f"got the axis {value.name!r} of {len(value)} values"
                    )
                values = [check(f"{name} (axis {value.name!r})", item) for item in value.values]
                for item in values:
                    if isinstance(item, Description) and axes_of(item):
                        raise ValueError(
                            f"{name} (axis {value.name!r}) must have values without axes of their own; "
                            f"got {item!r}"
                        )
                value = value.replace_values(values)
            else:
                value = check(name, value)
            object.__setattr__(self, field.name, value)

    def replace(self, **changes: Any) -> Self:
        """A copy in which some parameters differ."""
        return dataclasses.replace(self, **changes)

    def at(self, indices: dict[str, int], labels: dict[str, Any]) -> Self:
        """This description with the named axes set to one of their values each, by position.

        `labels` are the labels there, for what is not an axis itself but has an entry for each label of one.
        """
        return self.replace(**self._fields_at(indices, labels))

    def _fields_at(self, indices: dict[str, int], labels: dict[str, Any]) -> dict[str, Any]:
        def value_at(value: Any) -> Any:
            return value.at(indices, labels) if isinstance(value, Description) else value

        fields = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Axis) and value.name in indices:
                value = value.values[indices[value.name]]
            if isinstance(value, Axis):
                fields[field.name] = value.replace_values(map(value_at, value.values))
            else:
                fields[field.name] = value_at(value)
        return fields

    def __repr__(self) -> str:
        parts = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.metadata["shown"] or value != field.default:
                parts.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


def axes_of(item: Any) -> dict[str, Axis]:
    """All axes within a description, by name, in the order of its fields.

    Raises
    ------
    ValueError
        If one name stands for axes of different lengths or labels.
    """
    found: dict[str, Axis] = {}
    for path, axis in _axes(item, type(item).__name__):
        known = found.setdefault(axis.name, axis)
        if len(known) != len(axis):
            raise ValueError(
                f"axis {axis.name!r} must have one length throughout an experiment; got {len(known)} values "
                f"at first and {len(axis)} in {path}"
            )
        if known.labels != axis.labels:
            raise ValueError(
                f"axis {axis.name!r} must have the same labels throughout an experiment; {path} differs. "
                f"Give both axes labels="
            )
    return found


def _axes(item: Any, path: str) -> list[tuple[str, Axis]]:
    if isinstance(item, Axis):
        return [(path, item)]
    if isinstance(item, Description):
        return [
            pair
            for field in dataclasses.fields(item)
            for pair in _axes(getattr(item, field.name), f"{path}.{field.name}")
        ]
    return []


def split_axes(item: Description) -> set[str]:
    """Names of the axes that split the grid, because some parameter they vary is no vector."""
    names: set[str] = set()
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if isinstance(value, Axis):
            if not field.metadata["vector"] or any(isinstance(v, Description) for v in value.values):
                names.add(value.name)
        elif isinstance(value, Description):
            names |= split_axes(value)
    return names


def _kind(cls: type[Description]) -> str:
    """What a class is called where a description is written down: a user's may share a name with ours."""
    return cls.__name__ if is_ours(cls) else f"{cls.__module__}.{cls.__qualname__}"


def to_data(item: Any) -> Any:
    """A description as plain lists, dicts, strings and numbers, for JSON.

    Raises
    ------
    ValueError
        If it holds a callable: code cannot be written down.
    """
    if isinstance(item, Description):
        fields = {f.name: to_data(getattr(item, f.name)) for f in dataclasses.fields(item)}
        return {"kind": _kind(type(item)), **fields}
    if isinstance(item, Axis):
        return {
            "kind": "axis",
            "name": item.name,
            "values": [to_data(value) for value in item.values],
            "labels": list(item.labels),
        }
    if isinstance(item, FrozenArray):
        array = np.asarray(item)
        return {
            "kind": "array",
            "dtype": array.dtype.str,
            "shape": list(array.shape),
            "data": base64.b64encode(array.tobytes()).decode(),
        }
    if isinstance(item, tuple):
        return [to_data(value) for value in item]
    if item is None or isinstance(item, (bool, int, float, str)):
        return item
    raise ValueError(
        f"{item!r} cannot be written down, since it is neither a number, a name nor a description"
    )


def from_data(data: Any) -> Any:
    """The inverse of `to_data`."""
    if isinstance(data, list):
        return tuple(from_data(value) for value in data)
    if not isinstance(data, dict):
        return data
    fields = {name: from_data(value) for name, value in data.items() if name != "kind"}
    match data["kind"]:
        case "axis":
            return make_axis(fields["name"], fields["values"], labels=fields["labels"])
        case "array":
            raw = base64.b64decode(fields["data"])
            return FrozenArray(np.frombuffer(raw, np.dtype(fields["dtype"])).reshape(fields["shape"]))
        case kind:
            return KINDS[kind](**fields)
