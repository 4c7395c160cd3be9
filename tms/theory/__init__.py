"""Closed forms and exact values, a module for each part of the theory."""

from tms.theory.bilinear import (
    bilinear_capacity,
    bilinear_errors,
    bilinear_lattice,
    bilinear_sparse_bound,
)
from tms.theory.circle import (
    PolygonStability,
    circle_solution,
    circle_squared_norm,
    lossless_margin,
    polygon_stability,
)
from tms.theory.correlated import merged_pair_loss, merging_probability
from tms.theory.descent import exact_descent, onset_importance
from tms.theory.energy import direction_energy, energy_bound, polygon_energy
from tms.theory.separation import ladder, ladder_loss, light_cone, separation, tied_distance
from tms.theory.softmax import (
    missing_feature_curvature,
    softmax_circle_loss,
    softmax_hessian,
    softmax_probabilities,
)
from tms.theory.sparse_uniform import (
    antipodal_pair_loss,
    constant_loss,
    dedicated_loss,
    expected_loss,
    one_active_loss,
)

__all__ = [
    "PolygonStability",
    "antipodal_pair_loss",
    "bilinear_capacity",
    "bilinear_errors",
    "bilinear_lattice",
    "bilinear_sparse_bound",
    "circle_solution",
    "circle_squared_norm",
    "constant_loss",
    "dedicated_loss",
    "direction_energy",
    "energy_bound",
    "exact_descent",
    "expected_loss",
    "ladder",
    "ladder_loss",
    "light_cone",
    "lossless_margin",
    "merged_pair_loss",
    "merging_probability",
    "missing_feature_curvature",
    "one_active_loss",
    "onset_importance",
    "polygon_energy",
    "polygon_stability",
    "separation",
    "softmax_circle_loss",
    "softmax_hessian",
    "softmax_probabilities",
    "tied_distance",
]
