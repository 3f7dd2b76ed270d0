r"""How the length and the bends of a circle stray at finite width: first order in 1/n, by layer.

A unit of a layer is a Gaussian vector (h, v, a): its value, velocity and acceleration along the
curve. Given the layer below, units are independent, and their six second moments S are averages
over the n units below. So, as in :mod:`widelimit.theory.fluctuations`, with the derivatives J and H
of a layer's map of S and the covariance N of what is averaged,

.. math:: \Sigma_{l+1} = J\Sigma_l J^\top + N, \qquad
    m_{l+1} = J m_l + \tfrac12 H : \Sigma_l, \qquad \Sigma_1 = m_1 = 0,

since layer 1 reads a given circle. What is measured are averages over the n units of a layer: they
stray from S by their own covariance besides, and are curved functions of it.

Source: chapter 3, equation (3.21).
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from widelimit.activations import Activation
from widelimit.theory.arguments import checked, checked_depth, need_float64

#: Step and reach of the trapezoidal rule for h, and nodes of the Gauss–Hermite rules for v and a,
#: in which everything is a polynomial of degree 8 at most.
STEP, REACH, NODES = 1 / 16, 7.0, 5
_ROWS, _COLUMNS = np.triu_indices(3)


@dataclass(frozen=True)
class CurveDrift:
    """n times the relative distance of a mean over networks from its limit, in layers 1, …, L.

    Attributes:
      length: of the circle's length.
      curvature: of its curvature.
      tangent_length: of the length of the tangent's path.
    """

    length: Float[Array, " depth"]
    curvature: Float[Array, " depth"]
    tangent_length: Float[Array, " depth"]


def circle(
    activation: Activation, var: float, depth: int, weight_var: float, metric: float
) -> CurveDrift:
    """The 1/n terms of what :func:`widelimit.theory.curves.circle` gives the limits of.

    Args:
      activation: φ, smooth.
      var: q*, in every layer.
      depth: number of layers, ≥ 1.
      weight_var: σ_w² ≥ 0.
      metric: g_1, between 0 and q*, for a circle in the input.

    Returns:
      The terms, for layers of equal width n; relative error in float64
      below 1e-6 up to var = 15.

    Raises:
      ValueError: JAX is not in 64-bit mode; an argument out of its range; φ with kinks.
    """
    need_float64("1/n terms")
    q, g, weight_var = checked(var=var, metric=metric, weight_var=weight_var)
    if not 0 < metric < var:
        raise ValueError(f"metric={metric} must lie strictly between 0 and var={var}.")
    if activation.kinks or activation.second_derivative is None:
        raise ValueError(f"{activation.name} has kinks, or no φ″ is known; give a smooth φ.")
    return CurveDrift(*_drifts(activation, checked_depth(depth), q, g, weight_var))


def _full(s):
    return jnp.zeros((3, 3), s.dtype).at[_ROWS, _COLUMNS].set(s).at[_COLUMNS, _ROWS].set(s)


def _shapes(s):
    """Speed, curvature and their product, of averages over units."""
    _, _, _, vv, va, aa = s
    bend = jnp.sqrt(aa * vv - va**2) / vv**1.5
    return jnp.stack([jnp.sqrt(vv), bend, bend * jnp.sqrt(vv)])


@partial(jax.jit, static_argnums=(0, 1))
def _drifts(phi, depth, q, g, weight_var):
    z = np.arange(-REACH, REACH + STEP / 2, STEP)
    hermite, weights = np.polynomial.hermite_e.hermegauss(NODES)
    grid = np.stack([x.ravel() for x in np.meshgrid(z, hermite, hermite, indexing="ij")])
    density = np.exp(-(z**2) / 2)
    density = np.einsum("i,j,k->ijk", density / density.sum(), weights, weights).ravel()
    grid, density = jnp.asarray(grid), jnp.asarray(density / density.sum())

    def products(s):
        h, v, a = jnp.linalg.cholesky(_full(s)) @ grid
        slope, bend = phi.derivative(h), phi.second_derivative(h)
        image = jnp.stack([phi(h), slope * v, bend * v**2 + slope * a])
        return weight_var * image[_ROWS] * image[_COLUMNS]

    start = jnp.stack([q, 0 * q, -g, g, 0 * q, g])
    biases = q - products(start)[0] @ density

    def layer(s):
        return (products(s) @ density).at[0].add(biases)

    def step(state, _):
        s, covariance, shift = state
        slope, curvature = jax.jacfwd(layer)(s), jax.jacfwd(jax.jacfwd(layer))(s)
        units = products(s)
        units = units - (units @ density)[:, None]
        noise = (units * density[None]) @ units.T
        shift = slope @ shift + jnp.einsum("ijk,jk->i", curvature, covariance) / 2
        return (layer(s), slope @ covariance @ slope.T + noise, shift), state

    none = jnp.zeros((6, 6), q.dtype), jnp.zeros(6, q.dtype)
    _, states = jax.lax.scan(step, (start, *none), length=depth)

    def drift(s, covariance, shift):
        full = _full(s)
        # Averages of products of Gaussian units (Isserlis).
        one, other = full[_ROWS], full[_COLUMNS]
        total = covariance + one[:, _ROWS] * other[:, _COLUMNS] + one[:, _COLUMNS] * other[:, _ROWS]
        slope, curvature = jax.jacfwd(_shapes)(s), jax.jacfwd(jax.jacfwd(_shapes))(s)
        mean = slope @ shift + jnp.einsum("ijk,jk->i", curvature, total) / 2
        return mean / _shapes(s)

    return jax.vmap(drift)(*states).T
