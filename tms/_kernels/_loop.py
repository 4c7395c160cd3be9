"""The training loop of one model."""

# mypy: ignore-errors
# Types are numba's business here.

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tms import _random
from tms._kernels import _sample
from tms._kernels._kernel import kernel
from tms._kernels._network import pass_tile
from tms._kernels._special import clear_rows, fill, like
from tms._kernels._types import (
    EMPTY,
    FEATURE_SUM,
    GROUPED,
    K_SPARSE,
    MEAN,
    ONE_HOT,
    OTHER,
    SQUARED_ERROR,
    UNIFORM,
    WHOLE,
)
from tms._kernels._update import update

SAMPLES, VALUES, EVALUATION = _random.SAMPLES, _random.VALUES, _random.EVALUATION


class Model(NamedTuple):
    """What belongs to one model. Arrays that are written: parameters, first, second, losses, snapshots,
    loss.
    """

    seed: int
    gap_factor: float  # 1 / log(1 − p), or 0 to draw one number for each feature
    by_entries: bool  # whether the encoder works from lists of active features
    numbers: np.ndarray  # float64 [8], see `update`
    last: np.ndarray  # uint32 [feature], the largest bits of an active feature
    scale: np.ndarray  # [feature]
    # Of sets, see `_random.set_limits`: uint32 [2], those of being bound and being active; uint32 [feature].
    set_limits: np.ndarray
    set_from: np.ndarray
    importance: np.ndarray  # [feature]
    parameters: np.ndarray  # [parameter]
    first: np.ndarray  # the optimiser's memory [parameter]
    second: np.ndarray
    losses: np.ndarray  # [loss step]
    snapshots: np.ndarray  # [snapshot step, parameter]
    loss: np.ndarray  # float64 [1]


@kernel(inline="always")
def _batch(c, w, model, given, targets, first, size, by_gaps, keys0, keys1, backward, judge):
    """Loss of a batch, if `judge`; with `backward` its gradient goes to w.gradient.

    The batch is sampled with the keys, or has the given data's samples order[first] … order[first + size −
    1].
    """
    fill(w.gradient, 0.0)
    divisor = 1.0
    if c.loss == SQUARED_ERROR and c.reduction == MEAN:
        divisor = float(size * c.features)
    elif c.reduction == MEAN or c.reduction == FEATURE_SUM:
        divisor = float(size)
    scale = like(1.0 / divisor, w.gradient)
    listed = by_gaps or c.source == K_SPARSE
    whole = c.samples > 0 and size == c.samples and not c.shuffled and size <= w.x.shape[1]
    loaded = whole and w.state[0] == WHOLE
    if listed and w.state[0] != EMPTY:
        clear_rows(w.x, c.features)
    w.state[0] = EMPTY if listed else WHOLE if whole else OTHER
    start, total, complete = 0, 0.0, False
    if by_gaps:
        _sample.begin_gaps(w)
    while not complete:
        begun, count = start, min(w.x.shape[1], size - start)
        start += count
        complete = start == size
        if by_gaps:
            count, complete = _sample.gaps(c, w, model.gap_factor, keys0, keys1)
        elif not loaded:
            fill(w.weight[:count], 1.0)
            fill(w.weight[count:], 0.0)
            if c.source == UNIFORM:
                _sample.uniform(c, w, begun, count, keys0[0], keys0[1], model.last, model.scale)
            elif c.source == GROUPED:
                limits, start_at = model.set_limits, model.set_from
                _sample.grouped(c, w, begun, count, keys0, keys1, model.last, model.scale, limits, start_at)
            elif c.source == K_SPARSE:
                _sample.k_sparse(c, w, begun, count, keys0, keys1)
            elif c.source == ONE_HOT:
                _sample.one_hot(c, w, begun, count)
            else:
                _sample.data(w.x, given, w.order, first + begun, count)
                if c.own_targets:
                    _sample.data(w.target, targets, w.order, first + begun, count)
        by_entries = listed and model.by_entries
        total += pass_tile(
            c, w, model.parameters, model.importance, scale, begun, count, by_entries, backward, judge
        )
        if listed:
            _sample.clear(w, count)
    return total


def run(c, w, model, given, targets, loss_steps, snapshot_steps, begin, end):
    """Do steps begin … end − 1 of a model's training.

    Steps from c.steps on update nothing. The first of them only records; the c.evaluations after it take the
    final loss: on fresh samples, the same for all models, or (in one step) on the whole of given data.

    c : Numbers; w : Work; model : Model; given, targets : [feature, sample]; loss_steps, snapshot_steps :
    int64.
    """
    per_epoch = (c.samples + c.batch - 1) // c.batch
    ordered = -1  # the epoch that w.order is of; −1 if it is not set, −2 if it is the data's own order
    next_loss, next_snapshot = 0, 0
    w.state[0] = OTHER  # another model may have used the tile
    for s in range(begin, end):
        evaluation = s - c.steps - 1
        while next_loss < len(loss_steps) and loss_steps[next_loss] < s:
            next_loss += 1
        while next_snapshot < len(snapshot_steps) and snapshot_steps[next_snapshot] < s:
            next_snapshot += 1
        if next_snapshot < len(snapshot_steps) and snapshot_steps[next_snapshot] == s:
            for i in range(c.parameters):
                model.snapshots[next_snapshot, i] = model.parameters[i]
        record = next_loss < len(loss_steps) and loss_steps[next_loss] == s
        if s == c.steps and not record:
            continue

        first, size, by_gaps = 0, c.batch, evaluation < 0 and model.gap_factor != 0.0
        seed, purpose0, step0, purpose1, step1 = model.seed, SAMPLES, s, VALUES, s
        if evaluation >= 0:
            seed, purpose0, step0, purpose1, step1 = (
                0,
                EVALUATION,
                2 * evaluation,
                EVALUATION,
                2 * evaluation + 1,
            )
        elif by_gaps:
            purpose0, purpose1 = _sample.GAP, _sample.GAP_VALUE
        keys0 = keys1 = (np.uint32(0), np.uint32(0))
        if c.samples == 0:
            keys0 = _sample.keys(seed, purpose0, step0)
        if c.source == K_SPARSE or c.source == GROUPED or by_gaps:
            keys1 = _sample.keys(seed, purpose1, step1)
        if c.samples > 0:
            epoch = s // per_epoch if c.shuffled and evaluation < 0 else -2
            if epoch != ordered:
                _sample.order(c, w, seed, epoch)
                ordered = epoch
            if epoch >= 0:
                first = (s % per_epoch) * c.batch
                size = min(c.batch, c.samples - first)
            else:
                size = c.samples
        judge = record or evaluation >= 0
        loss = _batch(c, w, model, given, targets, first, size, by_gaps, keys0, keys1, s < c.steps, judge)
        if record:
            model.losses[next_loss] = like(loss, model.losses)
        if s < c.steps:
            update(c, model.numbers, s, model.parameters, w.gradient, model.first, model.second)
        elif evaluation >= 0:
            model.loss[0] += loss / c.evaluations
