"""What an engine is: it trains one part of a grid and gives plain arrays back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tms import _random
from tms.experiment import Experiment, over_grid
from tms.init import PARAMETERS, Given, Normal, XavierNormal
from tms.schedule import Schedule

Arrays = dict[str, np.ndarray]

# Entries of the largest array [model, sample, feature] that is worked on at once: 256 MB in float64.
CHUNK = 2**25

# The optimiser's memory of a parameter goes by the parameter's name with these endings.
MEMORY = ("first", "second")

_INIT_STREAMS = {name: getattr(_random, f"INIT_{name.upper()}") for name in PARAMETERS}


@dataclass(frozen=True)
class Job:
    """Models of one part of a grid, for an engine.

    An engine is a function ``train(job) -> Arrays``. It returns, in the experiment's dtype: each name of
    `parameter_names` with shape [model, ...]; ``loss`` [model], the loss on `evaluation_batches` fresh
    batches (the same for all models), or on the whole data where there is no sampling; ``loss_curve`` [model,
    loss_step], the loss of the weights after s updates on the batch of step s; for each parameter
    ``<name>_snapshot`` [model, snapshot_step, ...]; and, if asked for, the optimiser's memory.

    Attributes
    ----------
    part
        An experiment whose axes carry only numbers.
    seeds
        int64 [seed].
    loss_steps, snapshot_steps
        Increasing whole numbers, 0 … steps.
    evaluation_batches
        Number of batches for the final loss.
    device
        A torch device; only the torch engine knows others than "cpu".
    report
        To be called with the number of model updates done since the last call.
    models
        Which models, by their numbers in the part: the seed runs fastest, then the last axis. None for all.
    begin
        The step to begin at.
    resume
        What the models were after `begin` steps: the parameters, and `MEMORY` of each, all [model, ...]. None
        for the experiment's own start.
    keep_memory
        Whether to return the optimiser's memory: for each parameter ``<name>_first`` and ``<name>_second``
        [model, ...], the mean and the mean square of the gradients (of SGD the velocity, and zeros).
    """

    part: Experiment
    seeds: np.ndarray
    loss_steps: np.ndarray
    snapshot_steps: np.ndarray
    evaluation_batches: int
    device: str
    report: Callable[[int], None]
    models: np.ndarray | None = None
    begin: int = 0
    resume: Arrays | None = None
    keep_memory: bool = False

    @property
    def grid_shape(self) -> tuple[int, ...]:
        return tuple(self.part.shape.values())

    @property
    def n_models(self) -> int:
        if self.models is not None:
            return len(self.models)
        return int(np.prod(self.grid_shape, dtype=np.int64)) * len(self.seeds)

    @cached_property
    def points(self) -> np.ndarray:
        """The grid point of every model, int64 [model]: its number, the last axis running fastest."""
        return self._numbers // len(self.seeds)

    @cached_property
    def model_seeds(self) -> np.ndarray:
        """The seed of every model, int64 [model]."""
        seeds: np.ndarray = self.seeds[self._numbers % len(self.seeds)]
        return seeds

    @property
    def _numbers(self) -> np.ndarray:
        return np.arange(self.n_models) if self.models is None else self.models

    @property
    def parameter_names(self) -> tuple[str, ...]:
        names: tuple[str, ...] = self.part.model.parameter_names
        return names

    def parameter_shape(self, name: str) -> tuple[int, ...]:
        sizes = {"feature": self.part.n_features, "hidden": self.part.n_hidden}
        return tuple(sizes[dim] for dim in PARAMETERS[name])

    def per_model(self, value: Any) -> np.ndarray:
        """A numeric parameter for every model: float64 [model], or [model, feature] if one per feature."""
        array = over_grid(value, self.part.axes)
        inner = array.shape[len(self.grid_shape) :]
        if not self.grid_shape:
            return np.broadcast_to(array, (self.n_models, *inner)).copy()
        # A view over the grid, of which only these models' entries are made.
        array = np.broadcast_to(array, self.grid_shape + inner)
        result: np.ndarray = array[np.unravel_index(self.points, self.grid_shape)]
        return result

    def learning_rate(self, models: slice = slice(None)) -> Callable[[int], np.ndarray]:
        """The learning rate of some models, float64 [model], as a function of the step."""
        lr, steps = self.part.optimizer.lr, self.part.steps
        if not isinstance(lr, Schedule):
            constant = self.per_model(lr)[models]
            return lambda step: constant
        names = [field.name for field in dataclasses.fields(lr)]
        values = {name: self.per_model(getattr(lr, name))[models] for name in names}
        return lambda step: lr.rate(step / steps, **values)

    def start(self, name: str) -> np.ndarray:
        """What a parameter of every model begins with: float64 [model, ...]."""
        if self.resume is not None:
            return self.resume[name].astype(np.float64)
        init, shape = self.part.init, self.parameter_shape(name)
        if isinstance(init, Given):
            return self._given(name)
        assert isinstance(init, (XavierNormal, Normal))
        if name.startswith("b"):
            scale = self.per_model(init.bias_scale)
        elif isinstance(init, Normal):
            scale = self.per_model(init.scale)
        else:
            scale = self.per_model(init.gain) * np.sqrt(2.0 / (self.part.n_features + self.part.n_hidden))
        size = int(np.prod(shape))
        # Models of one seed share their draws.
        seeds, rows = np.unique(self.model_seeds, return_inverse=True)
        draws = np.stack([_random.normals(size, int(seed), _INIT_STREAMS[name]) for seed in seeds])
        start: np.ndarray = scale.reshape(-1, *(1,) * len(shape)) * draws.reshape(-1, *shape)[rows]
        return start + 0.0  # a scale of 0 gives 0, and no −0

    def _given(self, name: str) -> np.ndarray:
        labelled = getattr(self.part.init, name)
        inner = self.parameter_shape(name)
        if labelled is None:
            return np.zeros((self.n_models, *inner))
        array = labelled.data_array()
        wanted = {axis: list(self.part.axes[axis].labels) for axis in self.part.axes if axis in array.dims}
        if "seed" in array.dims:
            wanted["seed"] = self.seeds.tolist()
        array = array.sel(wanted)
        dims = [*self.part.axes, "seed"]
        array = array.expand_dims([dim for dim in dims if dim not in array.dims])
        array = array.transpose(*dims, *PARAMETERS[name])
        values = np.broadcast_to(array.values, (*self.grid_shape, len(self.seeds), *inner))
        place = np.unravel_index(self._numbers, values.shape[: len(dims)])
        start: np.ndarray = values[place]
        return start
