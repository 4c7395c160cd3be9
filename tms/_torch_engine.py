"""The torch engine: any model, loss and device, gradients by autograd, all models of a part in one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tms import _check, _random
from tms._check import fail
from tms._engine import CHUNK as _CHUNK
from tms._engine import MEMORY, Arrays, Job
from tms.experiment import Experiment
from tms.inputs import Dataset, GroupedSparse, KSparse, OneHot, SparseUniform
from tms.loss import MSE, CrossEntropy
from tms.model import Autoencoder, Bilinear
from tms.optimizer import SGD, Adam, AdamW, Optimizer
from tms.schedule import Schedule

Parameters = dict[str, Tensor]
Batch = tuple[Tensor, Tensor]
Loss = MSE | CrossEntropy | Callable[..., Any]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
}


def train(job: Job) -> Arrays:
    """Train models of one part of a grid; see `tms._engine.Job`."""
    width = max(1, _CHUNK // (job.part.batch_length * job.part.n_features))
    starts = {name: job.start(name) for name in job.parameter_names}
    parts = [_train(job, slice(i, i + width), starts) for i in range(0, job.n_models, width)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _train(job: Job, models: slice, starts: Arrays) -> Arrays:
    """Train some of the models, by their number; arrays begin with [model]."""
    experiment, device, dtype = job.part, torch.device(job.device), getattr(torch, job.part.dtype)

    def tensor(values: np.ndarray, dtype: torch.dtype = dtype) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    def per_model(value: Any) -> Tensor:
        return tensor(job.per_model(value)[models], torch.float64)

    rate = job.learning_rate(models)
    parameters: Parameters = {name: tensor(start[models]).requires_grad_() for name, start in starts.items()}
    batches = Batches(job, models, dtype, device)
    importance = per_model(experiment.loss.importance).to(dtype) if isinstance(experiment.loss, MSE) else None
    loss_of = loss_function(experiment.loss, importance)
    constant = None if isinstance(experiment.optimizer.lr, Schedule) else tensor(rate(0), torch.float64)

    def rate_at(step: int) -> Tensor:  # a constant one is not copied to the device at every step
        return tensor(rate(step), torch.float64) if constant is None else constant

    state: dict[str, list[Tensor]] = {}  # the optimiser's memory
    for name, value in parameters.items():
        state[name] = [torch.zeros_like(value) for _ in MEMORY]
        if job.resume is not None:
            state[name] = [tensor(job.resume[f"{name}_{kind}"][models]) for kind in MEMORY]
    update = _stepper(experiment.optimizer, rate_at, per_model, state)
    n_models = len(parameters["W"])

    losses: list[np.ndarray] = []
    snapshots: dict[str, list[np.ndarray]] = {name: [] for name in parameters}
    loss_steps, snapshot_steps = set(job.loss_steps.tolist()), set(job.snapshot_steps.tolist())
    for s in range(job.begin, experiment.steps + 1):
        if s in snapshot_steps:
            for name, value in parameters.items():
                snapshots[name].append(value.detach().cpu().numpy().copy())
        last = s == experiment.steps
        if last and s not in loss_steps:
            break
        inputs, targets = batches(s)
        with torch.set_grad_enabled(not last):
            output = forward(experiment, parameters, inputs)
            loss = loss_of(output, targets)
        if s in loss_steps:
            losses.append(loss.detach().cpu().numpy())
        if not last:
            gradients = torch.autograd.grad(loss.sum(), list(parameters.values()))
            with torch.no_grad():
                update(s, parameters, dict(zip(parameters, gradients, strict=True)))
            job.report(n_models)

    arrays = {name: value.detach().cpu().numpy() for name, value in parameters.items()}
    final = [_losses(experiment, parameters, importance, batch) for batch in batches.evaluation()]
    arrays["loss"] = torch.stack(final).mean(0).cpu().numpy()
    arrays["loss_curve"] = np.stack(losses, 1) if losses else np.empty((n_models, 0), experiment.dtype)
    for name, value in parameters.items():
        empty = np.empty((n_models, 0, *value.shape[1:]), experiment.dtype)
        arrays[f"{name}_snapshot"] = np.stack(snapshots[name], 1) if snapshots[name] else empty
        if job.keep_memory:
            for kind, memory in zip(MEMORY, state[name], strict=True):
                arrays[f"{name}_{kind}"] = memory.detach().cpu().numpy()
    return arrays


def _losses(
    experiment: Experiment, parameters: Parameters, importance: Tensor | None, batch: Batch
) -> Tensor:
    """The loss of every model, [model], in pieces: a whole data set can be much larger than a batch of it."""
    inputs, targets = batch
    n_models = len(parameters["W"])
    width = max(1, _CHUNK // inputs[0].numel())

    def piece(values: Tensor, i: int) -> Tensor:
        return values if len(values) == 1 else values[i : i + width]

    losses = []
    with torch.no_grad():
        for i in range(0, n_models, width):
            some = {name: value[i : i + width] for name, value in parameters.items()}
            weight = None if importance is None else importance[i : i + width]
            output = forward(experiment, some, piece(inputs, i))
            losses.append(loss_function(experiment.loss, weight)(output, piece(targets, i)))
    return torch.cat(losses)


def try_out(part: Experiment, device: str) -> None:
    """Call a user's own activations and loss once, on a batch of two models, and complain in our own words.

    Raises
    ------
    ValueError
        If one raises, gives another shape, or cannot be differentiated.
    """
    model, dtype = part.model, getattr(torch, part.dtype)

    def call(name: str, function: Any, width: int, targets: bool, needed: bool, allowed: str) -> None:
        value = torch.full((2, part.batch_length, width), 0.5, dtype=dtype, device=device).requires_grad_()
        shape = (2,) if targets else value.shape
        try:
            # Not the leaf itself, which may not be changed in place.
            result = function(value * 1, value.detach().clone()) if targets else function(value * 1)
            if isinstance(result, Tensor) and result.shape == shape and (needed or result.requires_grad):
                torch.autograd.grad(result.sum(), value)
        except Exception as error:  # whatever it is
            got = f"{_check.short(function)}, which raises {type(error).__name__}: {error}"
            raise fail(name, got, allowed) from error
        if not isinstance(result, Tensor):
            raise fail(name, f"a result of type {type(result).__name__}", allowed)
        if result.shape != shape:
            raise fail(name, f"shape {tuple(result.shape)} for {tuple(value.shape)}", allowed)

    if callable(part.loss):
        allowed = "a torch function of output and target that returns the loss of each model, [model]"
        call("Experiment.loss", part.loss, part.n_features, True, True, allowed)
    if not isinstance(model, Autoencoder):
        return
    elementwise = "an elementwise torch function that can be differentiated"
    if callable(model.hidden_activation):
        # A tied model without a hidden bias learns by its read directions even if nothing comes through here.
        needed = not model.tied or model.has_hidden_bias
        call(
            "Autoencoder.hidden_activation",
            model.hidden_activation,
            part.n_hidden,
            False,
            needed,
            elementwise,
        )
    if callable(model.activation):
        call("Autoencoder.activation", model.activation, part.n_features, False, True, elementwise)


def forward(experiment: Experiment, parameters: Parameters, x: Tensor) -> Tensor:
    """Outputs [model, sample, feature] for inputs [model or 1, sample, feature]."""
    model = experiment.model

    def read(h: Tensor, W: Tensor, bias: str) -> Tensor:
        out = h @ W.mT
        return out + parameters[bias].unsqueeze(-2) if bias in parameters else out

    h = x @ parameters["W"]
    if isinstance(model, Bilinear):
        return read(h, parameters["W_out"], "b") * read(h, parameters["W_gate"], "b_gate")
    assert isinstance(model, Autoencoder)
    if "b_hidden" in parameters:
        h = h + parameters["b_hidden"].unsqueeze(-2)
    h = activation_function(model.hidden_activation)(h)
    return activation_function(model.activation)(read(h, parameters.get("W_out", parameters["W"]), "b"))


def activation_function(activation: str | Callable[..., Any]) -> Callable[[Tensor], Tensor]:
    return ACTIVATIONS[activation] if isinstance(activation, str) else activation


def loss_function(loss: Loss, importance: Tensor | None) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of every model, [model], as a function of output and target [model, sample, feature]."""
    if isinstance(loss, MSE):
        assert importance is not None
        weight = importance.reshape(len(importance), 1, -1)

        def squared_error(output: Tensor, target: Tensor) -> Tensor:
            error = weight * (output - target) ** 2
            match loss.reduction:
                case "mean":
                    return error.mean((-2, -1))
                case "feature_sum":
                    return error.sum(-1).mean(-1)
                case _:
                    return error.sum((-2, -1))

        return squared_error
    if isinstance(loss, CrossEntropy):

        def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
            each = -(target * torch.log_softmax(output, -1)).sum(-1)
            return each.mean(-1) if loss.reduction == "mean" else each.sum(-1)

        return cross_entropy
    return loss


class Batches:
    """The inputs and targets of every step: [model or 1, sample, feature]."""

    def __init__(self, job: Job, models: slice, dtype: torch.dtype, device: torch.device) -> None:
        self.inputs, self.n_features = job.part.inputs, job.part.n_features
        self.size, self.evaluations = job.part.batch_size, job.evaluation_batches
        self.dtype, self.device = dtype, device
        # Models of one seed share their draws, so each seed's are made once and then laid out by model.
        self.seeds, rows = np.unique(job.model_seeds[models], return_inverse=True)
        self.rows = torch.tensor(rows, device=device)
        if isinstance(self.inputs, (SparseUniform, GroupedSparse)):
            probability = job.per_model(self.inputs.feature_probability)[models]
            limit = _random.threshold(probability).reshape(len(probability), 1, -1)
            self.limit = torch.tensor(limit, device=device)
            with np.errstate(divide="ignore"):
                self.scale = torch.tensor(np.where(limit > 0, 1.0 / limit, 0.0), dtype=dtype, device=device)
        if isinstance(self.inputs, GroupedSparse):
            correlation = job.per_model(self.inputs.correlation)[models]
            limits = _random.set_limits(probability, correlation, self.inputs.set_size, self.n_features)
            self.bound, self.together, self.from_ = (
                torch.tensor(limit.reshape(len(probability), 1, -1), device=device) for limit in limits
            )
        if isinstance(self.inputs, OneHot):
            eye = torch.eye(self.n_features, dtype=dtype, device=device).unsqueeze(0)
            self.full: Batch = (eye, eye)
        if isinstance(self.inputs, Dataset):
            data = torch.tensor(np.asarray(self.inputs.data), dtype=dtype, device=device)
            targets = data
            if self.inputs.targets is not None:
                targets = torch.tensor(np.asarray(self.inputs.targets), dtype=dtype, device=device)
            self.full = (data.unsqueeze(0), targets.unsqueeze(0))
            self.epoch, self.orders = -1, np.empty((0, 0), np.int64)

    def __call__(self, step: int) -> Batch:
        if self.inputs.sampled:
            return self._sample(
                [_random.keys(int(seed), _random.SAMPLES, step) for seed in self.seeds],
                [_random.keys(int(seed), _random.VALUES, step) for seed in self.seeds],
                self.rows,
            )
        if self.size is None:
            return self.full
        return self._shuffled(step)

    def evaluation(self) -> Iterator[Batch]:
        """Batches on which all models are judged alike."""
        if not self.inputs.sampled:
            yield self.full
            return
        for i in range(self.evaluations):
            first = [_random.keys(0, _random.EVALUATION, 2 * i)]
            second = [_random.keys(0, _random.EVALUATION, 2 * i + 1)]
            yield self._sample(first, second, torch.zeros_like(self.rows))

    def judged(self, first: int, last: int, kept: dict[Any, Any]) -> Batch:
        """Some of the batches of `evaluation` at once, [batch, sample, feature], for one model.

        `kept` keeps the last draws for further calls, which may be those of other grid points: of
        sparse-uniform inputs the random bits, of which only the meaning depends on the probability.
        """
        if not self.inputs.sampled:
            return self.full
        uniform = isinstance(self.inputs, SparseUniform)
        what = (None if uniform else self.inputs, self.size, self.n_features, self.evaluations)
        if kept.get("what") != what:
            kept |= {"what": what, "draws": {}}
        if (first, last) not in kept["draws"]:
            keys, more = (
                [_random.keys(0, _random.EVALUATION, 2 * i + j) for i in range(first, last)] for j in (0, 1)
            )
            if uniform:
                draws = self._bits(keys, self.n_features)
            else:
                draws, _ = self._sample(keys, more, torch.arange(last - first, device=self.device))
            kept["draws"][first, last] = draws
        draws = kept["draws"][first, last]
        x = self._uniform(draws) if uniform else draws
        return x, x

    def _uniform(self, draws: Tensor) -> Tensor:
        """One number decides both: below the limit the feature is active, and how far below is its value."""
        return torch.where(draws < self.limit, draws.to(self.dtype) * self.scale, 0.0)

    def _sample(self, keys: list[tuple[int, int]], more: list[tuple[int, int]], rows: Tensor) -> Batch:
        if isinstance(self.inputs, SparseUniform):
            x = self._uniform(self._bits(keys, self.n_features)[rows])
            return x, x
        if isinstance(self.inputs, GroupedSparse):
            sets = self._bits(more, self.n_features // self.inputs.set_size)
            sets = sets.repeat_interleave(self.inputs.set_size, -1)
            x = self._grouped(self._bits(keys, self.n_features)[rows], sets[rows])
            return x, x
        assert isinstance(self.inputs, KSparse)
        x = self._k_sparse(self.inputs, self._bits(keys, self.inputs.k), self._bits(more, self.inputs.k))[
            rows
        ]
        return x, x

    def _bits(self, keys: list[tuple[int, int]], width: int) -> Tensor:
        """Random bits [seed, sample, width]."""
        assert self.size is not None
        counter = torch.arange(self.size * width, device=self.device).reshape(1, self.size, width)
        key = torch.tensor(keys, dtype=torch.int64, device=self.device).reshape(-1, 2, 1, 1)
        drawn: Tensor = _random.bits(counter, key[:, 0], key[:, 1])
        return drawn

    def _grouped(self, draws: Tensor, sets: Tensor) -> Tensor:
        """A number for its set says whether a feature is bound, and then active; its own tells the value."""
        active = (sets >= self.from_) & (sets < self.from_ + self.together)
        bound = torch.where(active, draws.to(self.dtype) * 2.0**-32, 0.0)
        return torch.where(sets < self.bound, bound, self._uniform(draws))

    def _k_sparse(self, inputs: KSparse, which: Tensor, values: Tensor) -> Tensor:
        """Inputs [seed, sample, feature] with k active features each.

        The j-th draw picks one of the n − j features not chosen yet: its rank among them is raised by one for
        every chosen feature that does not lie above it, going through these in rising order.
        """
        chosen: list[Tensor] = []
        for j in range(inputs.k):
            pick = _random.below(which[..., j], self.n_features - j)
            for other in torch.stack(chosen, -1).sort(-1).values.unbind(-1) if chosen else ():
                pick = pick + (pick >= other)
            chosen.append(pick)
        size = torch.ones_like(values, dtype=self.dtype)
        if inputs.values == "uniform":
            size = values.to(self.dtype) * 2.0**-32
        x = torch.zeros(*which.shape[:-1], self.n_features, dtype=self.dtype, device=self.device)
        return x.scatter_(-1, torch.stack(chosen, -1), size)

    def _shuffled(self, step: int) -> Batch:
        """Each pass over the data visits every sample once; its last batch may be smaller."""
        assert isinstance(self.inputs, Dataset)
        assert self.size is not None
        n = self.inputs.n_samples
        epoch, position = divmod(step, -(-n // self.size))
        if epoch != self.epoch:
            self.epoch = epoch
            self.orders = np.stack([_random.order(n, int(seed), epoch) for seed in self.seeds])
        some = self.orders[:, position * self.size : (position + 1) * self.size]
        rows = torch.tensor(some, device=self.device)[self.rows]
        return self.full[0][0][rows], self.full[1][0][rows]


def _stepper(
    optimizer: Optimizer,
    rate: Callable[[int], Tensor],
    per_model: Callable[[Any], Tensor],
    state: dict[str, list[Tensor]],
) -> Callable[[int, Parameters, Parameters], None]:
    """The update of an optimiser: called with step, parameters and gradients, it changes the parameters.

    torch's own optimisers know one learning rate; here every model has its own. Tests compare the two.
    `rate` and `per_model` give float64, since 1 − β loses digits in float32. `state` is the memory of each
    parameter, which it changes too.
    """
    if isinstance(optimizer, SGD):
        momentum = per_model(optimizer.momentum)

        def sgd(step: int, parameters: Parameters, gradients: Parameters) -> None:
            lr = rate(step)
            for name, value in parameters.items():
                velocity, _ = state[name]
                velocity.mul_(_like(momentum, value)).add_(gradients[name])
                value.sub_(_like(lr, value) * velocity)

        return sgd

    assert isinstance(optimizer, (Adam, AdamW))
    beta1, beta2, eps = map(per_model, (optimizer.beta1, optimizer.beta2, optimizer.eps))
    decay = per_model(optimizer.weight_decay) if isinstance(optimizer, AdamW) else None

    def adam(step: int, parameters: Parameters, gradients: Parameters) -> None:
        lr = rate(step)
        correction1 = 1 - beta1 ** (step + 1)
        correction2 = (1 - beta2 ** (step + 1)).sqrt()
        for name, value in parameters.items():
            mean, square = state[name]
            gradient = gradients[name]
            if decay is not None:
                value.mul_(_like(1 - lr * decay, value))
            b1, b2 = _like(beta1, value), _like(beta2, value)
            mean.mul_(b1).add_(_like(1 - beta1, value) * gradient)
            square.mul_(b2).add_(_like(1 - beta2, value) * gradient**2)
            scaled = square.sqrt() / _like(correction2, value) + _like(eps, value)
            value.sub_(_like(lr / correction1, value) * mean / scaled)

    return adam


def _like(per_model: Tensor, value: Tensor) -> Tensor:
    """[model] laid out so that it broadcasts against [model, ...], in the dtype of the latter."""
    return per_model.reshape(-1, *(1,) * (value.ndim - 1)).to(value.dtype)
