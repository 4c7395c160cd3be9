"""Closed forms and exact values, a module for each part of the theory."""

from tms.theory.energy import direction_energy, energy_bound, polygon_energy
from tms.theory.separation import ladder, ladder_loss, light_cone, separation, tied_distance
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
    "direction_energy",
    "energy_bound",
    "expected_loss",
    "ladder",
    "ladder_loss",
    "light_cone",
    "one_active_loss",
    "polygon_energy",
    "separation",
    "tied_distance",
]
