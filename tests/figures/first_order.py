"""The first order in 1/n of what passes a wide tanh network, for what figures allow.

A unit of a layer carries several numbers: its value at two inputs, or its value, velocity and
acceleration along a curve. Given the layer below, the units are independent Gaussian vectors whose
second moments S are averages over the n units below. So S is its limit plus m/n on average, with a
covariance Σ/n over networks: with J and H the derivatives of a layer's map of S, and N the
covariance of what is averaged,

    Σ' = J Σ Jᵀ + N,    m' = J m + ½ H:Σ.

In layer 1, which reads a given input, S is exact. Nothing here is from the package.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np


def _normal(step, reach=6.0):
    """Nodes and weights of the trapezoidal rule for a standard normal variable."""
    nodes = np.arange(-reach, reach + step / 2, step)
    weights = np.exp(-(nodes**2) / 2)
    return nodes, weights / weights.sum()


#: For functions of tanh up to variance 16: to 1e-7, and to 1e-5 of pairs, which take the square.
FINE, COARSE = _normal(1 / 12), _normal(1 / 8)
#: For polynomials up to degree 9.
POLYNOMIAL = np.polynomial.hermite_e.hermegauss(5)
POLYNOMIAL = POLYNOMIAL[0], POLYNOMIAL[1] / POLYNOMIAL[1].sum()


def alone(h):
    """The value at one input."""
    return jnp.tanh(h)


def moving(h):
    """Value, velocity and acceleration along a curve."""
    value, velocity, acceleration = h
    t = jnp.tanh(value)
    slope = 1 - t**2
    bend = -2 * t * slope
    return jnp.stack([t, slope * velocity, bend * velocity**2 + slope * acceleration])


#: By name: what a layer does to a unit, rules of integration, and which moments biases add to.
UNITS = {
    "one": (alone, (FINE,), np.ones((1, 1))),
    "pair": (alone, (COARSE, COARSE), np.ones((2, 2))),
    "curve": (moving, (FINE, POLYNOMIAL, POLYNOMIAL), np.diag([1.0, 0.0, 0.0])),
}


@partial(jax.jit, static_argnums=(0, 2))
def _layers(unit, moments, depth, weight_var, bias_var):
    fn, rules, biased = UNITS[unit]
    rows, columns = np.triu_indices(len(rules))
    nodes = jnp.stack([one.ravel() for one in np.meshgrid(*(x for x, _ in rules), indexing="ij")])
    weights = rules[0][1]
    for _, more in rules[1:]:
        weights = np.multiply.outer(weights, more).ravel()

    def products(s):
        full = jnp.zeros((len(rules),) * 2).at[rows, columns].set(s).at[columns, rows].set(s)
        image = fn(jnp.linalg.cholesky(full) @ nodes)
        return weight_var * image[rows] * image[columns]

    def layer(s):
        return products(s) @ weights + bias_var * biased[rows, columns]

    def step(carry, _):
        s, covariance, shift = carry
        slope, curvature = jax.jacfwd(layer)(s), jax.jacfwd(jax.jacfwd(layer))(s)
        units = products(s)
        units = units - (units @ weights)[:, None]
        noise = (units * weights) @ units.T
        shift = slope @ shift + jnp.einsum("ijk,jk->i", curvature, covariance) / 2
        return (layer(s), slope @ covariance @ slope.T + noise, shift), carry

    s = moments[rows, columns]
    start = s, jnp.zeros((len(s), len(s))), jnp.zeros(len(s))
    return jax.lax.scan(step, start, length=depth)[1]


def expected(unit, moments, depth, weight_var, bias_var, fn, sampled=True):
    """What a function of a layer's averages over its n units is expected to be, layer by layer.

    Args:
      unit: one of ``UNITS``.
      moments: second moments of a unit in layer 1, a square matrix.
      depth: number of layers.
      weight_var: σ_w².
      bias_var: σ_b².
      fn: of the upper triangle of such a matrix, row by row.
      sampled: whether it is taken of averages over units, or of what they are expected to be given
        the layer below.

    Returns:
      The limit; n times the distance of the mean from it; n times the variance over networks.
    """
    states = _layers(unit, jnp.asarray(moments, float), depth, weight_var, bias_var)
    rows, columns = np.triu_indices(len(moments))

    def one(s, covariance, shift):
        full = jnp.zeros((len(moments),) * 2).at[rows, columns].set(s).at[columns, rows].set(s)
        # An average over n units of Gaussian products strays by this from its mean (Isserlis).
        sampling = full[rows][:, rows] * full[columns][:, columns]
        sampling += full[rows][:, columns] * full[columns][:, rows]
        total = covariance + sampled * sampling
        slope, curvature = jax.grad(fn)(s), jax.hessian(fn)(s)
        return fn(s), slope @ shift + jnp.sum(curvature * total) / 2, slope @ total @ slope

    return tuple(np.asarray(x) for x in jax.jit(jax.vmap(one))(*states))
