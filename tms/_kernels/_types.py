"""What the kernels are given: numbers about the job, and memory to work in."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tms._kernels._vector import COLUMN_BYTES, VECTOR_BYTES

# Where samples come from.
UNIFORM, K_SPARSE, ONE_HOT, DATA, GROUPED = range(5)
LINEAR, RELU, GELU = range(3)
SQUARED_ERROR, CROSS_ENTROPY = range(2)
MEAN, FEATURE_SUM, SUM = range(3)
SGD, ADAM, ADAMW = range(3)
CONSTANT, LINE, COSINE, WARMUP_COSINE = range(4)

# What is in a tile: zeros, the whole of given data in its own order, or anything else.
EMPTY, WHOLE, OTHER = range(3)

# Positions drawn at a time when sampling by gaps.
GAPS = 256


class Numbers(NamedTuple):
    """Whole numbers about a job. An offset of −1 means that a model has no such parameter."""

    features: int
    hidden: int
    batch: int  # samples in a step
    samples: int  # of given or one-hot data; 0 where data are drawn
    shuffled: int  # whether given data come in batches
    own_targets: int  # whether given data have targets of their own
    source: int
    k: int  # active features of k-sparse inputs, or features in a set
    ones: int  # whether active features of k-sparse inputs have value 1
    activation: int
    hidden_activation: int
    loss: int
    reduction: int
    optimizer: int
    schedule: int
    steps: int
    evaluations: int
    parameters: int
    read: int  # offset of the read directions; 0, where W is, in a tied model
    end_bias: int  # offset
    hidden_bias: int  # offset
    gate: int  # offset of a bilinear model's gate directions, right behind the read directions
    gate_bias: int  # offset, right behind the end bias


class Work(NamedTuple):
    """Memory of one thread. T is the number of columns of a tile, one sample each."""

    x: np.ndarray  # inputs [feature, T]
    target: np.ndarray  # [feature, T], or empty where the targets are the inputs
    # Outputs before the activation, then the gradient with respect to them [feature, T]; in a bilinear model
    # the reads and, as a second tile below them, the gates, [2 feature, T]. Their directions lie behind each
    # other among the parameters too, so that one product makes both.
    y: np.ndarray
    biased: np.ndarray  # the rows of y that have a bias
    h: np.ndarray  # hidden layer [hidden, T]
    dh: np.ndarray  # gradient with respect to it [hidden, T]
    slope: np.ndarray  # derivative of the end activation [feature, T], for cross-entropy
    hidden_slope: np.ndarray  # derivative of the hidden activation [hidden, T]
    weight: np.ndarray  # how many samples of the batch a column stands for [T]
    ones: np.ndarray  # [1, T]
    row: np.ndarray  # [3, T]
    gradient: np.ndarray  # [parameter]
    # Active features, sample by sample: those of column t are entries start[t] to start[t + 1].
    start: np.ndarray  # int32 [T + 1]
    feature: np.ndarray  # int32 [entry]
    column: np.ndarray  # int32 [entry]
    value: np.ndarray  # [entry]
    # The hidden layer and its gradient by sample, the weights and their gradient, rows padded to whole
    # vectors.
    h_rows: np.ndarray  # [T, padded hidden]
    weight_rows: np.ndarray  # [feature, padded hidden]
    gradient_rows: np.ndarray  # [feature, padded hidden]
    # Sampling by gaps: entries drawn ahead, and where the drawing stands.
    gap: np.ndarray  # float64 [GAPS]
    position: np.ndarray  # int64 [GAPS]
    gap_sample: np.ndarray  # int32 [GAPS]
    gap_feature: np.ndarray  # int32 [GAPS]
    gap_value: np.ndarray  # [GAPS]
    cursor: np.ndarray  # int64 [4]
    state: np.ndarray  # int64 [1], what is in the tile x: EMPTY, WHOLE or OTHER
    # Given data: the order of an epoch, and memory to sort in.
    order: np.ndarray  # int64 [sample]
    sort: np.ndarray  # uint64 [2, sample]
    digits: np.ndarray  # int64 [2049]


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros that begin where a cache line begins, or a vector would lie in two of them."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    array: np.ndarray = raw[start : start + size].view(dtype)
    return array.reshape(shape)


def tile_columns(c: Numbers, dtype: Any) -> int:
    """Samples in a tile, a whole number of blocks.

    Few features: as many samples as a tile's share of the second-level cache takes. Many features: more than
    that, because each product has a fixed cost for a tile. The number of blocks is odd, since rows whose
    distance is a power of two compete for the same lines of the first-level cache.
    """
    itemsize = int(np.dtype(dtype).itemsize)
    block = COLUMN_BYTES // itemsize
    gates = c.features * (c.gate >= 0)
    row = itemsize * (2 * c.features + gates + 2 * c.hidden)  # bytes of one sample in x, y, h and dh
    wanted = max(min(400_000 // row, 1088), min(800_000 // row, 448), 192)
    blocks = max(1, min(wanted, c.batch + block) // block)
    return block * (blocks if blocks % 2 or blocks < 8 else blocks - 1)


def padded_hidden(c: Numbers, dtype: Any) -> int:
    lanes = VECTOR_BYTES // int(np.dtype(dtype).itemsize)
    return -(-c.hidden // lanes) * lanes


def make_work(c: Numbers, dtype: Any, by_entries: bool) -> Work:
    """Memory for one thread; `by_entries` where samples are lists of active features."""
    n, m, t = c.features, c.hidden, tile_columns(c, dtype)
    entries = t * (c.k if c.source == K_SPARSE else n) if by_entries else 0
    rows = by_entries
    padded = padded_hidden(c, dtype)

    def zeros(*shape: int, dtype: Any = dtype) -> np.ndarray:
        return aligned(shape, dtype)

    ones = zeros(1, t)
    ones[:] = 1.0
    y = zeros(n * (1 + (c.gate >= 0)), t)
    return Work(
        x=zeros(n, t),
        target=zeros(n * c.own_targets, t),
        y=y,
        biased=y[: n * ((c.end_bias >= 0) + (c.gate_bias >= 0))],
        # Rows up to a whole vector: `transpose` writes and reads them.
        h=zeros(padded, t)[:m],
        dh=zeros(padded, t)[:m],
        slope=zeros(n * (c.loss == CROSS_ENTROPY), t),
        hidden_slope=zeros(m * (c.hidden_activation != LINEAR), t),
        weight=zeros(t),
        ones=ones,
        row=zeros(3, t),
        gradient=zeros(c.parameters),
        start=zeros(t + 1, dtype=np.int32),
        feature=zeros(entries, dtype=np.int32),
        column=zeros(entries, dtype=np.int32),
        value=zeros(entries),
        h_rows=zeros(t * rows, padded),
        weight_rows=zeros(n * rows, padded),
        gradient_rows=zeros(n * rows, padded),
        gap=zeros(GAPS, dtype=np.float64),
        position=zeros(GAPS, dtype=np.int64),
        gap_sample=zeros(GAPS, dtype=np.int32),
        gap_feature=zeros(GAPS, dtype=np.int32),
        gap_value=zeros(GAPS),
        cursor=zeros(4, dtype=np.int64),
        state=zeros(1, dtype=np.int64),
        order=zeros(c.samples, dtype=np.int64),
        sort=zeros(2, c.samples * c.shuffled, dtype=np.uint64),
        digits=zeros(2049, dtype=np.int64),
    )
