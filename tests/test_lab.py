"""The lab from Python's side; its trainer is tested in test_lab_trainer, its page in tests/site."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tms
from tms import lab

NODE = shutil.which("node") or str(Path(sys.executable).with_name("node"))


@pytest.mark.parametrize("compare", [False, True])
def test_the_bundle_is_one_small_module(tmp_path: Path, compare: bool) -> None:
    """It parses, alone, and so does the worker's program inside it; both stay small."""
    text = lab.bundle(compare)
    assert len(text.encode()) < 150_000
    assert "import " not in "".join(line for line in text.splitlines(True) if line.startswith("import"))
    assert text.count("export default") == 1
    (tmp_path / "lab.mjs").write_text(text)
    subprocess.run([NODE, "--check", str(tmp_path / "lab.mjs")], check=True)
    code = "const { default: lab } = await import(process.argv[1]); console.log(typeof lab.render);"
    done = subprocess.run(
        [NODE, "--input-type=module", "--eval", code, (tmp_path / "lab.mjs").as_uri()],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "function"
    worker = next(line for line in text.splitlines() if line.startswith("const TMS_LAB_WORKER = "))
    program = json.loads(worker.removeprefix("const TMS_LAB_WORKER = ").removesuffix(";"))
    (tmp_path / "worker.cjs").write_text(program)  # a classic script: no imports, no exports
    subprocess.run([NODE, "--check", str(tmp_path / "worker.cjs")], check=True)


@pytest.mark.parametrize("preset", tms.Lab().presets)
def test_every_preset_is_an_experiment(preset: str) -> None:
    """With all its settings, and one that trains."""
    made = tms.Lab(preset)
    settings = made.settings
    experiment = made.experiment
    assert experiment.model.n_features == settings["n_features"]
    assert experiment.model.bias == settings["bias"]
    assert experiment.inputs.sampled == (settings["inputs"] == "sparse_uniform")
    runs = tms.train(experiment.replace(steps=3), seeds=2, evaluation_samples=64)
    assert np.isfinite(runs.loss).all()


def test_settings_differ_from_the_preset() -> None:
    made = tms.Lab("digons", n_features=7, feature_probability=0.2, importance_decay=0.9, tied=False, seeds=3)
    assert made.experiment.inputs == tms.SparseUniform(feature_probability=0.2)
    np.testing.assert_allclose(made.experiment.loss.importance, 0.9 ** np.arange(7))
    assert made.experiment.model == tms.Autoencoder(n_features=7, n_hidden=2, tied=False)
    assert made.seeds == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"preset": "square"}, r"preset must be one of pentagon, .*got 'square'"),
        ({"n_featuers": 3}, r"setting must be one of n_features, .*got 'n_featuers'"),
        ({"n_features": 41}, "n_features must be a whole number from 1 to 40; got 41"),
        ({"n_features": 2.5}, "n_features must be a whole number"),
        ({"n_features": True}, "n_features must be a whole number"),
        ({"feature_probability": 7}, "feature_probability must be a number from 0.001 to 1; got 7"),
        ({"feature_probability": float("nan")}, "feature_probability must be a number"),
        ({"activation": "tanh"}, "activation must be one of 'linear', 'relu', 'gelu'; got 'tanh'"),
        ({"tied": 1}, "tied must be one of True, False; got 1"),
        ({"seeds": 0}, "seeds must be a whole number from 1 to 24; got 0"),
        ({"compare": ["dual", "minimum_error"]}, "compare must be a list of 'dual' and 'pretty_good'.*got "),
        ({"compare": "dual"}, "compare must be a list of 'dual' and 'pretty_good'.*got 'dual'"),
        ({"compare": None}, "compare must be a list of 'dual' and 'pretty_good'.*got None"),
        ({"name": "my lab"}, "name must be letters, digits and hyphens; got 'my lab'"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tms.Lab(**settings)


def test_only_labs_that_compare_carry_what_compares() -> None:
    plain, made = tms.Lab("untied"), tms.Lab("untied", compare=["pretty_good", "dual"])
    assert plain.compare == []
    assert made.compare == ["dual", "pretty_good"]
    assert "symmetricEigen" in made._esm
    assert "symmetricEigen" not in plain._esm
    assert "lab-compare" in made._css
    assert "lab-compare" not in plain._css
    assert "TMS_LAB_COMPARISON" not in plain._esm + made._esm


def test_what_the_browser_reports() -> None:
    """Arrays in the shapes that everything else has."""
    made = tms.Lab("pentagon", n_features=3, bias="both", tied=False)
    assert made.W.shape == (0, 2)
    assert made.b.shape == (0,)
    assert np.isnan(made.loss)
    made.state = {
        "settings": made.settings,
        "steps": 7, "loss": 0.25, "W": [1, 2, 3, 4, 5, 6], "out": [0, 1, 0, 1, 0, 1],
        "b": [0.1, 0.2, 0.3], "b_hidden": [1, 2],
    }  # fmt: skip
    np.testing.assert_array_equal(made.W, [[1, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(made.W_out, [[0, 1]] * 3)
    np.testing.assert_array_equal(made.b_hidden, [1, 2])
    assert made.b.tolist() == [0.1, 0.2, 0.3]
    assert (made.loss, made.steps, made.experiment.steps) == (0.25, 7, 7)


def test_a_trained_run_is_replayed() -> None:
    experiment = tms.Lab("pentagon").experiment.replace(steps=20)
    runs = tms.train(experiment, seeds=[4, 9], snapshot_steps=[0, 5, 20])
    made = tms.Lab()
    made.load(runs)
    replay = made.replay
    assert replay["seeds"] == [4, 9]
    assert [frame["steps"] for frame in replay["frames"]] == [0, 5, 20]
    for s in range(2):
        np.testing.assert_array_equal(
            replay["frames"][1]["models"][s]["W"], runs.W_snapshot[s, 1].values.ravel()
        )
        np.testing.assert_array_equal(replay["frames"][-1]["models"][s]["b"], runs.b[s].values)
    assert replay["curves"][0]["values"] == runs.loss_curve[0].values.tolist()
    json.dumps(replay, allow_nan=False)


def test_what_cannot_be_replayed() -> None:
    made = tms.Lab()
    grid = tms.Lab("pentagon").experiment.replace(
        inputs=tms.SparseUniform(feature_probability=tms.axis("p", [0.1, 0.2])), steps=2
    )
    with pytest.raises(ValueError, match="runs must be one grid point"):
        made.load(tms.train(grid))


def test_lines_of_theory_are_the_librarys() -> None:
    """At every probability of a table, the value that the library gives."""
    tables = tms.Lab("pentagon").theory
    (nothing,) = [t for t in tables if t["label"] == "nothing learnt" and t["when"]["n_features"] == 5]
    np.testing.assert_allclose(nothing["loss"], 5 * tms.constant_loss(np.array(nothing["p"])), rtol=1e-5)
    (two,) = [
        t for t in tables
        if t["label"] == "2 antipodal pairs" and t["when"]["n_features"] == 5 and t["when"]["n_hidden"] == 2
    ]  # fmt: skip
    runs = tms.train(tms.Lab("digons").experiment.replace(steps=4000), seeds=12)
    best = float(tms.expected_loss(runs).min())
    assert np.interp(np.log(0.3), np.log(two["p"]), two["loss"]) == pytest.approx(best, rel=0.01)
