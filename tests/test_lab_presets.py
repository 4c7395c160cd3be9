"""A preset shows what its name promises: for most of a hundred seeds, within seconds of training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tms
from tests.test_lab_trainer import node

# After how many steps a preset is looked at, and the least part of the seeds that must show it.
STEPS = 3000
MOST = 0.6


def trained(preset: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Write and read directions [seed, feature, hidden] of a hundred seeds."""
    settings = tms.Lab(preset).settings
    found = node(
        """
const all = [];
for (let seed = 0; seed < 100; seed++) {
  const trainer = new Trainer({ ...data.settings, seed });
  trainer.run(data.steps);
  all.push([Array.from(trainer.model.W), Array.from(trainer.model.out)]);
}
console.log(JSON.stringify(all));
""",
        {"settings": settings, "steps": steps},
    )
    flat = np.array(found).reshape(100, 2, settings["n_features"], settings["n_hidden"])
    return flat[:, 0], flat[:, 1]


def held(W: np.ndarray) -> np.ndarray:
    """The long directions of one model; those given up stay near the origin."""
    length = np.linalg.norm(W, axis=1)
    return W[length > 0.5 * length.max()]


def polygon(sides: int, tolerance: float = 8) -> Callable[[np.ndarray, np.ndarray], bool]:
    """Whether the directions are those of a regular polygon, to so many degrees."""

    def check(W: np.ndarray, read: np.ndarray) -> bool:
        long = held(W)
        angle = np.sort(np.degrees(np.arctan2(long[:, 1], long[:, 0])))
        gaps = np.diff(np.append(angle, angle[:1] + 360))
        return len(long) == sides and bool(np.all(np.abs(gaps - 360 / sides) < tolerance))

    return check


def square_antiprism(W: np.ndarray, read: np.ndarray) -> bool:
    """Two squares, one above the other and turned by 45 degrees: by the cosines of all pairs."""
    unit = W / np.linalg.norm(W, axis=1, keepdims=True)
    cosines = np.sort((unit @ unit.T)[np.triu_indices(8, 1)])
    # Eight vertices (±cos, ±sin) r at height ±h; one number, h, is free.
    for h in np.linspace(0.4, 0.75, 71):
        angle = np.pi / 2 * np.arange(4)
        r = np.sqrt(1 - h**2)
        square = [
            np.stack([r * np.cos(angle + t), r * np.sin(angle + t), np.full(4, z)], 1)
            for t, z in ((0, h), (np.pi / 4, -h))
        ]
        ideal = np.concatenate(square)
        if np.abs(np.sort((ideal @ ideal.T)[np.triu_indices(8, 1)]) - cosines).max() < 0.05:
            return True
    return False


def as_many_as_dimensions(W: np.ndarray, read: np.ndarray) -> bool:
    """No more is held than two dimensions hold exactly: squared lengths of two in total."""
    return bool(abs((W**2).sum() - 2) < 0.6)


def first_ones_held(W: np.ndarray, read: np.ndarray) -> bool:
    """The four most important features of eight, and not the least important one."""
    length = np.linalg.norm(W, axis=1)
    return bool(length[:4].min() > 0.5 and length[-1] < 0.5)


def read_elsewhere(W: np.ndarray, read: np.ndarray) -> bool:
    """Two features or more are held, and what is read is not what is written."""
    long = np.linalg.norm(read, axis=1) * np.linalg.norm(W, axis=1) > 0.5
    return bool(long.sum() >= 2 and np.abs(W - read)[long].max() > 0.1)


def all_on_a_circle(W: np.ndarray, read: np.ndarray) -> bool:
    """Twelve classes all around; untied ones are neither quite even nor equally long."""
    return polygon(12)(W, read) and polygon(12)(read, W)


def pair_and_one(W: np.ndarray, read: np.ndarray) -> bool:
    """Two of the three directions opposite, the third across."""
    unit = W / np.linalg.norm(W, axis=1, keepdims=True)
    cosines = np.sort((unit @ unit.T)[np.triu_indices(3, 1)])
    return bool(cosines[0] < -0.98 and np.abs(cosines[1:]).max() < 0.15)


SHOWN = {
    "pentagon": polygon(5),
    "digons": polygon(4),
    "softmax triangle": polygon(3),
    "dense": as_many_as_dimensions,
    "unequal importance": first_ones_held,
    "square antiprism": square_antiprism,
    "hexagon with end bias": polygon(6),
    "untied": read_elsewhere,
    "softmax circle": polygon(12),
    "untied softmax": all_on_a_circle,
    "phase": pair_and_one,
}


def test_every_preset_is_looked_at() -> None:
    assert list(SHOWN) == list(tms.Lab().presets)


@pytest.mark.parametrize("preset", SHOWN)
def test_presets_show_what_they_promise(preset: str) -> None:
    write, read = trained(preset, STEPS)
    shown = np.mean([SHOWN[preset](*one) for one in zip(write, read, strict=True)])
    assert shown >= MOST, f"{shown:.0%} of the seeds"
