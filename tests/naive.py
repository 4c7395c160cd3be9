"""The model, its losses and their gradients once more, from the formulas: plain loops, one number at a time.

Slow, and written without a look at how `tms` does it, so that the two can disagree.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

ROOT_2 = math.sqrt(2.0)


def activation(kind: str, z: float) -> tuple[float, float]:
    """Value and derivative."""
    if kind == "linear":
        return z, 1.0
    if kind == "relu":
        return (z, 1.0) if z > 0 else (0.0, 0.0)
    normal_below = 0.5 * (1.0 + math.erf(z / ROOT_2))
    return z * normal_below, normal_below + z * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def loss_and_gradients(
    weights: dict[str, np.ndarray],
    x: np.ndarray,
    target: np.ndarray,
    *,
    loss: str,
    reduction: str,
    importance: np.ndarray,
    kind: str = "relu",
    hidden_kind: str = "linear",
) -> tuple[float, dict[str, np.ndarray]]:
    """Loss of one model on one batch, and its gradient by the chain rule.

    `weights`: W [n, m]; W_out [n, m] if the model is untied; b [n], b_hidden [m] if it has them.
    """
    n, m = weights["W"].shape
    tied = "W_out" not in weights
    read = weights["W"] if tied else weights["W_out"]
    gradients: dict[str, Any] = {name: np.zeros_like(value) for name, value in weights.items()}
    total = 0.0
    samples = len(x)
    for s in range(samples):
        hidden, hidden_slope = [], []
        for j in range(m):
            z = float(weights["b_hidden"][j]) if "b_hidden" in weights else 0.0
            for i in range(n):
                z += x[s, i] * weights["W"][i, j]
            value, slope = activation(hidden_kind, z)
            hidden.append(value)
            hidden_slope.append(slope)
        out, out_slope = [], []
        for i in range(n):
            z = float(weights["b"][i]) if "b" in weights else 0.0
            for j in range(m):
                z += read[i, j] * hidden[j]
            value, slope = activation(kind, z)
            out.append(value)
            out_slope.append(slope)

        # The loss of this sample, and its derivative by each output.
        if loss == "mse":
            share = {"mean": 1 / (samples * n), "feature_sum": 1 / samples, "sum": 1.0}[reduction]
            by_out = []
            for i in range(n):
                error = out[i] - target[s, i]
                total += share * importance[i] * error * error
                by_out.append(share * importance[i] * 2 * error)
        else:
            share = {"mean": 1 / samples, "sum": 1.0}[reduction]
            top = max(out)
            log_sum = top + math.log(sum(math.exp(value - top) for value in out))
            mass = sum(target[s, i] for i in range(n))
            by_out = []
            for i in range(n):
                total -= share * target[s, i] * (out[i] - log_sum)
                by_out.append(share * (mass * math.exp(out[i] - log_sum) - target[s, i]))

        by_hidden = [0.0] * m
        for i in range(n):
            by_z = by_out[i] * out_slope[i]
            if "b" in weights:
                gradients["b"][i] += by_z
            for j in range(m):
                gradients["W" if tied else "W_out"][i, j] += by_z * hidden[j]
                by_hidden[j] += by_z * read[i, j]
        for j in range(m):
            by_z = by_hidden[j] * hidden_slope[j]
            if "b_hidden" in weights:
                gradients["b_hidden"][j] += by_z
            for i in range(n):
                gradients["W"][i, j] += by_z * x[s, i]
    return total, gradients


def bilinear_loss_and_gradients(
    weights: dict[str, np.ndarray],
    x: np.ndarray,
    target: np.ndarray,
    *,
    loss: str,
    reduction: str,
    importance: np.ndarray,
) -> tuple[float, dict[str, np.ndarray]]:
    """The same for a bilinear model: W, W_out, W_gate [n, m]; b, b_gate [n] if it has them."""
    n, m = weights["W"].shape
    gradients: dict[str, Any] = {name: np.zeros_like(value) for name, value in weights.items()}
    total = 0.0
    samples = len(x)
    for s in range(samples):
        hidden = [sum(x[s, i] * weights["W"][i, j] for i in range(n)) for j in range(m)]
        reads, gates = [], []
        for i in range(n):
            read = weights["b"][i] if "b" in weights else 0.0
            gate = weights["b_gate"][i] if "b_gate" in weights else 0.0
            for j in range(m):
                read += weights["W_out"][i, j] * hidden[j]
                gate += weights["W_gate"][i, j] * hidden[j]
            reads.append(float(read))
            gates.append(float(gate))
        out = [read * gate for read, gate in zip(reads, gates, strict=True)]
        if loss == "mse":
            share = {"mean": 1 / (samples * n), "feature_sum": 1 / samples, "sum": 1.0}[reduction]
            by_out = []
            for i in range(n):
                error = out[i] - target[s, i]
                total += share * importance[i] * error * error
                by_out.append(share * importance[i] * 2 * error)
        else:
            share = {"mean": 1 / samples, "sum": 1.0}[reduction]
            mass = sum(math.exp(value) for value in out)
            goal = sum(target[s, i] for i in range(n))
            by_out = [share * (goal * math.exp(out[i]) / mass - target[s, i]) for i in range(n)]
            total -= share * sum(target[s, i] * (out[i] - math.log(mass)) for i in range(n))
        for i in range(n):
            for name, bias, other in (("W_out", "b", gates), ("W_gate", "b_gate", reads)):
                slope = by_out[i] * other[i]
                if bias in weights:
                    gradients[bias][i] += slope
                for j in range(m):
                    gradients[name][i, j] += slope * hidden[j]
                    for k in range(n):
                        gradients["W"][k, j] += slope * weights[name][i, j] * x[s, k]
    return total, gradients
