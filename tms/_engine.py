"""What an engine is: it trains one part of a grid and gives plain arrays back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tms import _random
from tms.experiment import Experiment, over_grid
from tms.init import PARAMETERS, Given, Normal, XavierNormal
from tms.schedule import Schedule

Arrays = dict[str, np.ndarray]

# Entries of the largest array [model, sample, feature] that is worked on at once: 256 MB in float64.
CHUNK = 2**25

_INIT_STREAMS = {name: getattr(_random, f"INIT_{name.upper()}") for name in PARAMETERS}


@dataclass(frozen=True)
class Job:
    """One part of a grid, for an engine.

    An engine is a function ``train(job) -> Arrays``. With ``shape = (*grid, seed)`` it returns, in the
    experiment's dtype: each name of `parameter_names` with shape [*shape, ...]; ``loss`` [*shape], the loss
    on `evaluation_batches` fresh batches (the same for all models), or on the whole data where there is no
    sampling;
    ``loss_curve`` [*shape, loss_step], the loss of the weights after s updates on the batch of step s; and
    for each parameter ``<name>_snapshot`` [*shape, snapshot_step, ...].

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
    """

    part: Experiment
    seeds: np.ndarray
    loss_steps: np.ndarray
    snapshot_steps: np.ndarray
    evaluation_batches: int
    device: str
    report: Callable[[int], None]

    @property
    def grid_shape(self) -> tuple[int, ...]:
        return tuple(self.part.shape.values())

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.grid_shape, len(self.seeds))

    @property
    def n_models(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def parameter_names(self) -> tuple[str, ...]:
        names: tuple[str, ...] = self.part.model.parameter_names
        return names

    def parameter_shape(self, name: str) -> tuple[int, ...]:
        sizes = {"feature": self.part.n_features, "hidden": self.part.n_hidden}
        return tuple(sizes[dim] for dim in PARAMETERS[name])

    def per_model(self, value: Any) -> np.ndarray:
        """A numeric parameter for every model: float64 [model], or [model, feature] if it is one per feature.

        Models are numbered with the seed running fastest.
        """
        array = over_grid(value, self.part.axes)
        inner = array.shape[len(self.grid_shape) :]
        array = np.broadcast_to(array, self.grid_shape + inner)
        array = array.reshape(-1, 1, *inner)
        return np.broadcast_to(array, (array.shape[0], len(self.seeds), *inner)).reshape(-1, *inner)

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
        """The initial values of a parameter: float64 [model, ...]."""
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
        draws = np.stack([_random.normals(size, int(seed), _INIT_STREAMS[name]) for seed in self.seeds])
        draws = draws.reshape(1, len(self.seeds), *shape)
        start: np.ndarray = (scale.reshape(-1, len(self.seeds), *(1,) * len(shape)) * draws).reshape(
            -1, *shape
        )
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
        return np.broadcast_to(array.values, (*self.shape, *inner)).reshape(-1, *inner)
