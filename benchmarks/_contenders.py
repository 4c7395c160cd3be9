"""What a user could run: each contender makes, from a setting, a function that trains for a number of steps.

The public notebook's loop, its compiled form and the JAX loop are written from their descriptions.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from typing import Any

import torch

import tms
from benchmarks._settings import Setting

Run = Callable[[int], None]


def notebook(setting: Setting, compiled: bool = False) -> Run:
    """The loop of the paper's public notebook, all instances in one stack of tensors.

    Weights [instance, feature, hidden] begin Xavier normal; fresh data in each step: uniform values, kept
    where a second uniform number is at most p; AdamW with its default decay on everything; the mean over
    batch and features, summed over instances; gradients set to None, and the learning rate written, in
    every step.
    """
    count, n, m = setting.instances, setting.n_features, setting.n_hidden
    W = torch.nn.Parameter(torch.empty(count, n, m))
    torch.nn.init.xavier_normal_(W)
    b = torch.nn.Parameter(torch.zeros(count, n))
    importance = torch.tensor(setting.importance)
    probability = torch.tensor(setting.probability or (1.0,))[:, None]
    optimizer = torch.optim.AdamW([W, b], lr=1e-3)

    def sample() -> torch.Tensor:
        if setting.probability is None:
            return torch.eye(n)[:, None].expand(n, count, n)
        values = torch.rand(setting.batch_size, count, n)
        return torch.where(torch.rand(setting.batch_size, count, n) <= probability, values, torch.zeros(()))

    def loss_of(x: torch.Tensor, W: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        hidden = torch.einsum("...if,ifh->...ih", x, W)
        out = torch.relu(torch.einsum("...ih,ifh->...if", hidden, W) + b)
        error = importance * (x - out) ** 2
        return error.mean((0, 2)).sum()

    step = (
        torch.compile(lambda W, b: loss_of(sample(), W, b))
        if compiled
        else lambda W, b: loss_of(sample(), W, b)
    )

    def run(steps: int) -> None:
        for _ in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 1e-3
            optimizer.zero_grad(set_to_none=True)
            step(W, b).backward()
            optimizer.step()

    return run


def compiled_notebook(setting: Setting) -> Run:
    """The same with the forward pass, the sampling and their gradient through torch.compile."""
    return notebook(setting, compiled=True)


def jax_loop(setting: Setting) -> Run:
    """The same in JAX: one jitted function, in which `lax.scan` goes through the steps."""
    import jax
    import jax.numpy as jnp

    count, n, m = setting.instances, setting.n_features, setting.n_hidden
    importance = jnp.array(setting.importance)
    probability = jnp.array(setting.probability or (1.0,))[:, None]
    beta1, beta2, eps, decay, lr = 0.9, 0.999, 1e-8, 0.01, 1e-3

    def loss_of(parameters: Any, x: Any) -> Any:
        W, b = parameters
        hidden = jnp.einsum("sif,ifh->sih", x, W)
        out = jax.nn.relu(jnp.einsum("sih,ifh->sif", hidden, W) + b)
        return (importance * (x - out) ** 2).mean((0, 2)).sum()

    def sample(key: Any) -> Any:
        if setting.probability is None:
            return jnp.broadcast_to(jnp.eye(n)[:, None], (n, count, n))
        first, second = jax.random.split(key)
        shape = (setting.batch_size, count, n)
        return jnp.where(
            jax.random.uniform(second, shape) <= probability, jax.random.uniform(first, shape), 0.0
        )

    def step(state: Any, _: Any) -> Any:
        parameters, mean, square, t, key = state
        key, now = jax.random.split(key)
        gradient = jax.grad(loss_of)(parameters, sample(now))
        t = t + 1
        mean = jax.tree.map(lambda a, g: beta1 * a + (1 - beta1) * g, mean, gradient)
        square = jax.tree.map(lambda a, g: beta2 * a + (1 - beta2) * g * g, square, gradient)

        def update(value: Any, a: Any, s: Any) -> Any:
            scaled = jnp.sqrt(s / (1 - beta2**t)) + eps
            return value * (1 - lr * decay) - lr * (a / (1 - beta1**t)) / scaled

        return (jax.tree.map(update, parameters, mean, square), mean, square, t, key), None

    key = jax.random.key(0)
    W = jax.random.normal(key, (count, n, m)) * (2 / (n + m)) ** 0.5
    parameters = (W, jnp.zeros((count, n)))
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    state = (parameters, zeros, zeros, jnp.zeros(()), key)

    # The number of steps is part of a compiled program, so there are two: blocks of steps, and single ones.
    def block(length: int) -> Any:
        program = jax.jit(lambda state: jax.lax.scan(step, state, None, length=length)[0])
        return program.lower(state).compile()

    programs = {length: block(length) for length in (50, 1)}

    def run(steps: int) -> None:
        now = state
        for length, count in ((50, steps // 50), (1, steps % 50)):
            for _ in range(count):
                now = programs[length](now)
        jax.block_until_ready(now)

    return run


def _ours(engine: str) -> Callable[[Setting], Run]:
    def make(setting: Setting) -> Run:
        seeds = 1 if setting.probability else setting.instances

        def run(steps: int) -> None:
            """With all that belongs to a run: initial weights, the final loss, the labelled result."""
            tms.train(
                setting.experiment(steps),
                seeds=seeds,
                engine=engine,
                loss_steps=0,
                snapshot_steps=0,
                evaluation_samples=setting.samples,
                progress=False,
            )

        return run

    return make


CONTENDERS: dict[str, Callable[[Setting], Run]] = {
    "notebook": notebook,
    "torch.compile": compiled_notebook,
    "JAX": jax_loop,
    "tms, torch": _ours("torch"),
    "tms, fused": _ours("fused"),
}


def available() -> dict[str, Callable[[Setting], Run]]:
    """The contenders that can run here."""
    missing = set()
    if importlib.util.find_spec("jax") is None:
        missing.add("JAX")
    if shutil.which("c++") is None and shutil.which("g++") is None:
        missing.add("torch.compile")
    return {name: make for name, make in CONTENDERS.items() if name not in missing}


def use_threads(count: int) -> None:
    """Let every contender use so many threads. (JAX takes as many as the process may use processors.)"""
    torch.set_num_threads(count)
    os.environ["TMS_THREADS"] = str(count)
