r"""What very many layers leave of the angle between two inputs, and what regression makes of it.

Inputs of one norm are considered, in fully connected networks with a smooth φ. Layer by layer the
kernel is :math:`K^l = q_l\, c_l`, with the correlation (Mehler)

.. math:: c_{l+1} = \frac{\sigma_b^2 + \sigma_w^2 \sum_k a_k(q_l)^2\, c_l^k}{q_{l+1}}, \qquad
    q_{l+1} = \sigma_b^2 + \sigma_w^2 \sum_k a_k(q_l)^2 .

Both are computed for many networks at once, in every layer. That is faster than one
:mod:`widelimit.theory.kernels` after another, and less general.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from widelimit.activations import Activation
from widelimit.theory import mehler
from widelimit.theory.arguments import checked, checked_depth
from widelimit.theory.signal import lengths


class Layers(NamedTuple):
    """Kernels of every layer, of several networks, as functions of the cosine of the inputs.

    Attributes:
      var: q, by layer and network, ``[depth + 1, networks]``, layer 1 first.
      correlation: c, ``[depth + 1, networks, cosines]``.
    """

    var: Float[Array, "layers networks"]
    correlation: Float[Array, "layers networks cosines"]


def through_layers(
    activation: Activation,
    cosine: Float[ArrayLike, " cosines"],
    depth: int,
    weight_var: Float[ArrayLike, " networks"],
    bias_var: Float[ArrayLike, " networks"],
    error: float = 1e-12,
) -> Layers:
    """Follow pairs of inputs with mean square 1 through many networks at once.

    Args:
      activation: φ, smooth.
      cosine: of the angle between the two inputs of each pair.
      depth: L, how often φ is applied.
      weight_var: σ_w² > 0, of each network.
      bias_var: σ_b² ≥ 0, of each network.
      error: allowed in the dual of φ, relative to its largest value, in each layer; at least
        1e-13.

    Returns:
      Variances and correlations of layers 1 to L + 1. A correlation of 1 stays 1.

    Raises:
      ValueError: φ whose series converges too slowly; arguments out of range; networks whose
        signals vanish or overflow.

    Source: Daniely et al. 2016 for the series; Lee et al. 2018 for the recursion. Chapter 6,
      equation (6.4).
    """
    depth = checked_depth(depth)
    weight_var, bias_var = checked(weight_var=weight_var, bias_var=bias_var)
    cosine = jnp.asarray(cosine, weight_var.dtype)
    if not bool(jnp.all(jnp.abs(cosine) <= 1)):
        raise ValueError("cosine holds numbers outside [−1, 1]")
    first = weight_var + bias_var
    var = jnp.moveaxis(lengths(activation, first, depth + 1, weight_var, bias_var), -1, 0)
    smallest, largest = float(jnp.min(var)), float(jnp.max(var))
    if not (smallest > mehler.SMALLEST and largest < math.inf):
        raise ValueError(
            f"signals of size {smallest:.3g} to {largest:.3g} within {depth} layers; take fewer "
            "layers, or variances that keep them"
        )
    series = mehler.series(activation, smallest, largest, error)
    if series is None:
        raise ValueError(
            f"the series of {activation.name} at variances up to {largest:.3g} converges too "
            "slowly; use widelimit.theory.kernels"
        )
    return Layers(var, _correlations(series, cosine, var, weight_var, bias_var))


@jax.jit
def _correlations(series, cosine, var, weight_var, bias_var):
    # Powers of each correlation follow one another in steps of 1 or 2.
    orders = series.orders
    consecutive = orders[2] == orders[1] + 1

    def layer(correlation, q):
        a = mehler.coefficients(series, q)
        squares = a[1:] ** 2 * q[None]
        step = jnp.where(consecutive, correlation, correlation**2)
        start = jnp.where(orders[1] == 2, correlation**2, correlation)
        dual = start * jax.vmap(jnp.polyval)(squares[::-1].T, step)
        constant = bias_var + weight_var * a[0] ** 2
        total = constant + weight_var * jnp.sum(squares, axis=0)
        after = (constant[:, None] + weight_var[:, None] * dual) / total[:, None]
        return after, after

    first = (weight_var[:, None] * cosine[None] + bias_var[:, None]) / var[0][:, None]
    _, rest = jax.lax.scan(layer, first, var[:-1])
    return jnp.concatenate([first[None], rest])


def smoother(
    correlation_train: Float[Array, "P P"],
    correlation_cross: Float[Array, "P m"],
    limit: float,
    y: Float[Array, "P outputs"],
) -> Float[Array, "m outputs"]:
    r"""The posterior mean of a very deep network in chaos: a kernel smoother.

    .. math:: \bar f(x) \approx \frac1{1 - c^*} \sum_i \bigl(c_l(x, x_i) - c^*\bigr)\, y_i
        - \frac{c^*}{(1 - c^*)(1 - c^* + P c^*)} \sum_{i \ne j}
        \bigl(c_l(x_i, x_j) - c^*\bigr)\, y_j

    Args:
      correlation_train: c among the training inputs.
      correlation_cross: c between them and the test inputs.
      limit: c* < 1.
      y: targets, whose columns add up to 0.

    Returns:
      The mean at the test inputs, to first order in c − c*.

    Source: chapter 6, equation (6.8).
    """
    count = len(y)
    away = correlation_train - limit
    # The diagonal is 1 in every layer.
    rows = away @ y - jnp.diagonal(away)[:, None] * y
    shared = limit / (1 - limit + count * limit) * jnp.sum(rows, axis=0)
    return ((correlation_cross - limit).T @ y - shared[None]) / (1 - limit)
