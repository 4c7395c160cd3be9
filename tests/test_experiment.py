"""Experiments: grids, what fits together, and the written form."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tms
from tests.wrong import NOT_A_WHOLE_NUMBER, rejects

MODEL = tms.Autoencoder(n_features=3, n_hidden=2)
SPARSE = tms.SparseUniform(feature_probability=0.5)


def experiment(**changes: Any) -> tms.Experiment:
    return tms.Experiment(**{"model": MODEL, "inputs": SPARSE, "steps": 10, "batch_size": 8} | changes)


# Descriptions of every kind, to be written down, read back, hashed and compared.

rate = st.floats(0, 10)
below_one = st.floats(0, 0.999)
schedules = st.one_of(
    rate,
    st.builds(tms.Linear, start=rate, end=rate),
    st.builds(tms.Cosine, start=rate, end=rate),
    st.builds(tms.WarmupCosine, initial_lr=rate, max_lr=rate, final_lr=rate, warmup_frac=below_one),
)
adam = {"lr": schedules, "beta1": below_one, "beta2": below_one, "eps": st.floats(1e-12, 1)}
optimizers = st.one_of(
    st.builds(tms.SGD, lr=schedules, momentum=below_one),
    st.builds(tms.Adam, **adam),
    st.builds(tms.AdamW, weight_decay=rate, **adam),
)
autoencoders = st.builds(
    tms.Autoencoder,
    n_features=st.just(3),
    n_hidden=st.just(2),
    tied=st.booleans() | st.just(tms.axis("tied", [False, True])),
    bias=st.sampled_from(["none", "hidden", "end", "both"]),
    activation=st.sampled_from(["linear", "relu", "gelu"]) | st.just(tms.axis("act", ["gelu", "relu"])),
)
bilinear = st.builds(
    tms.Bilinear,
    n_features=st.just(3),
    n_hidden=st.just(2),
    bias=st.sampled_from(["both", "one", "none"]),
)
models = st.one_of(autoencoders, bilinear)
probability = st.floats(0, 1)
inputs_and_batch = st.one_of(
    st.tuples(st.builds(tms.SparseUniform, feature_probability=probability), st.integers(1, 99)),
    st.tuples(
        st.lists(probability, min_size=3, max_size=3).map(lambda p: tms.SparseUniform(feature_probability=p)),
        st.just(tms.axis("batch", [1, 2])),
    ),
    st.tuples(
        st.lists(probability, min_size=1, max_size=4, unique=True).map(
            lambda p: tms.SparseUniform(feature_probability=tms.axis("p", p))
        ),
        st.integers(1, 99),
    ),
    st.tuples(st.just(tms.OneHot()), st.none()),
    st.tuples(
        st.builds(tms.KSparse, k=st.integers(1, 3), values=st.sampled_from(["uniform", "one"])), st.just(4)
    ),
    st.tuples(
        st.builds(
            tms.GroupedSparse,
            set_size=st.sampled_from([1, 3]),
            feature_probability=st.floats(0, 0.3),
            correlation=st.floats(-1, 1),
        ),
        st.just(4),
    ),
    st.tuples(st.just(tms.Dataset(data=np.arange(12.0).reshape(4, 3), targets=np.ones((4, 3)))), st.just(3)),
)
losses = st.one_of(
    st.builds(tms.MSE, importance=rate, reduction=st.sampled_from(["mean", "feature_sum", "sum"])),
    st.lists(rate, min_size=3, max_size=3).map(lambda i: tms.MSE(importance=i)),
    st.builds(tms.CrossEntropy, reduction=st.sampled_from(["mean", "sum"])),
)
inits = st.one_of(
    st.builds(tms.XavierNormal, gain=rate, bias_scale=rate),
    st.builds(tms.Normal, scale=rate),
    st.just(tms.axis("start", [tms.Normal(scale=1.0), tms.XavierNormal()])),
)
experiments = st.builds(
    lambda pair, **rest: tms.Experiment(inputs=pair[0], batch_size=pair[1], **rest),
    inputs_and_batch,
    model=models,
    loss=losses,
    optimizer=optimizers,
    init=inits,
    steps=st.integers(1, 1000),
    dtype=st.sampled_from(["float32", "float64"]),
)


@given(experiments)
def test_written_down_and_read_back(made: tms.Experiment) -> None:
    """JSON, pickle and a copy give an equal description of the same hash."""
    for again in (
        tms.Experiment.from_json(made.to_json()),
        pickle.loads(pickle.dumps(made)),
        made.replace(),
    ):
        assert again == made
        assert hash(again) == hash(made)
        assert repr(again) == repr(made)
        assert again.to_json() == made.to_json()


@given(experiments.filter(lambda made: not isinstance(made.inputs, tms.Dataset)))
def test_repr_can_be_read_back(made: tms.Experiment) -> None:
    """eval(repr(experiment)) with the names of tms is the experiment, if its arrays are short."""
    assert eval(repr(made), vars(tms)) == made


@given(experiments, experiments)
def test_equal_where_the_written_form_is(a: tms.Experiment, b: tms.Experiment) -> None:
    """Two descriptions are equal exactly if they say the same."""
    assert (a == b) == (a.to_json() == b.to_json())
    assert len({a, b}) == (1 if a == b else 2)


def test_starts_are_written_down_too() -> None:
    """Given weights, labelled ones included."""
    base = experiment(inputs=tms.SparseUniform(feature_probability=tms.axis("p", [0.5, 0.1])))
    made = base.replace(init=tms.Given.from_runs(tms.train(base, seeds=2, engine="torch")))
    assert tms.Experiment.from_json(made.to_json()) == made
    assert hash(tms.Experiment.from_json(made.to_json())) == hash(made)


def test_a_class_of_the_users_own_keeps_its_name_to_itself() -> None:
    """Ours is found where it is written, also if a user has one that is called the same."""

    class Linear(tms.Linear):
        """Falls like ours."""

    optimizers = [tms.Adam(lr=kind(start=0.1)) for kind in (tms.Linear, Linear)]
    made = [experiment(optimizer=optimizer) for optimizer in optimizers]
    read = [tms.Experiment.from_json(one.to_json()) for one in made]
    assert read == made
    assert [type(one.optimizer.lr) for one in read] == [tms.Linear, Linear]


def test_code_cannot_be_written_down() -> None:
    """An experiment with a callable is hashable, but has no JSON."""
    made = experiment(model=MODEL.replace(activation=abs))
    assert hash(made) == hash(experiment(model=MODEL.replace(activation=abs)))
    with pytest.raises(ValueError, match="cannot be written down"):
        made.to_json()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "3",
        "null",
        "[]",
        "{}",
        '{"kind": "nothing"}',
        '{"kind": "Adam"}',
        '{"kind": "Experiment"}',
        None,
        3,
    ],
)
def test_wrong_json(text: Any) -> None:
    """Anything but the JSON of an experiment."""
    rejects(lambda: tms.Experiment.from_json(text), "text must be the JSON of an experiment")


def test_json_is_checked() -> None:
    """A written description is checked like any other."""
    text = experiment().to_json().replace('"steps": 10', '"steps": 0')
    rejects(lambda: tms.Experiment.from_json(text), "Experiment.steps", 0)


# Wrong parameters.


@pytest.mark.parametrize("name", ["steps", "batch_size"])
@given(
    value=(NOT_A_WHOLE_NUMBER | st.integers(max_value=0) | st.integers(min_value=2**31)).filter(
        lambda v: v is not None
    )
)
def test_wrong_counts(name: str, value: Any) -> None:
    """Steps and batches are positive whole numbers."""
    rejects(lambda: experiment(**{name: value}), f"Experiment.{name}", value, "1 <= number")


def test_steps_are_no_axis() -> None:
    """Nor is the dtype."""
    rejects(lambda: experiment(steps=tms.axis("s", [1, 2])), "Experiment.steps", allowed="one value")
    rejects(lambda: experiment(dtype=tms.axis("d", ["float32"])), "Experiment.dtype", allowed="one value")


@pytest.mark.parametrize("name", ["model", "inputs", "loss", "optimizer", "init", "dtype"])
@pytest.mark.parametrize("value", [None, 3, "adam", tms.Adam, tms.Linear(start=1.0)], ids=repr)
def test_wrong_parts(name: str, value: Any) -> None:
    """Descriptions of another kind, classes in place of objects."""
    rejects(lambda: experiment(**{name: value}), f"Experiment.{name}", value, "one of")


@given(st.integers(1, 6).filter(lambda n: n != 3))
def test_wrong_lengths(length: int) -> None:
    """A vector with another number of entries than there are features; on an axis too."""
    vector = np.full(length, 0.5)
    name = "SparseUniform.feature_probability"
    rejects(
        lambda: experiment(inputs=tms.SparseUniform(feature_probability=vector)), name, f"{length} numbers"
    )
    on_axis = tms.SparseUniform(
        feature_probability=tms.axis("p", [np.full(3, 0.5), vector], labels=["a", "b"])
    )
    rejects(lambda: experiment(inputs=on_axis), name, f"{length} numbers")
    rejects(lambda: experiment(loss=tms.MSE(importance=vector)), "MSE.importance", f"{length} numbers")
    data = tms.Dataset(data=np.ones((4, length)))
    rejects(lambda: experiment(inputs=data, batch_size=None), "Dataset.data", allowed="n_features = 3")


def test_batches_that_do_not_fit() -> None:
    """Sampled inputs need a batch size, one-hot ones have none, a data set has no more than its samples."""
    name = "Experiment.batch_size"
    rejects(lambda: experiment(batch_size=None), name, None, "SparseUniform")
    rejects(lambda: experiment(inputs=tms.OneHot()), name, 8, "None")
    rejects(lambda: experiment(inputs=tms.Dataset(data=np.ones((7, 3)))), name, 8, "at most the 7 samples")
    rejects(lambda: experiment(batch_size=2**31 - 1), name, 2**31 - 1, "2**32")
    rejects(lambda: experiment(batch_size=tms.axis("batch", [8, None])), name, None, "SparseUniform")


def test_k_above_n() -> None:
    """No more active features than there are; at any place of an axis."""
    sets = tms.GroupedSparse(set_size=2, feature_probability=0.1, correlation=1.0)
    rejects(lambda: experiment(inputs=sets), "GroupedSparse.set_size", 2, "a divisor of n_features = 3")
    rejects(lambda: experiment(inputs=tms.KSparse(k=4)), "KSparse.k", 4, "n_features = 3")
    rejects(lambda: experiment(inputs=tms.KSparse(k=tms.axis("k", [1, 4]))), "KSparse.k", 4)


def test_models_of_two_sizes() -> None:
    """A grid has one shape."""
    two = tms.axis("model", [MODEL, tms.Autoencoder(n_features=3, n_hidden=1)], labels=["a", "b"])
    rejects(lambda: experiment(model=two), "Experiment.model", allowed="models of one size")


def test_one_name_for_two_axes() -> None:
    """One length and the same labels."""
    p = tms.SparseUniform(feature_probability=tms.axis("x", [0.1, 0.2]))
    rejects(
        lambda: experiment(inputs=p, optimizer=tms.SGD(lr=tms.axis("x", [1.0, 2.0, 3.0]))),
        "axis 'x'",
        allowed="one length",
    )
    with pytest.raises(ValueError, match="same labels"):
        experiment(inputs=p, optimizer=tms.SGD(lr=tms.axis("x", [1.0, 2.0])))


def test_axes_within_an_axis() -> None:
    """A value of an axis has no axes of its own."""
    nested = tms.axis("o", [tms.SGD(lr=tms.axis("lr", [0.1, 0.2]))])
    with pytest.raises(ValueError, match="without axes of their own"):
        experiment(optimizer=nested)


# Grids.

GRID = tms.Experiment(
    model=MODEL.replace(activation=tms.axis("act", ["relu", "linear"])),
    inputs=tms.SparseUniform(feature_probability=tms.axis("p", [1.0, 0.5, 0.25])),
    loss=tms.MSE(importance=tms.axis("p", [1.0, 2.0, 3.0], labels=[1.0, 0.5, 0.25])),
    optimizer=tms.SGD(lr=tms.Linear(start=tms.axis("lr", [0.1, 0.2]))),
    steps=5,
    batch_size=4,
)


def test_shape() -> None:
    """Axes in the order of the parameters; two of one name vary together."""
    assert GRID.shape == {"act": 2, "p": 3, "lr": 2}
    assert GRID.size == 12
    assert experiment().shape == {}
    assert experiment().size == 1


def test_parts_cover_the_grid() -> None:
    """Only what is no number splits it."""
    parts = list(GRID.parts())
    assert [indices for indices, _ in parts] == [{"act": 0}, {"act": 1}]
    assert [part.model.activation for _, part in parts] == ["relu", "linear"]
    assert all(part.shape == {"p": 3, "lr": 2} for _, part in parts)
    ((indices, part),) = experiment().parts()
    assert indices == {}
    assert part == experiment()


def test_selecting() -> None:
    """By label and by position, in one go or one after another; axes of one name go together."""
    chosen = GRID.sel(p=0.5, act="linear", lr=0.2)
    assert chosen == GRID.isel(p=1).isel(act=-1, lr=1)
    assert chosen == tms.Experiment(
        model=MODEL.replace(activation="linear"),
        inputs=SPARSE,
        loss=tms.MSE(importance=2.0),
        optimizer=tms.SGD(lr=tms.Linear(start=0.2)),
        steps=5,
        batch_size=4,
    )


@pytest.mark.parametrize(
    "indices", [{"act": 2}, {"act": -3}, {"nothing": 0}, {"act": 0.0}, {"act": "relu"}, {"act": None}]
)
def test_selecting_what_is_not_there(indices: Any) -> None:
    """Positions."""
    rejects(lambda: GRID.isel(**indices), next(iter(indices)))


@pytest.mark.parametrize("labels", [{"p": 0.75}, {"nothing": 0}, {"act": 0}])
def test_selecting_labels_that_are_not_there(labels: Any) -> None:
    """Labels."""
    rejects(lambda: GRID.sel(**labels), next(iter(labels)))


def test_complaints_name_what_there_is() -> None:
    """Classes that one can make, and what to do with an array or with runs."""
    with pytest.raises(
        ValueError, match=r"one of Dataset, GroupedSparse, KSparse, OneHot, SparseUniform \(tms\.Dataset\("
    ):
        experiment(inputs=np.eye(3))
    with pytest.raises(ValueError, match=r"one of Given, Normal, XavierNormal \(tms\.Given\.from_runs\("):
        experiment(init=3)
    with pytest.raises(ValueError, match="one of Autoencoder, Bilinear; got"):
        experiment(model="bilinear")
    with pytest.raises(ValueError, match="one of Adam, AdamW, SGD; got"):
        experiment(optimizer="adam")
