"""The lab's trainer, run by Node: against plain loops, and against the fused engine."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

import tms
from tests import naive
from tms import lab

FOLDER = Path(lab.__file__).parent / "_lab"
PRODUCT = [
    dict(zip(("tied", "bias", "activation", "hidden_activation", "loss", "reduction"), values, strict=True))
    for values in itertools.product(
        (True, False),
        ("none", "hidden", "end", "both"),
        ("linear", "relu", "gelu"),
        ("linear", "relu", "gelu"),
        ("mse", "cross_entropy"),
        ("mean", "feature_sum", "sum"),
    )
    if not (values[4] == "cross_entropy" and values[5] == "feature_sum")
]


def node(code: str, data: Any = None) -> Any:
    """What a script prints as JSON; it reads `data`, and may import the lab's modules."""
    program = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    head = f"""
import {{ readFileSync }} from "node:fs";
const folder = {FOLDER.as_uri()!r};
const {{ Random, Model, Trainer, checked, erf, lossAndGradient }} = await import(folder + "/trainer.js");
const {{ Session, Curve, serve }} = await import(folder + "/session.js");
const data = JSON.parse(readFileSync(0, "utf8"));
"""
    done = subprocess.run(
        [program, "--no-warnings", "--input-type=module", "--eval", head + code],
        input=json.dumps(data),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_loss_and_gradient() -> None:
    """Over the whole product of options, to 1e-12 of the largest entry."""
    rng = np.random.default_rng(3)
    cases, expected = [], []
    for options in PRODUCT:
        n, m = 4, 2
        settings = {**options, "n_features": n, "n_hidden": m, "importance_decay": 0.8}
        weights = {"W": rng.normal(size=(n, m))}
        if not options["tied"]:
            weights["W_out"] = rng.normal(size=(n, m))
        if options["bias"] in ("end", "both"):
            weights["b"] = rng.normal(size=n)
        if options["bias"] in ("hidden", "both"):
            weights["b_hidden"] = rng.normal(size=m)
        x = rng.uniform(size=(6, n)) * (rng.uniform(size=(6, n)) < 0.5)
        flat = np.concatenate([value.ravel() for value in weights.values()])
        cases.append({"settings": settings, "parameters": flat.tolist(), "x": x.tolist()})
        loss, gradients = naive.loss_and_gradients(
            weights,
            x,
            x,
            loss=options["loss"],
            reduction=options["reduction"],
            importance=0.8 ** np.arange(n),
            kind=options["activation"],
            hidden_kind=options["hidden_activation"],
        )
        expected.append((loss, np.concatenate([g.ravel() for g in gradients.values()])))
    found = node(
        """
console.log(JSON.stringify(data.map(({ settings, parameters, x }) => {
  const model = new Model(checked(settings).settings);
  model.parameters.set(parameters);
  const { loss, gradient } = lossAndGradient(model, x);
  return { loss, gradient: Array.from(gradient) };
})));
""",
        cases,
    )
    for mine, (loss, gradient) in zip(found, expected, strict=True):
        assert mine["loss"] == pytest.approx(loss, rel=1e-12, abs=1e-14)
        largest = np.abs(gradient).max()
        np.testing.assert_allclose(mine["gradient"], gradient, rtol=0, atol=1e-12 * max(largest, 1e-3))


def test_erf() -> None:
    from scipy.special import erf

    x = np.concatenate([np.linspace(-7, 7, 2801), [0.0, 1e-300, 2.5, -2.5, 30.0]])
    np.testing.assert_allclose(
        node("console.log(JSON.stringify(data.map(erf)))", x.tolist()), erf(x), rtol=1e-13, atol=1e-300
    )


def test_random_numbers() -> None:
    """Uniform, normal, without correlation from one to the next, and different for every seed."""
    found = node("""
const out = {};
for (const seed of [0, 1, 2 ** 31 - 1]) {
  const random = new Random(seed);
  out[seed] = { uniform: Array.from({ length: 20000 }, () => random.uniform()),
                normal: Array.from({ length: 20000 }, () => random.normal()) };
}
console.log(JSON.stringify(out));
""")
    for streams in found.values():
        assert scipy.stats.kstest(streams["uniform"], "uniform").pvalue > 1e-3
        assert scipy.stats.kstest(streams["normal"], "norm").pvalue > 1e-3
        for values in streams.values():
            assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.04
    assert abs(np.corrcoef(found["0"]["uniform"], found["1"]["uniform"])[0, 1]) < 0.04


@pytest.mark.parametrize("p", [1.0, 0.6, 0.05, 0.001])
def test_samples_have_the_distribution(p: float) -> None:
    """The loss of a model that does nothing is that of the inputs, and so are its moments."""
    n, steps, batch = 5, 2000, 100
    settings = {"n_features": n, "n_hidden": 1, "feature_probability": p, "batch_size": batch, "lr": 1e-5}
    losses = np.array(
        node(
            """
const trainer = new Trainer({ ...data, optimizer: "sgd", reduction: "sum" });
const losses = [];
for (let s = 0; s < 2000; s++) {
  trainer.model.parameters.fill(0);
  trainer.step();
  losses.push(trainer.loss);
}
console.log(JSON.stringify(losses));
""",
            settings,
        )
    )
    # The sum of squares of batch × n inputs, each p/3 on average, with variance p/5 − p²/9.
    mean, variance = batch * n * p / 3, batch * n * (p / 5 - p**2 / 9)
    assert abs(losses.mean() - mean) < 4.5 * np.sqrt(variance / steps)
    assert losses.var() == pytest.approx(variance, rel=0.2)


def test_adam_steps() -> None:
    """One-hot inputs: no chance after the start, so that 200 steps can be followed in numpy."""
    settings = {
        "n_features": 4,
        "n_hidden": 2,
        "inputs": "one_hot",
        "activation": "gelu",
        "lr": 0.01,
        "bias": "both",
    }
    found = node(
        """
const trainer = new Trainer(data);
const start = Array.from(trainer.model.parameters);
trainer.run(200);
console.log(JSON.stringify({ start, end: Array.from(trainer.model.parameters), loss: trainer.loss }));
""",
        settings,
    )
    start = np.array(found["start"])
    experiment = tms.Experiment(
        model=tms.Autoencoder(n_features=4, n_hidden=2, activation="gelu", bias="both"),
        inputs=tms.OneHot(),
        loss=tms.MSE(reduction="feature_sum"),
        init=tms.Given(W=start[:8].reshape(4, 2), b=start[8:12], b_hidden=start[12:]),
        optimizer=tms.Adam(lr=0.01),
        steps=200,
        dtype="float64",
    )
    runs = tms.train(experiment, seeds=1).isel(seed=0)
    end = np.concatenate([runs.W.values.ravel(), runs.b.values, runs.b_hidden.values])
    np.testing.assert_allclose(found["end"], end, rtol=0, atol=1e-8)


def test_trained_models_have_the_distribution_of_the_fused_engine() -> None:
    """Losses of many seeds, computed exactly from the weights."""
    settings = {"n_features": 4, "n_hidden": 2, "feature_probability": 0.1, "batch_size": 64, "lr": 0.01}
    found = node(
        """
const all = [];
for (let seed = 0; seed < 150; seed++) {
  const trainer = new Trainer({ ...data, seed });
  trainer.run(600);
  all.push(Array.from(trainer.model.parameters));
}
console.log(JSON.stringify(all));
""",
        settings,
    )
    experiment = lab.experiment_of({**tms.Lab(**settings).settings}, 600)
    theirs = tms.train(experiment, seeds=np.arange(1000, 1150), engine="fused")
    mine = theirs.copy(deep=True)
    flat = np.array(found)
    mine["W"] = (("seed", "feature", "hidden"), flat[:, :8].reshape(-1, 4, 2))
    mine["b"] = (("seed", "feature"), flat[:, 8:])
    exact = [tms.expected_loss(runs, experiment=experiment).values for runs in (mine, theirs)]
    assert scipy.stats.ks_2samp(*exact).pvalue > 1e-3


def test_wrong_settings_fall_back_and_say_so() -> None:
    wrong = {
        "feature_probability": 7,
        "n_features": -3,
        "n_hidden": 2.5,
        "activation": "text",
        "lr": None,
        "own": 1,
    }
    found = node("console.log(JSON.stringify(checked(data)))", wrong)
    assert found["settings"] == node("console.log(JSON.stringify(checked({})))")["settings"]
    assert len(found["problems"]) == len(wrong)
    assert {problem.split()[0] for problem in found["problems"]} == set(wrong)


def test_a_rate_that_is_far_too_high_is_noticed() -> None:
    found = node("""
const session = new Session({ optimizer: "sgd", lr: 100, feature_probability: 1 }, 2);
session.runFor(2000, 5000);
console.log(JSON.stringify({ alive: session.alive, failed: session.failed, steps: session.steps }));
""")
    assert found["alive"] is False
    assert found["failed"] == [True, True]
    assert found["steps"] < 5000


def test_a_change_goes_on_from_the_present_weights() -> None:
    found = node("""
const session = new Session({}, 1);
session.run(50);
const before = session.frame().models[0].W;
session.change({ feature_probability: 0.5 });
const after = session.frame().models[0].W;
session.run(1);
let refused = "";
try { session.change({ n_features: 7 }); } catch (error) { refused = error.message; }
const p = session.trainers[0].settings.feature_probability;
console.log(JSON.stringify({ before, after, steps: session.steps, p, refused }));
""")
    assert found["before"] == found["after"]
    assert found["steps"] == 51
    assert found["p"] == 0.5
    assert "n_features" in found["refused"]


def test_curves_stay_short_and_keep_the_mean() -> None:
    found = node("""
const curve = new Curve();
for (let s = 1; s <= 100000; s++) curve.add(s, s);
console.log(JSON.stringify(curve));
""")
    assert 200 <= len(found["values"]) <= 400
    assert found["steps"] == sorted(found["steps"])
    width = found["steps"][1] - found["steps"][0]
    np.testing.assert_allclose(found["values"], np.array(found["steps"]) - (width - 1) / 2)


def test_a_slow_page_gets_no_queue_of_frames() -> None:
    """The next frame comes when one was drawn; training goes on meanwhile, and each frame names its start."""
    found = node("""
const frames = [];
const handle = serve((message) => frames.push(message));
handle({ kind: "start", run: 7, settings: {}, seeds: 1, play: true });
await new Promise((done) => setTimeout(done, 150));
const waited = frames.length;
handle({ kind: "drawn" });
await new Promise((done) => setTimeout(done, 100));
handle({ kind: "pause" });
console.log(JSON.stringify({ waited, frames: frames.map(({ run, steps }) => [run, steps]) }));
""")
    assert found["waited"] == 1
    assert len(found["frames"]) == 3
    assert {run for run, _ in found["frames"]} == {7}
    assert found["frames"][1][1] > 0


def test_seeds_after_the_last_one_differ() -> None:
    found = node("""
const session = new Session({ seed: 999999 }, 4);
console.log(JSON.stringify(session.frame().models.map((one) => one.seed)));
""")
    assert found == [999999, 1000000, 0, 1]


def test_one_model_that_fails_does_not_stop_the_others() -> None:
    found = node("""
const session = new Session({}, 2);
session.trainers[0].model.parameters[0] = NaN;
session.run(5);
session.run(5);
const { alive, steps, models } = session.frame();
console.log(JSON.stringify({ alive, steps, failed: models.map((one) => one.failed) }));
""")
    assert found == {"alive": True, "steps": 10, "failed": [True, False]}


def test_momentum_is_the_librarys() -> None:
    """One-hot inputs, the same start, 100 steps."""
    settings = {"n_features": 4, "n_hidden": 2, "inputs": "one_hot", "optimizer": "sgd", "lr": 0.05}
    found = node(
        """
const trainer = new Trainer({ ...data, momentum: 0.9 });
const start = Array.from(trainer.model.parameters);
trainer.run(100);
console.log(JSON.stringify({ start, end: Array.from(trainer.model.parameters) }));
""",
        settings,
    )
    start = np.array(found["start"])
    experiment = lab.experiment_of(tms.Lab(**settings, momentum=0.9).settings, 100).replace(
        init=tms.Given(W=start[:8].reshape(4, 2), b=start[8:]), dtype="float64"
    )
    runs = tms.train(experiment, seeds=1).isel(seed=0)
    end = np.concatenate([runs.W.values.ravel(), runs.b.values])
    np.testing.assert_allclose(found["end"], end, rtol=0, atol=1e-8)


def test_messages_of_the_worker() -> None:
    """Start, play, pause, one step: what a page would see."""
    found = node("""
const frames = [];
const handle = serve((message) => {
  frames.push(message);
  setTimeout(() => handle({ kind: "drawn" }), 5);
});
handle({ kind: "start", run: 1, settings: {}, seeds: 2, play: false });
handle({ kind: "step" });
handle({ kind: "speed", perFrame: 10 });
handle({ kind: "play" });
await new Promise((done) => setTimeout(done, 150));
handle({ kind: "pause" });
const count = frames.length;
await new Promise((done) => setTimeout(done, 50));
const [steps, playing] = [frames.map((f) => f.steps), frames.map((f) => f.playing)];
console.log(JSON.stringify({ steps, playing, quiet: frames.length === count }));
""")
    assert found["steps"][:2] == [0, 1]
    assert found["playing"][-1] is False
    assert found["quiet"]
    later = [b - a for a, b in itertools.pairwise(found["steps"][2:-1])]
    assert len(later) > 2
    assert set(later) <= {0, 10}
