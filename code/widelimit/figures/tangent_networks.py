"""Networks in the neural tangent parametrization, and inputs on a circle."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from widelimit import parametrizations
from widelimit.activations import Activation
from widelimit.lab import networks


@cache
def maker(
    widths: tuple[int, ...],
    activation: Activation,
    bias_var: float = 0.0,
    weight_var: float | None = None,
) -> Callable:
    """Networks in a form that compiles once for each architecture.

    Args:
      widths: as for :class:`widelimit.lab.networks.FullyConnected`.
      activation: φ.
      bias_var: σ_b².
      weight_var: σ_w²; None where it is to be given with each key.

    Returns:
      A function from a random key, and σ_w² if it is not fixed, to a network.
    """

    def make(key, weight_var=weight_var):
        return networks.FullyConnected(
            key,
            widths,
            activation,
            weight_var=weight_var,
            bias_var=bias_var,
            parametrization=parametrizations.NTK,
        )

    return make


def on_circle(angles: np.ndarray) -> np.ndarray:
    """Unit vectors in the plane.

    Args:
      angles: in radians.

    Returns:
      Shape ``[inputs, 2]``.
    """
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)
