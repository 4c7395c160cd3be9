"""The lab: toy models that train in the reader's browser, joined to Python where there is one."""

# mypy: disable-error-code="misc,no-untyped-call"
# traitlets and anywidget bring no types.

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Collection
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import xarray as xr

from tms._check import fail, short
from tms.experiment import Experiment
from tms.inputs import OneHot, SparseUniform
from tms.loss import MSE, CrossEntropy
from tms.model import Autoencoder
from tms.optimizer import SGD, Adam
from tms.theory import antipodal_pair_loss, constant_loss, dedicated_loss

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise ImportError("tms.Lab needs anywidget; install tms with its extra 'notebook'") from error

# In the order in which one needs another.
_MODULES = ("trainer.js", "session.js", "draw.js", "lab.js")
_WORKER = ("trainer.js", "session.js")
_COMPARED = ("dual", "pretty_good")


def _text(name: str) -> str:
    return (files("tms") / "_lab" / name).read_text("utf8")


@cache
def _data(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(_text(name))
    return found


def _plain(name: str) -> str:
    """A module without its imports and exports: all of them share one scope in the bundle."""
    text = re.sub(r"^import .*?;\n", "", _text(name), flags=re.M)
    return re.sub(r"^export default .*?;\n|^export (?=class|const|function|async)", "", text, flags=re.M)


@cache
def bundle(compare: bool = False) -> str:
    """The widget's script: the modules in one file, and the worker's part of it once more as text.

    What compares read directions is left out where it is not asked for. A worker cannot import modules where
    pages are read from disk; so it is started from text.
    """
    settings = f"const SETTINGS = {json.dumps(_data('settings.json'))};\n"
    worker = settings + "".join(map(_plain, _WORKER))
    # Timers wait for four milliseconds at least; a message to itself does not.
    worker += """
const channel = new MessageChannel();
let turn;
channel.port1.onmessage = () => turn();
const later = (next) => { turn = next; channel.port2.postMessage(null); };
const handle = serve((message) => postMessage(message), later);
onmessage = (event) => handle(event.data);
"""
    drawing = re.findall(r"^export (?:function|const) (\w+)", _text("draw.js"), flags=re.M)
    return "".join(
        (
            settings,
            f"const TMS_LAB_WORKER = {json.dumps(worker)};\n",
            *map(_plain, _MODULES[:-1]),
            f"const draw = {{ {', '.join(drawing)} }};\n",
            _plain("compare.js") if compare else "",
            _plain("lab.js")
            .replace("globalThis.TMS_LAB_WORKER", "TMS_LAB_WORKER")
            .replace("globalThis.TMS_LAB_COMPARISON", "comparison" if compare else "undefined"),
            "export default { render };\n",
        )
    )


class Still:
    """A picture that stands where the lab cannot: with scripts off, and on paper."""

    def __init__(self, svg: str, title: str) -> None:
        self._svg = svg[svg.index("<svg") :]
        self._title = title

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self._svg.encode()).decode()
        words = html.escape(f"{self._title}: directions of the features, drawn by Python")
        return f'<div class="lab-still"><img alt="{words}" src="data:image/svg+xml;base64,{picture}"></div>'


class Lab(anywidget.AnyWidget):
    """An instrument to watch toy models train: in the page itself, with or without Python.

    It trains a few models at once, from seeds that follow each other, in the reader's browser, and shows
    their directions, Gram matrix, biases, feature dimensionalities and losses while they learn. In a notebook
    it is joined to Python: what it has learnt can be read from here, and what `tms.train` has learnt can be
    shown in it.

    Parameters
    ----------
    preset
        Settings by name: one of `Lab.presets`.
    seeds
        How many models are trained side by side.
    compare
        Read directions that theory proposes for the present write vectors, drawn beside the model's own, with
        the mean angle between the two: "dual" (`dual_frame`) and "pretty_good". The mean is over the features
        that are read, R_i · W_i > 0.01.
    name
        By which a link finds this lab, where a page has several: letters, digits and hyphens.
    title
        What a screen reader calls it.
    autoplay
        Whether it starts by itself once it is on the screen. It never does for readers who ask for less
        motion.
    **settings
        Single settings that differ from the preset's, by name: n_features, n_hidden, tied, bias, activation,
        hidden_activation, loss, reduction, inputs, feature_probability, importance_decay, optimizer, lr,
        momentum, batch_size, seed.

    Attributes
    ----------
    W, W_out, b, b_hidden
        Parameters of the chosen model as numpy arrays [feature, hidden], [feature], [hidden], as the browser
        last reported them, a few times a second; empty before.
    loss, steps
        Loss of its last batch, and the number of updates.
    experiment
        The same as an `Experiment`, which `train` takes as it is.
    presets, settings
        All presets by name, and the present settings; ``lab.settings = {**lab.settings, "lr": 0.1}`` changes
        them.

    Notes
    -----
    ``lab.load(runs)`` shows a run that `train` made, with its snapshots, to go through in time;
    ``lab.play()`` and ``lab.pause()`` do what the buttons do; ``lab.still(runs)`` is a picture that stands in
    the lab's place where scripts are off. It trains only while it can be seen. Where one lab is displayed
    more than once, each display trains by itself, and Python sees the one that was last touched.

    Raises
    ------
    ValueError
        If a setting is unknown or out of range, or the preset or something to compare with is unknown.

    Examples
    --------
    >>> import tms
    >>> lab = tms.Lab("pentagon", feature_probability=0.02)
    >>> lab.experiment.inputs
    SparseUniform(feature_probability=0.02)
    """

    _esm = traitlets.Unicode(default_value="").tag(sync=True)
    _css = traitlets.Unicode(default_value="").tag(sync=True)
    settings = traitlets.Dict(help="The present settings by name.").tag(sync=True)
    state = traitlets.Dict(help="The chosen model, as the browser last reported it.")
    # It goes one way, from the browser; nothing is gained by sending it back.
    state.tag(sync=True, echo_update=False)
    name = traitlets.Unicode().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    seeds = traitlets.Int().tag(sync=True)
    compare: Any = traitlets.List().tag(sync=True)
    autoplay = traitlets.Bool().tag(sync=True)
    presets = traitlets.Dict(help="Settings by the preset's name.").tag(sync=True)
    theory: Any = traitlets.List().tag(sync=True)
    replay = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)

    def __init__(
        self,
        preset: str = "pentagon",
        *,
        seeds: int = 6,
        compare: Collection[str] = (),
        name: str = "",
        title: str = "A toy model, trained in this page",
        autoplay: bool = True,
        **settings: Any,
    ) -> None:
        if not isinstance(seeds, int) or isinstance(seeds, bool) or not 1 <= seeds <= 24:
            raise fail("seeds", seeds, "a whole number from 1 to 24")
        if not re.fullmatch(r"[A-Za-z0-9-]*", name):
            raise fail("name", name, "letters, digits and hyphens")
        # A string is a collection as well, of letters.
        several = isinstance(compare, Collection) and not isinstance(compare, str)
        if not several or any(one not in _COMPARED for one in compare):
            raise fail(
                "compare", compare, f"a list of {' and '.join(map(repr, _COMPARED))}, or of one of them"
            )
        presets = _data("presets.json")
        if preset not in presets:
            raise fail("preset", preset, f"one of {', '.join(presets)}")
        chosen = {key: rule["value"] for key, rule in _data("settings.json").items()} | presets[preset]
        for key, value in settings.items():
            chosen[key] = _checked(key, value)
        super().__init__(
            _esm=bundle(bool(compare)),
            _css=_text("lab.css") + (_text("compare.css") if compare else ""),
            settings=chosen,
            name=name,
            title=title,
            seeds=seeds,
            compare=[one for one in _COMPARED if one in compare],
            autoplay=autoplay,
            presets=presets,
            theory=_theory(),
        )
        self._loaded: Experiment | None = None

    @traitlets.validate("settings")
    def _whole(self, proposal: Any) -> dict[str, Any]:
        """All settings, each in its range; those that are not given keep their defaults."""
        defaults = {key: rule["value"] for key, rule in _data("settings.json").items()}
        return defaults | {key: _checked(key, value) for key, value in proposal["value"].items()}

    @property
    def W(self) -> np.ndarray:  # noqa: N802
        """Write directions of the chosen model [feature, hidden], as the browser last reported them.

        Empty, with the right number of columns, before it has.
        """
        return self._array("W", self._reported["n_hidden"])

    @property
    def W_out(self) -> np.ndarray:  # noqa: N802
        """Read directions [feature, hidden]; those of a tied model are its write directions."""
        return self.W if self._reported["tied"] else self._array("out", self._reported["n_hidden"])

    @property
    def b(self) -> np.ndarray:
        """End bias [feature]; empty if there is none."""
        return self._array("b")

    @property
    def b_hidden(self) -> np.ndarray:
        """Hidden bias [hidden]; empty if there is none."""
        return self._array("b_hidden")

    @property
    def loss(self) -> float:
        """Loss of the last batch; NaN before the first step."""
        value = self.state.get("loss")
        return float("nan") if value is None else float(value)

    @property
    def steps(self) -> int:
        """Updates done so far."""
        return int(self.state.get("steps", 0))

    @property
    def experiment(self) -> Experiment:
        """The same as a description, which `tms.train` takes as it is, with as many steps as were done.

        That of the run, while a loaded one is shown.
        """
        if self.replay is not None and self._loaded is not None:
            return self._loaded
        return experiment_of(self.settings, max(1, self.steps))

    def play(self) -> None:
        """Let it train."""
        self.send({"kind": "play"})

    def pause(self) -> None:
        """Let it stand still."""
        self.send({"kind": "pause"})

    def still(self, runs: xr.Dataset, *, titles: list[str] | None = None) -> Still:
        """A picture of trained models that stands in the lab's place where scripts are off, and on paper.

        Parameters
        ----------
        runs
            Models with one more dimension, one for each panel; see `tms.plot.directions`.
        titles
            One for each panel.

        Returns
        -------
        Still
            To be displayed just before the lab.
        """
        import io

        from tms import plot

        figure = plot.directions(runs, titles=titles)
        text = io.StringIO()
        figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None})
        import matplotlib.pyplot as plt

        plt.close(figure)
        return Still(text.getvalue(), self.title)

    def load(self, runs: xr.Dataset) -> None:
        """Show trained models, and their way there where snapshots were kept, instead of training here.

        Parameters
        ----------
        runs
            What `tms.train` returned, for one grid point; at most 24 seeds are shown.

        Raises
        ------
        ValueError
            If there is more than one grid point, or a model that the lab cannot show.
        """
        from tms.train import at_selection

        experiment = at_selection(runs, None)
        replay = _replay(runs, experiment)
        self._loaded = experiment
        self.replay = replay

    @property
    def _reported(self) -> dict[str, Any]:
        """The settings of the model in `state`, which may be those of a moment ago."""
        return dict(self.state.get("settings") or self.settings)

    def _array(self, key: str, columns: int = 0) -> np.ndarray:
        values = np.array(self.state.get(key) or [], dtype=np.float64)
        return values.reshape(-1, columns) if columns else values


def experiment_of(settings: dict[str, Any], steps: int) -> Experiment:
    """The description of what the lab trains with these settings."""
    model = {
        key: settings[key]
        for key in ("n_features", "n_hidden", "tied", "bias", "activation", "hidden_activation")
    }
    n, one_hot = settings["n_features"], settings["inputs"] == "one_hot"
    if settings["loss"] == "cross_entropy":
        loss: Any = CrossEntropy(reduction="sum" if settings["reduction"] == "sum" else "mean")
    else:
        loss = MSE(
            importance=settings["importance_decay"] ** np.arange(n)
            if settings["importance_decay"] != 1
            else 1.0,
            reduction=settings["reduction"],
        )
    return Experiment(
        model=Autoencoder(**model),
        inputs=OneHot() if one_hot else SparseUniform(feature_probability=settings["feature_probability"]),
        loss=loss,
        optimizer=Adam(lr=settings["lr"])
        if settings["optimizer"] == "adam"
        else SGD(lr=settings["lr"], momentum=settings["momentum"]),
        steps=steps,
        batch_size=None if one_hot else settings["batch_size"],
    )


def _checked(key: str, value: Any) -> Any:
    """A setting, if it is one that the lab can have."""
    rules = _data("settings.json")
    if key not in rules:
        raise fail("setting", key, f"one of {', '.join(rules)}")
    rule = rules[key]
    if "choices" in rule:
        if isinstance(value, np.bool_):
            value = bool(value)
        if not any(type(value) is type(choice) and value == choice for choice in rule["choices"]):
            raise fail(key, value, f"one of {', '.join(map(repr, rule['choices']))}")
        return value
    whole = rule.get("whole", False)
    allowed = f"{'a whole number' if whole else 'a number'} from {rule['low']} to {rule['high']}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise fail(key, value, allowed)
    number = value.item() if isinstance(value, np.generic) else value
    if not rule["low"] <= number <= rule["high"] or (whole and number != int(number)):
        raise fail(key, value, allowed)
    return int(number) if whole else float(number)


@cache
def _theory() -> list[dict[str, Any]]:
    """Losses that have a closed form, as tables over the feature probability, and when they apply."""
    import scipy.optimize

    p = np.geomspace(0.001, 1.0, 25)

    def pair(probability: float) -> float:
        def loss(v: np.ndarray) -> float:
            gain = abs(v[0])
            return float(antipodal_pair_loss(probability, gain, np.clip(v[1], -gain, gain)))

        return float(scipy.optimize.minimize(loss, [1.0, 0.05], method="Nelder-Mead").fun)

    pairs = np.array([pair(one) for one in p])
    constant = np.asarray(constant_loss(p))
    plain = {
        "inputs": "sparse_uniform",
        "loss": "mse",
        "reduction": "feature_sum",
        "importance_decay": 1,
    }
    plain_relu = {"activation": "relu", "hidden_activation": "linear"}
    tables: list[dict[str, Any]] = []
    for n in range(1, 11):
        shape = {**plain, "n_features": n, "bias": "end"}
        tables.append({"label": "nothing learnt", "when": shape, "loss": n * constant})
        for m in range(1, min(n, 4)):
            dedicated = np.asarray(dedicated_loss(p[:, None], n_features=n, n_hidden=m))
            with_m = {**shape, "n_hidden": m}
            tables.append(
                {
                    "label": "a feature dedicated" if m == 1 else f"{m} features dedicated",
                    # Exact where a feature with a dimension of its own can pass unchanged.
                    "when": {
                        **with_m,
                        "activation": ["linear", "relu"],
                        "hidden_activation": ["linear", "relu"],
                    },
                    "loss": dedicated,
                }
            )
            held = min(n // 2, m)
            rest = (n - 2 * held) - max(0, min(n - 2 * held, m - held))
            if held == m:
                value = held * pairs + rest * constant
                words = "an antipodal pair" if held == 1 else f"{held} antipodal pairs"
                tables.append({"label": words, "when": {**with_m, **plain_relu}, "loss": value})

    def rounded(values: np.ndarray) -> list[float]:
        return [float(f"{value:.6g}") for value in np.maximum(values, 1e-12)]

    return [{**table, "p": rounded(p), "loss": rounded(table["loss"])} for table in tables]


def _plain_list(values: np.ndarray) -> list[float | None]:
    """Numbers for the browser; JSON has no NaN, which a run that diverged has."""
    return [float(value) if np.isfinite(value) else None for value in values.ravel()]


def _replay(runs: xr.Dataset, experiment: Experiment) -> dict[str, Any]:
    """Snapshots as plain lists for the browser."""
    if experiment.axes:
        raise fail(
            "runs", f"several grid points along {list(experiment.axes)}", "one grid point, as by runs.sel"
        )
    model = experiment.model
    if not isinstance(model, Autoencoder):
        raise fail("runs", model, "of an Autoencoder: the lab knows no other model")
    for key in ("activation", "hidden_activation"):
        if not isinstance(getattr(model, key), str):
            raise fail("runs", short(getattr(model, key)), f"a model whose {key} has a name")
    for key in ("n_features", "n_hidden"):
        highest = _data("settings.json")[key]["high"]
        if getattr(model, key) > highest:
            raise fail("runs", f"{key} = {getattr(model, key)}", f"models with {key} of at most {highest}")
    shown = runs if "seed" in runs.dims else runs.expand_dims("seed")
    shown = shown.isel(seed=slice(0, 24))
    names = [name for name in ("W", "W_out", "b", "b_hidden") if name in shown]
    order = {
        "W": ("feature", "hidden"),
        "W_out": ("feature", "hidden"),
        "b": ("feature",),
        "b_hidden": ("hidden",),
    }
    steps = [int(step) for step in shown.snapshot_step.values] if "snapshot_step" in shown.dims else []
    frames = []
    for position, step in enumerate([*steps, None]):
        models = []
        for s in range(shown.sizes["seed"]):
            one = shown.isel(seed=s)
            data = {}
            for name in names:
                values = one[name] if step is None else one[f"{name}_snapshot"].isel(snapshot_step=position)
                data["out" if name == "W_out" else name] = _plain_list(values.transpose(*order[name]).values)
            models.append(data)
        if step is None and steps and steps[-1] == experiment.steps:
            continue
        frames.append({"steps": experiment.steps if step is None else step, "models": models})
    curve = shown.loss_curve.transpose("seed", "loss_step")
    return {
        "settings": {
            "n_features": model.n_features,
            "n_hidden": model.n_hidden,
            "tied": bool(model.tied),
            "bias": model.bias,
            "activation": model.activation,
            "hidden_activation": model.hidden_activation,
        },
        "seeds": [int(seed) for seed in shown.seed.values],
        "frames": frames,
        "curves": [
            {"steps": [int(s) for s in shown.loss_step.values], "values": _plain_list(row)}
            for row in curve.values
        ],
    }
