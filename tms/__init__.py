"""tms: toy models of superposition. Describe, train, measure, show."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tms import store
from tms._sweep import SweepError
from tms.axis import axis
from tms.bilinear import fold, interactions, unfold
from tms.discrimination import (
    best_reads,
    dual_frame,
    helstrom,
    minimum_error,
    naimark,
    pretty_good,
    tight_distance,
    unambiguous,
)
from tms.evidence import Evidence, EvidenceError, verdict
from tms.experiment import Experiment
from tms.factors import Factor, factors, shape_difference
from tms.geometry import (
    dimensions_per_feature,
    directions,
    feature_dimensionality,
    feature_norms,
    gaps,
    gram,
    interference,
)
from tms.init import Given, Normal, XavierNormal
from tms.inputs import Dataset, GroupedSparse, KSparse, OneHot, SparseUniform
from tms.loss import MSE, CrossEntropy
from tms.model import Autoencoder, Bilinear
from tms.module import outputs, sampled_loss, to_module, variance_explained
from tms.optimizer import SGD, Adam, AdamW
from tms.prose import glue
from tms.schedule import Cosine, Linear, WarmupCosine
from tms.statistics import Fraction, Mean, fraction, mean
from tms.store import StoreError, StoreWarning
from tms.theory import (
    PolygonStability,
    antipodal_pair_loss,
    bilinear_capacity,
    bilinear_errors,
    bilinear_lattice,
    bilinear_sparse_bound,
    circle_solution,
    circle_squared_norm,
    constant_loss,
    dedicated_loss,
    direction_energy,
    energy_bound,
    exact_descent,
    expected_loss,
    ladder,
    ladder_loss,
    light_cone,
    lossless_margin,
    merged_pair_loss,
    merging_probability,
    missing_feature_curvature,
    one_active_loss,
    onset_importance,
    polygon_energy,
    polygon_stability,
    separation,
    softmax_circle_loss,
    softmax_hessian,
    softmax_probabilities,
    tied_distance,
)
from tms.train import DivergenceWarning, best, experiment_of, train

if TYPE_CHECKING:
    from tms import plot as plot
    from tms.lab import Lab as Lab
    from tms.solid import Solid as Solid

__all__ = [
    "MSE",
    "SGD",
    "Adam",
    "AdamW",
    "Autoencoder",
    "Bilinear",
    "Cosine",
    "CrossEntropy",
    "Dataset",
    "DivergenceWarning",
    "Evidence",
    "EvidenceError",
    "Experiment",
    "Factor",
    "Fraction",
    "Given",
    "GroupedSparse",
    "KSparse",
    "Lab",
    "Linear",
    "Mean",
    "Normal",
    "OneHot",
    "PolygonStability",
    "Solid",
    "SparseUniform",
    "StoreError",
    "StoreWarning",
    "SweepError",
    "WarmupCosine",
    "XavierNormal",
    "antipodal_pair_loss",
    "axis",
    "best",
    "best_reads",
    "bilinear_capacity",
    "bilinear_errors",
    "bilinear_lattice",
    "bilinear_sparse_bound",
    "circle_solution",
    "circle_squared_norm",
    "constant_loss",
    "dedicated_loss",
    "dimensions_per_feature",
    "direction_energy",
    "directions",
    "dual_frame",
    "energy_bound",
    "exact_descent",
    "expected_loss",
    "experiment_of",
    "factors",
    "feature_dimensionality",
    "feature_norms",
    "fold",
    "fraction",
    "gaps",
    "glue",
    "gram",
    "helstrom",
    "interactions",
    "interference",
    "ladder",
    "ladder_loss",
    "light_cone",
    "lossless_margin",
    "mean",
    "merged_pair_loss",
    "merging_probability",
    "minimum_error",
    "missing_feature_curvature",
    "naimark",
    "one_active_loss",
    "onset_importance",
    "outputs",
    "plot",
    "polygon_energy",
    "polygon_stability",
    "pretty_good",
    "sampled_loss",
    "separation",
    "shape_difference",
    "softmax_circle_loss",
    "softmax_hessian",
    "softmax_probabilities",
    "store",
    "tied_distance",
    "tight_distance",
    "to_module",
    "train",
    "unambiguous",
    "unfold",
    "variance_explained",
    "verdict",
]

__version__ = version("tms-superposition")


if not TYPE_CHECKING:  # a type checker would take every name for one of ours

    def __getattr__(name: str) -> Any:
        if name == "plot":  # loaded when used: matplotlib is slow to import
            return import_module("tms.plot")
        if name in ("Lab", "Solid"):  # they need anywidget, which not everybody has
            return getattr(import_module(f"tms.{name.lower()}"), name)
        raise AttributeError(f"module 'tms' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
