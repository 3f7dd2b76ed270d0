r"""One wide layer at its fixed length, as one function of the angle between two signals.

At the length q* the covariance of the next layer depends on the angle θ = arccos c alone,

.. math:: q^*\, C(\cos\theta) = \sigma_w^2\, \mathrm E[\varphi(u)\varphi(v)] + \sigma_b^2,

and as a function of θ it is analytic on [0, π] for smooth φ. So a polynomial through its values at
a few angles is the map, for any number of pairs and layers.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float

from widelimit.activations import Activation
from widelimit.theory import gaussian
from widelimit.theory.arguments import checked, checked_depth, need_float64

#: Chebyshev nodes in the angle.
NODES = 96


@dataclass(frozen=True)
class AngleMap:
    """The correlation map C at one fixed point; call it with correlations.

    Attributes:
      coefficients: of Chebyshev polynomials in 2θ/π − 1, for C(cos θ).
    """

    coefficients: Float[np.ndarray, " nodes"]

    def __call__(self, correlation: Float[ArrayLike, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """The correlation after one more layer.

        Args:
          correlation: c in [−1, 1]; rounding beyond is cut off.

        Returns:
          C(c), in [−1, 1].
        """
        angle = np.arccos(np.clip(correlation, -1, 1))
        image = np.polynomial.chebyshev.chebval(2 * angle / np.pi - 1, self.coefficients)
        # Equal inputs stay equal, whatever rounding does: where c = 1 repels it would show.
        return np.where(np.asarray(correlation) == 1, 1, np.clip(image, -1, 1))

    def layers(
        self, correlation: Float[ArrayLike, "*shape"], depth: int
    ) -> Float[np.ndarray, "{depth} *shape"]:
        """Correlations layer by layer.

        Args:
          correlation: c¹.
          depth: number of layers, ≥ 1.

        Returns:
          c¹, …, c^depth along a new first axis.

        Raises:
          ValueError: depth below 1.
        """
        found = [np.asarray(correlation, float)]
        for _ in range(checked_depth(depth) - 1):
            found.append(self(found[-1]))
        return np.stack(found)


def at_fixed_point(activation: Activation, var: float, weight_var: float) -> AngleMap:
    """The map of a network whose lengths have settled.

    Args:
      activation: φ, without jumps.
      var: q* > 0.
      weight_var: σ_w² ≥ 0; with it q* fixes σ_b².

    Returns:
      The map, in float64; absolute error below 1e-9 up to q* = 20 for smooth φ, and for ReLU. From
      layer to layer an error near c = 1 is multiplied by χ₁.

    Raises:
      ValueError: JAX is not in 64-bit mode; an argument out of its range; a q* that no σ_b² ≥ 0
        makes a fixed point.

    Source: chapter 3, equation (3.7).
    """
    need_float64("angle maps")
    q, weight_var = checked(var=float(var), weight_var=float(weight_var))
    nodes, values, square = (np.asarray(x, float) for x in _values(activation, q, weight_var))
    bias_var = float(q) - float(square)
    if not (float(q) > 0 and bias_var >= -1e-9 * float(q)):
        raise ValueError(
            f"var={float(q)} is no fixed point at weight_var={float(weight_var)} for any "
            "bias_var ≥ 0; widelimit.theory.phases.phase_diagram finds the fixed point."
        )
    order = np.arange(NODES)
    coefficients = 2 / NODES * np.cos(np.outer(order, nodes)) @ (values + bias_var) / float(q)
    coefficients[0] /= 2
    return AngleMap(coefficients)


@partial(jax.jit, static_argnums=0)
def _values(phi, q, weight_var):
    """Chebyshev angles of the polynomial, σ_w²·E[φ(u)φ(v)] there, and at equal inputs."""
    turns = jnp.pi * (jnp.arange(NODES, dtype=q.dtype) + 0.5) / NODES
    correlations = jnp.concatenate([jnp.cos(jnp.pi / 2 * (1 + jnp.cos(turns))), jnp.ones(1)])
    values = weight_var * gaussian.dual(phi, q, q, q * correlations)
    return turns, values[:-1], values[-1]
