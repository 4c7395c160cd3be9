"""Closed forms and exact values, a module for each part of the theory."""

from tms.theory.circle import (
    PolygonStability,
    circle_solution,
    circle_squared_norm,
    lossless_margin,
    polygon_stability,
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
    "circle_solution",
    "circle_squared_norm",
    "constant_loss",
    "dedicated_loss",
    "expected_loss",
    "lossless_margin",
    "one_active_loss",
    "polygon_stability",
]
