r"""How far signals of a wide network stray from their limit: the first order in 1/n.

Given layer l, the units of h^{l+1} are independent Gaussian pairs at two inputs, whose variances
Q_1, Q_2 and covariance P are averages over the n units below,

.. math:: s^{l+1} = F(s^l) + \frac1n\sum_i \eta_i, \qquad s = (Q_1, Q_2, P),

with F the length and covariance maps and η independent, of mean 0 and covariance N(s), that of
σ_w²·(φ(u)², φ(v)², φ(u)φ(v)). With J and H the first and second derivatives of F at its fixed
point, the covariance Σ/n of s and its shift m/n off the fixed point satisfy

.. math:: \Sigma = J\Sigma J^\top + N, \qquad m_i = (Jm)_i + \tfrac12 \sum_{jk} H_{ijk}\Sigma_{jk}

up to 1/n². The mean square of a layer's n units strays by 2q² more: they are a sample.

Source: chapter 3, equations (3.12) and (3.13).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float

from widelimit.activations import Activation
from widelimit.theory.arguments import checked, need_float64
from widelimit.theory.signal import RESOLUTION

#: Nodes of the trapezoidal rule: for tanh it is exact to rounding up to variance 50.
STEP, REACH = 1 / 32, 8.0


@dataclass(frozen=True)
class Fluctuations:
    """What the 1/n term of a layer's variances and covariance is, at the fixed point.

    Attributes:
      state: (Q_1, Q_2, P) at the fixed point.
      covariance: Σ, n times their covariance over networks.
      shift: m, n times the distance of their mean from the fixed point.
    """

    state: Float[np.ndarray, "3"]
    covariance: Float[np.ndarray, "3 3"]
    shift: Float[np.ndarray, "3"]

    def mean(self, fn: Callable[..., Float[ArrayLike, " points"]]) -> tuple[float, float]:
        """The mean of a function of (Q_1, Q_2, P) over networks, to first order in 1/n.

        Args:
          fn: smooth, from arrays of Q_1, Q_2 and P to an array. It is asked at up to 1% of Q_1
            around the fixed point, where it must be defined.

        Returns:
          Its value a at the fixed point, and b in a + b/n. Derivatives are taken by differences, so
          that b has a relative error of the order of 1e-4.

        Raises:
          ValueError: correlations beyond ±0.98: points around them are no covariances.
        """
        if abs(self.state[2]) > 0.98 * self.state[0]:
            raise ValueError(
                f"correlation={self.state[2] / self.state[0]:.4f}; differences of 1% need it "
                "within ±0.98"
            )
        step = 0.01 * self.state[0]
        moves = np.array(list(product((-1, 0, 1), repeat=3)))
        values = np.asarray(fn(*(self.state + step * moves).T), float).reshape(3, 3, 3)
        centre = (1, 1, 1)
        ahead, back = (
            [values[tuple(np.add(centre, s * axis))] for axis in np.eye(3, dtype=int)]
            for s in (1, -1)
        )
        total = np.subtract(ahead, back) / (2 * step) @ self.shift
        for i, j in product(range(3), repeat=2):
            if i == j:
                second = ahead[i] - 2 * values[centre] + back[i]
            else:
                a, b = np.eye(3, dtype=int)[[i, j]]
                corners = [
                    s * t * values[tuple(centre + s * a + t * b)]
                    for s, t in product((-1, 1), repeat=2)
                ]
                second = sum(corners) / 4
            total += second / step**2 * self.covariance[i, j] / 2
        return float(values[centre]), float(total)


def at_fixed_point(
    activation: Activation, var: float, correlation: float, weight_var: float
) -> Fluctuations:
    """Fluctuations of two signals of one length, far from the first layer.

    Args:
      activation: φ, smooth.
      var: q* > 0.
      correlation: c*, strictly between −1 and 1. What is said of one signal alone holds at any.
      weight_var: σ_w² ≥ 0. (σ_b² enters through q* and c* only.)

    Returns:
      The coefficients of 1/n, for layers of equal width n. Relative error in float64 below
      1e-8 up to var = 50 and correlations of ±0.99, for φ that grows no faster than u².

    Raises:
      ValueError: JAX is not in 64-bit mode; an argument out of its range; φ with kinks; a fixed
        point that repels, or one on the line between, where fluctuations add up from layer to
        layer without end.
    """
    need_float64("fluctuations")
    q, weight_var = (float(x) for x in checked(var=var, weight_var=weight_var))
    if q == 0:
        raise ValueError("var=0; at the fixed point 0 there is nothing to fluctuate.")
    if not -1 < correlation < 1:
        raise ValueError(f"correlation={correlation} must lie strictly between −1 and 1.")
    if activation.kinks:
        raise ValueError(f"{activation.name} has kinks; these fluctuations need a smooth φ.")
    state = jnp.asarray([q, q, correlation * q])
    slope, curvature, noise = map(np.asarray, _derivatives(activation, state, weight_var))
    radius = float(np.abs(np.linalg.eigvals(slope)).max())
    if radius >= 1 - RESOLUTION:
        raise ValueError(
            f"at var={q}, correlation={correlation} a layer multiplies deviations by {radius:.4f}; "
            "fluctuations settle only where that is below 1."
        )
    both = np.eye(9) - np.kron(slope, slope)
    covariance = np.linalg.solve(both, noise.reshape(-1)).reshape(3, 3)
    pushed = np.einsum("ijk,jk->i", curvature, covariance) / 2
    return Fluctuations(np.asarray(state), covariance, np.linalg.solve(np.eye(3) - slope, pushed))


@partial(jax.jit, static_argnums=0)
def _derivatives(phi, state, weight_var):
    z = jnp.arange(-REACH, REACH + STEP, STEP)
    weights = jnp.exp(-(z**2) / 2)
    weights = weights / jnp.sum(weights)
    plane = weights[:, None] * weights[None, :]

    def moments(state):
        """The three averages that make the next layer, unit by unit."""
        q1, q2, cov = state
        u = jnp.sqrt(q1) * z[:, None]
        v = cov / jnp.sqrt(q1) * z[:, None] + jnp.sqrt(q2 - cov**2 / q1) * z[None, :]
        a, b = jnp.broadcast_to(phi(u), v.shape), phi(v)
        return weight_var * jnp.stack([a * a, b * b, a * b])

    def layer(state):
        return jnp.einsum("iab,ab->i", moments(state), plane)

    units = moments(state)
    centred = units - layer(state)[:, None, None]
    noise = jnp.einsum("iab,jab,ab->ij", centred, centred, plane)
    return jax.jacfwd(layer)(state), jax.jacfwd(jax.jacfwd(layer))(state), noise
