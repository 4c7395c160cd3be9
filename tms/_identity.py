"""What a model is called in a store: a hash of everything that its arrays depend on.

Three names, one inside the other, each 16 bytes of a SHA-256:

- *point*: what one grid point describes, seeds and given starts left out;
- *state*: a point, its start, a seed, the engine, the device, and the version of the code that trains. It
  names the weights and the optimiser's memory at the end of training;
- *model*: a state, the steps at which something was recorded, and how the final loss was taken. It names all
  arrays.

Names and labels of axes, the order of the grid, and what else is trained are no part of them.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import importlib.metadata
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tms._check import FrozenArray
from tms._description import Description
from tms._engine import Job
from tms.axis import Axis
from tms.experiment import Experiment
from tms.init import Given

LENGTH = 16

# Around the number that stands for an axis in a template. No description has text of a user's own in it.
_MARK = "¦"

# The modules that decide what training does, by the engine that uses them.
_COMMON = "_description.py _engine.py _random.py axis.py experiment.py init.py inputs.py loss.py model.py"
_COMMON += " optimizer.py schedule.py"
_CODE = {
    "fused": (*_COMMON.split(), "_fused_engine.py", "_kernels/*.py"),
    "torch": (*_COMMON.split(), "_torch_engine.py"),
}
_PACKAGES = {"fused": ("numpy", "numba", "llvmlite"), "torch": ("numpy", "torch")}


@cache
def code_version(engine: str) -> str:
    """A hash of the code that trains, 16 hexadecimal digits: of an engine, and of the packages that it uses.

    Comments, docstrings and layout do not count, since they change nothing.
    """
    folder, digest = Path(__file__).parent, hashlib.sha256()
    for pattern in _CODE[engine]:
        for path in sorted(folder.glob(pattern)):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                    continue
                if ast.get_docstring(node) is not None:
                    del node.body[0]
            digest.update(f"{path.name}\n{ast.dump(tree)}\n".encode())
    for package in _PACKAGES[engine]:
        # Without what tells builds for different machines apart, "+cpu".
        digest.update(f"{package} {importlib.metadata.version(package).split('+')[0]}\n".encode())
    return digest.hexdigest()[:LENGTH]


@dataclasses.dataclass(frozen=True)
class Varied:
    """A parameter of a part that is an axis.

    Attributes
    ----------
    path
        Where it is, "inputs.feature_probability".
    dim
        The position of its axis among those of the part.
    values
        What it takes.
    """

    path: str
    dim: int
    values: tuple[Any, ...]


class Identity:
    """The names of the models of one part.

    Parameters
    ----------
    part
        An experiment whose axes carry only numbers.
    engine, device
        What trains it.
    """

    def __init__(self, part: Experiment, engine: str, device: str) -> None:
        self.part = part
        self._trained_by = f"{engine} {device} {code_version(engine)}".encode()
        self.varied: list[Varied] = []
        template = json.dumps(self._data(part, ""), sort_keys=True, ensure_ascii=False)
        template = template.replace(f'"{_MARK}', _MARK).replace(f'{_MARK}"', _MARK)  # values are no strings
        self._pieces: list[str | int] = []  # text, or the number of a varied parameter
        for i, piece in enumerate(template.split(_MARK)):
            self._pieces.append(int(piece) if i % 2 else piece)

    def points(self) -> list[bytes]:
        """Names of the grid points, in their order."""
        shape = tuple(self.part.shape.values())
        texts = [[json.dumps(_plain(value)) for value in item.values] for item in self.varied]

        def text(position: tuple[int, ...]) -> Iterator[str]:
            for piece in self._pieces:
                if isinstance(piece, str):
                    yield piece
                else:
                    yield texts[piece][position[self.varied[piece].dim]]

        return [_hash("".join(text(position)).encode()) for position in np.ndindex(shape)]

    def text(self) -> str:
        """The part's description as JSON; what is an axis is "varies", an array is its hash."""
        return "".join(piece if isinstance(piece, str) else '"varies"' for piece in self._pieces)

    def states(self, job: Job, points: list[bytes]) -> list[bytes]:
        """Names of the models' final states, in their order, from those of the grid points."""
        starts = self._starts(job)
        own = [
            starts[i] + points[point] + f" {seed} ".encode() + self._trained_by
            for i, (point, seed) in enumerate(zip(job.points.tolist(), job.model_seeds.tolist(), strict=True))
        ]
        return list(map(_hash, own))

    def _starts(self, job: Job) -> list[bytes]:
        if not isinstance(self.part.init, Given):
            return [b""] * job.n_models
        arrays = [job.start(name).reshape(job.n_models, -1) for name in job.parameter_names]
        return [_hash(row.tobytes()) for row in np.concatenate(arrays, 1)]

    def _data(self, item: Any, path: str) -> Any:
        """The part as plain data, with a mark in the place of each axis."""
        if isinstance(item, Axis):
            self.varied.append(Varied(path, list(self.part.axes).index(item.name), item.values))
            return f"{_MARK}{len(self.varied) - 1}{_MARK}"
        if isinstance(item, Given):
            return {"kind": "Given"}  # whose arrays count model by model
        if isinstance(item, Description):
            data = {
                field.name: self._data(getattr(item, field.name), f"{path}.{field.name}".lstrip("."))
                for field in dataclasses.fields(item)
            }
            return {"kind": type(item).__name__, **data}
        return _plain(item)


def models(states: list[bytes], job: Job) -> list[bytes]:
    """Names of models with all their arrays."""
    record = b"".join((job.loss_steps.tobytes(), b"/", job.snapshot_steps.tobytes()))
    record += f"/{job.evaluation_batches}".encode()
    return [_hash(state + record) for state in states]


def shard(names: list[bytes]) -> str:
    """The name of a shard, 32 hexadecimal digits, from those of its models."""
    return hashlib.sha256(b"".join(names)).hexdigest()[:32]


def _plain(item: Any) -> Any:
    """A value as plain data; of an array its hash, since some are large."""
    if isinstance(item, FrozenArray):
        return {"kind": "array", "sha256": item.digest}
    if isinstance(item, tuple):
        return list(map(_plain, item))
    return item


def _hash(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()[:LENGTH]
