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
      depth: L ≥ 1, how often φ is applied.
      weight_var: σ_w² > 0, of each network.
      bias_var: σ_b² ≥ 0, of each network.
      error: allowed in the dual of φ, relative to its largest value, in each layer; from 1e-13
        to 0.1.

    Returns:
      Variances and correlations of layers 1 to L + 1. A correlation of 1 stays 1. Near it, chaos
      multiplies the error of a layer by χ₁ in each later one.

    Raises:
      ValueError: φ whose series converges too slowly, as it does with kinks; arguments out of
        range or of other shapes; networks whose signals vanish or overflow. Values must be known,
        so this is not for use under jit.

    Source: Daniely et al. 2016 for the series; Lee et al. 2018 for the recursion. Chapter 6,
      equation (6.4).
    """
    depth = checked_depth(depth)
    if not 1e-13 <= error <= 0.1:
        raise ValueError(f"error={error}; ask for one between 1e-13 and 0.1")
    dtype = jnp.result_type(float)
    weight_var, bias_var = checked(
        weight_var=jnp.asarray(weight_var, dtype), bias_var=jnp.asarray(bias_var, dtype)
    )
    cosine = jnp.asarray(cosine, dtype)
    shapes = cosine.shape, weight_var.shape, bias_var.shape
    if [len(shape) for shape in shapes] != [1, 1, 1] or shapes[1] != shapes[2] or 0 in shapes[1]:
        raise ValueError(
            f"cosine, weight_var and bias_var have shapes {shapes}; give vectors, and one "
            "weight_var and bias_var for each network"
        )
    if not bool(jnp.all(jnp.abs(cosine) <= 1)):
        raise ValueError("cosine holds numbers outside [−1, 1]")
    if not bool(jnp.all(weight_var > 0)):
        raise ValueError("weight_var holds 0; without weights outputs do not depend on inputs")
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

    def kept(correlation, after):
        # In chaos rounding of equal inputs would grow from layer to layer.
        return jnp.where(correlation == 1, 1, jnp.clip(after, -1, 1))

    def layer(correlation, q):
        a = mehler.coefficients(series, q)
        squares = a[1:] ** 2 * q[None]
        step = jnp.where(consecutive, correlation, correlation**2)
        start = jnp.where(orders[1] == 2, correlation**2, correlation)
        dual = start * jax.vmap(jnp.polyval)(squares[::-1].T, step)
        constant = bias_var + weight_var * a[0] ** 2
        total = constant + weight_var * jnp.sum(squares, axis=0)
        after = (constant[:, None] + weight_var[:, None] * dual) / total[:, None]
        after = kept(correlation, after)
        return after, after

    first = (weight_var[:, None] * cosine[None] + bias_var[:, None]) / var[0][:, None]
    first = kept(cosine[None], first)
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

    Raises:
      ValueError: c* outside [0, 1); targets that do not add up to 0, or of another shape.

    Source: chapter 6, equation (6.9).
    """
    count = len(y)
    if not 0 <= limit < 1:
        raise ValueError(f"limit={limit}; in chaos correlations tend to one in [0, 1)")
    if y.ndim != 2 or correlation_train.shape != (count, count) or len(correlation_cross) != count:
        raise ValueError(
            f"y has shape {y.shape} for correlations of shapes {correlation_train.shape} and "
            f"{correlation_cross.shape}; they are [P, outputs], [P, P] and [P, m]"
        )
    if float(jnp.max(jnp.abs(jnp.sum(y, axis=0)))) > 1e-5 * float(jnp.sum(jnp.abs(y))):
        raise ValueError("the targets of an output do not add up to 0; subtract their mean")
    away = correlation_train - limit
    # The diagonal is 1 in every layer.
    rows = away @ y - jnp.diagonal(away)[:, None] * y
    shared = limit / (1 - limit + count * limit) * jnp.sum(rows, axis=0)
    return ((correlation_cross - limit).T @ y - shared[None]) / (1 - limit)
