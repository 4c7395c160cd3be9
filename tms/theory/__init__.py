"""Closed forms and exact values, a module for each part of the theory."""

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
    "antipodal_pair_loss",
    "constant_loss",
    "dedicated_loss",
    "expected_loss",
    "missing_feature_curvature",
    "one_active_loss",
    "softmax_circle_loss",
    "softmax_hessian",
    "softmax_probabilities",
]
