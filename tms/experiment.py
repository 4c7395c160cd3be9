"""An experiment: everything that decides what training does, except the seeds."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tms import _check
from tms._check import FrozenArray, fail
from tms._description import Description, axes_of, from_data, parameter, split_axes, to_data
from tms.axis import Axis, OrAxis
from tms.init import PARAMETERS, Given, Init, XavierNormal
from tms.inputs import Dataset, GroupedSparse, Inputs, KSparse, SparseUniform
from tms.loss import MSE, CrossEntropy
from tms.model import Autoencoder, Model
from tms.optimizer import Adam, Optimizer

# One 32-bit counter numbers the entries of a batch (see tms._random).
_COUNTER_LIMIT = 2**32


@dataclass(frozen=True, kw_only=True, repr=False)
class Experiment(Description):
    """A grid of models and how to train them. One model is a grid of size one.

    Parameters
    ----------
    model
        An `Autoencoder` or a `Bilinear` model.
    inputs
        `SparseUniform`, `GroupedSparse`, `OneHot`, `KSparse` or `Dataset`.
    loss
        `MSE`, `CrossEntropy`, or a callable that takes output and target, two torch tensors [model, sample,
        feature], and returns the loss of every model [model]. It must be differentiable by torch; if it is a
        ``torch.nn.Module``, its own parameters are not trained.
    optimizer
        `SGD`, `Adam` or `AdamW`.
    init
        `XavierNormal`, `Normal` or `Given`.
    steps
        Number of updates.
    batch_size
        Samples in a step. Needed for sampled inputs; None for a full batch.
    dtype
        "float32" or "float64".

    Raises
    ------
    ValueError
        If parameters do not fit each other: an importance of the wrong length, say.

    Examples
    --------
    >>> import tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=5, n_hidden=2),
    ...     inputs=tms.SparseUniform(feature_probability=tms.axis("p", [1.0, 0.1, 0.01])),
    ...     steps=1000,
    ...     batch_size=1024,
    ... )
    >>> experiment.shape
    {'p': 3}
    """

    model: OrAxis[Model] = parameter(_check.instance(Model))
    inputs: OrAxis[Inputs] = parameter(_check.instance(Inputs, hint="tms.Dataset(data=…) holds an array"))
    steps: int = parameter(_check.integer(1), axis=False)
    batch_size: OrAxis[int | None] = parameter(_check.integer(1, optional=True), default=None)
    loss: OrAxis[MSE | CrossEntropy | Callable[..., Any]] = parameter(
        _check.instance(MSE, CrossEntropy, or_callable=True), default=MSE()
    )
    optimizer: OrAxis[Optimizer] = parameter(_check.instance(Optimizer), default=Adam())
    init: OrAxis[Init] = parameter(
        _check.instance(Init, hint="tms.Given.from_runs(runs) goes on from runs"), default=XavierNormal()
    )
    dtype: str = parameter(_check.choice("float32", "float64"), default="float32", axis=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        axes_of(self)  # axes of one name must agree
        models = self.model.values if isinstance(self.model, Axis) else (self.model,)
        if len({(model.n_features, model.n_hidden) for model in models}) > 1:
            raise fail(
                "Experiment.model", models, "models of one size, since arrays of a grid have one shape"
            )
        for _, part in self.parts():
            part._check_fit()

    @property
    def axes(self) -> dict[str, Axis]:
        """The axes of the grid by name, in the order of the dimensions of the result.

        Examples
        --------
        >>> import tms
        >>> experiment = tms.Experiment(
        ...     model=tms.Autoencoder(n_features=5, n_hidden=2),
        ...     inputs=tms.OneHot(), optimizer=tms.SGD(lr=tms.axis("lr", [0.1, 0.2])), steps=5,
        ... )
        >>> experiment.axes
        {'lr': axis('lr', [0.1, 0.2])}
        """
        return axes_of(self)

    @property
    def shape(self) -> dict[str, int]:
        """Number of values of each axis.

        Examples
        --------
        >>> import tms
        >>> model = tms.Autoencoder(n_features=5, n_hidden=2, tied=tms.axis("tied", [True, False]))
        >>> tms.Experiment(model=model, inputs=tms.OneHot(), steps=5).shape
        {'tied': 2}
        """
        return {name: len(axis) for name, axis in self.axes.items()}

    @property
    def size(self) -> int:
        """Number of grid points.

        Examples
        --------
        >>> import tms
        >>> model = tms.Autoencoder(n_features=5, n_hidden=2, tied=tms.axis("tied", [True, False]))
        >>> tms.Experiment(model=model, inputs=tms.OneHot(), steps=5).size
        2
        """
        return int(np.prod(list(self.shape.values()), dtype=np.int64))

    @property
    def n_features(self) -> int:
        return self._any_model.n_features

    @property
    def n_hidden(self) -> int:
        return self._any_model.n_hidden

    def isel(self, /, **indices: int) -> Self:
        """The experiment with some axes set to one of their values, by position.

        Parameters
        ----------
        **indices
            Positions by the names of axes, counted from 0, or from the end if negative.

        Returns
        -------
        Experiment
            Without these axes.

        Raises
        ------
        ValueError
            If there is no such axis or no such position.

        Examples
        --------
        >>> import tms
        >>> experiment = tms.Experiment(
        ...     model=tms.Autoencoder(n_features=5, n_hidden=2),
        ...     inputs=tms.OneHot(), optimizer=tms.SGD(lr=tms.axis("lr", [0.1, 0.2])), steps=5,
        ... )
        >>> experiment.isel(lr=-1).optimizer
        SGD(lr=0.2)
        """
        for name, index in indices.items():
            size = len(self._axis(name))
            _check.integer(-size, size - 1)(name, index)
        return self._at(indices)

    def sel(self, /, **labels: Any) -> Self:
        """The experiment with some axes set to one of their values, by label.

        Parameters
        ----------
        **labels
            Labels by the names of axes, exactly as they were given.

        Returns
        -------
        Experiment
            Without these axes.

        Raises
        ------
        ValueError
            If there is no such axis or no such label.

        Examples
        --------
        >>> import tms
        >>> experiment = tms.Experiment(
        ...     model=tms.Autoencoder(n_features=5, n_hidden=2),
        ...     inputs=tms.OneHot(), optimizer=tms.SGD(lr=tms.axis("lr", [0.1, 0.2])), steps=5,
        ... )
        >>> experiment.sel(lr=0.1).optimizer
        SGD(lr=0.1)
        """
        indices = {}
        for name, label in labels.items():
            known = self._axis(name).labels
            if label not in known:
                raise fail(name, label, f"one of {known}")
            indices[name] = known.index(label)
        return self._at(indices)

    def parts(self) -> Iterator[tuple[dict[str, int], Self]]:
        """Split the grid into parts that differ only in numbers, each trained as one batch.

        Yields
        ------
        indices
            Position on each axis that splits the grid.
        part
            The experiment there; its remaining axes carry only numbers.
        """
        axes = self.axes
        names = [name for name in axes if name in split_axes(self)]
        for position in itertools.product(*(range(len(axes[name])) for name in names)):
            indices = dict(zip(names, position, strict=True))
            yield indices, self._at(indices) if indices else self

    def to_json(self) -> str:
        """The description as JSON.

        Returns
        -------
        str
            Every parameter, arrays included.

        Raises
        ------
        ValueError
            If it holds a callable.

        Examples
        --------
        >>> import tms
        >>> model = tms.Autoencoder(n_features=5, n_hidden=2)
        >>> tms.Experiment(model=model, inputs=tms.OneHot(), steps=5).to_json()[:40]
        '{"kind": "Experiment", "model": {"kind":'
        """
        return json.dumps(to_data(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`.

        Parameters
        ----------
        text
            What `to_json` gave.

        Returns
        -------
        Experiment
            Equal to the one that was written.

        Raises
        ------
        ValueError
            If the text does not describe an experiment.

        Examples
        --------
        >>> import tms
        >>> experiment = tms.Experiment(
        ...     model=tms.Autoencoder(n_features=5, n_hidden=2), inputs=tms.OneHot(), steps=5
        ... )
        >>> tms.Experiment.from_json(experiment.to_json()) == experiment
        True
        """
        try:
            experiment = from_data(json.loads(text))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise fail("text", text, "the JSON of an experiment") from error
        if not isinstance(experiment, cls):
            raise fail("text", text, "the JSON of an experiment")
        return experiment

    @property
    def evaluation_length(self) -> int:
        """Number of samples that a model is judged on at once; for a part of a grid."""
        return self.inputs.n_samples if isinstance(self.inputs, Dataset) else self.batch_length

    @property
    def batch_length(self) -> int:
        """Number of samples in a step; for a part of a grid."""
        if self.batch_size is not None:
            return self.batch_size
        return self.inputs.n_samples if isinstance(self.inputs, Dataset) else self.n_features

    @property
    def _any_model(self) -> Model:
        return self.model.values[0] if isinstance(self.model, Axis) else self.model

    def _axis(self, name: str) -> Axis:
        axes = self.axes
        if name not in axes:
            raise fail("axis", name, f"one of {sorted(axes)}")
        return axes[name]

    def _at(self, indices: dict[str, int]) -> Self:
        return self.at(indices, {name: self.axes[name].labels[index] for name, index in indices.items()})

    def _fields_at(self, indices: dict[str, int], labels: dict[str, Any]) -> dict[str, Any]:
        fields = super()._fields_at(indices, labels)
        # Starts that some models of the grid need, and the chosen ones do not have.
        unneeded = dict.fromkeys(sorted(_parameters(self.model) - _parameters(fields["model"])))

        def without(init: Init) -> Init:
            return init.replace(**unneeded) if isinstance(init, Given) else init

        init = fields["init"]
        fields["init"] = (
            init.replace_values(map(without, init.values)) if isinstance(init, Axis) else without(init)
        )
        return fields

    def _check_fit(self) -> None:
        """Whether the descriptions of a part fit each other."""
        n, m = self.n_features, self.n_hidden
        if isinstance(self.inputs, SparseUniform):
            _check_length("SparseUniform.feature_probability", self.inputs.feature_probability, n)
        if isinstance(self.inputs, KSparse) and self.inputs.k > n:
            raise fail("KSparse.k", self.inputs.k, f"at most n_features = {n}")
        if isinstance(self.inputs, GroupedSparse) and n % self.inputs.set_size:
            raise fail("GroupedSparse.set_size", self.inputs.set_size, f"a divisor of n_features = {n}")
        if isinstance(self.inputs, Dataset) and self.inputs.data.shape[1] != n:
            raise fail(
                "Dataset.data", f"shape {self.inputs.data.shape}", f"of shape [sample, n_features = {n}]"
            )
        if isinstance(self.loss, MSE):
            _check_length("MSE.importance", self.loss.importance, n)
        if self.inputs.sampled:
            if self.batch_size is None:
                kind = type(self.inputs).__name__
                raise fail("Experiment.batch_size", None, f"a whole number, since {kind} inputs are sampled")
            if self.batch_size * n >= _COUNTER_LIMIT:
                raise fail("Experiment.batch_size", self.batch_size, "less than 2**32 / n_features")
        elif isinstance(self.inputs, Dataset):
            if self.batch_size is not None and self.batch_size > self.inputs.n_samples:
                raise fail(
                    "Experiment.batch_size", self.batch_size, f"at most the {self.inputs.n_samples} samples"
                )
        elif self.batch_size is not None:
            raise fail(
                "Experiment.batch_size", self.batch_size, "None, since one-hot inputs are one full batch"
            )
        if isinstance(self.init, Given):
            self._check_given(self.init, n, m)

    def _check_given(self, init: Given, n: int, m: int) -> None:
        model = self.model
        for name, dims in PARAMETERS.items():
            shape = tuple({"feature": n, "hidden": m}[dim] for dim in dims)
            given = getattr(init, name)
            if given is None:
                if name.startswith("W") and name in model.parameter_names:
                    why = "untied" if isinstance(model, Autoencoder) else "bilinear"
                    raise fail(f"Given.{name}", None, f"an array, since the model is {why}")
                continue
            if name not in model.parameter_names:
                raise fail(f"Given.{name}", given, f"None, since {model!r} has no such parameter")
            if given.values.shape[-len(shape) :] != shape:
                raise fail(f"Given.{name}", f"shape {given.values.shape}", f"of shape [..., {shape}]")
            for dim, labels in zip(given.dims, given.labels, strict=True):
                if labels is None or dim == "seed":
                    continue
                if dim not in self.axes:
                    raise fail(
                        f"Given.{name}",
                        f"dimension {dim!r}",
                        f"an axis of the grid, {sorted(self.axes)}, or seed; select {dim} from the runs",
                    )
                known = set(labels)
                if missing := [label for label in self.axes[dim].labels if label not in known]:
                    raise fail(
                        f"Given.{name}",
                        f"no start for {dim} = {missing[0]!r}",
                        "a start for every grid point",
                    )


def _parameters(model: Model | Axis) -> set[str]:
    """The parameters that some model of a grid has."""
    if isinstance(model, Axis):
        return set().union(*map(_parameters, model.values))
    if not isinstance(model, Autoencoder):
        return set(model.parameter_names)
    tied = model.tied.values if isinstance(model.tied, Axis) else (model.tied,)
    biases = model.bias.values if isinstance(model.bias, Axis) else (model.bias,)
    names = {"none": set(), "hidden": {"b_hidden"}, "end": {"b"}, "both": {"b", "b_hidden"}}
    return {"W"}.union(*(names[bias] for bias in biases), *({"W_out"} for flag in tied if not flag))


def _check_length(name: str, value: Any, n_features: int) -> None:
    for item in value.values if isinstance(value, Axis) else (value,):
        if isinstance(item, FrozenArray) and len(item) != n_features:
            raise fail(
                name, f"{len(item)} numbers", f"one number, or one for each of the {n_features} features"
            )


def over_grid(value: Any, axes: dict[str, Axis]) -> np.ndarray:
    """A numeric parameter over a grid: float64 of shape [*axes], or [*axes, feature].

    Dimensions in which it does not vary have length 1.
    """
    if not isinstance(value, Axis):
        array = np.asarray(value, dtype=np.float64)
        return array.reshape((1,) * len(axes) + array.shape)
    rows = np.broadcast_arrays(*(np.asarray(item, dtype=np.float64) for item in value.values))
    array = np.stack(rows)
    position = list(axes).index(value.name)
    shape = [1] * len(axes)
    shape[position] = len(value)
    return array.reshape(*shape, *array.shape[1:])
