"""Learning rates and optimisers."""

# mypy: ignore-errors
# Types are numba's business here.

from __future__ import annotations

import math

from tms._kernels._kernel import REORDER, kernel
from tms._kernels._special import like
from tms._kernels._types import ADAMW, CONSTANT, COSINE, LINE, SGD


@kernel
def rate(schedule, progress, a, b, c, d):
    """The learning rate once a fraction `progress` of the run is over; a … d are the schedule's
    parameters.
    """
    if schedule == CONSTANT:
        return a
    if schedule == LINE:
        return a + (b - a) * progress
    if schedule == COSINE:
        return b + (a - b) * (1 + math.cos(math.pi * progress)) / 2
    if progress < d:
        return a + (b - a) * (progress / d)
    falling = min(max((progress - d) / (1 - d), 0.0), 1.0)
    return c + (b - c) * (1 + math.cos(math.pi * falling)) / 2


@kernel(fastmath=REORDER)
def _sgd(parameters, gradient, velocity, lr, momentum):
    for i in range(len(parameters)):
        velocity[i] = velocity[i] * momentum + gradient[i]
        parameters[i] -= lr * velocity[i]


@kernel(fastmath=REORDER)
def _adam(parameters, gradient, mean, square, keep, beta1, beta2, rest1, rest2, root, eps, lr):
    for i in range(len(parameters)):
        g = gradient[i]
        mean[i] = mean[i] * beta1 + rest1 * g
        square[i] = square[i] * beta2 + rest2 * (g * g)
        scaled = math.sqrt(square[i]) * root + eps
        parameters[i] = parameters[i] * keep - lr * (mean[i] / scaled)


@kernel
def _bias_correction(beta, step):
    """1 − beta^(step + 1); a power below 4e-18 would not change it, and a power takes time."""
    return 1.0 if (step + 1) * (1 - beta) > 40.0 else 1.0 - beta ** (step + 1)


@kernel
def update(c, numbers, step, parameters, gradient, first, second):
    """One step of the optimiser. `numbers` are its lr's four parameters and its own four."""
    lr = rate(c.schedule, step / c.steps, numbers[0], numbers[1], numbers[2], numbers[3])
    if c.optimizer == SGD:
        _sgd(parameters, gradient, first, like(lr, parameters), like(numbers[4], parameters))
        return
    beta1, beta2, eps, decay = numbers[4], numbers[5], numbers[6], numbers[7]
    lr_corrected = lr / _bias_correction(beta1, step)
    root = 1 / math.sqrt(_bias_correction(beta2, step))
    keep = 1 - lr * decay if c.optimizer == ADAMW else 1.0
    _adam(
        parameters,
        gradient,
        first,
        second,
        like(keep, parameters),
        like(beta1, parameters),
        like(beta2, parameters),
        like(1 - beta1, parameters),
        like(1 - beta2, parameters),
        like(root, parameters),
        like(eps, parameters),
        like(lr_corrected, parameters),
    )
