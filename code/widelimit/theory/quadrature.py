r"""One quadrature rule for the standard normal weight, good at every scale at once.

Gauss–Hermite needs √q·h small, h the spacing of its nodes: tanh at variance q = 100 still errs by
1e-4 with 1000 nodes. Here the line is cut at *breaks* (kinks, and 0, where smooth activations
change fastest), each piece runs from one break half-way to the next, and on it

.. math:: z = b \pm \sinh(t)/a, \qquad t \in [0, \operatorname{arsinh}(a\ell)]

with a fixed Gauss–Legendre rule in t. Near the break the nodes are as close as 1/a, far from it
they grow geometrically, and a function of z whose nearest singularity lies at distance ~1/a from
the break is, as a function of t, analytic in a strip whose width does not depend on a. So the
number of nodes grows only with log a. Kinks are not integrated over but cut at, exactly.
"""

from functools import partial
from math import pi, sqrt

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from widelimit.activations import Activation
from widelimit.closed_forms import Entry

#: Where the line is cut off: the normal density is 1e-43 there, so even x^12 or e^(3x) is complete.
REACH = 14.0
#: Nodes a piece, the smallest power of two with errors below 1e-13 for a up to 1e4 (variance 1e8)
#: in one dimension. In two the inner rule must also see the normal weight (width 1) from a break
#: ten standard deviations away: 96 nodes err by 1e-10 there, 128 by 5e-14.
ORDER = 128


def split_normal_rule(
    breaks: Float[Array, "*batch breaks"], scale: Float[Array, "*batch"], order: int = ORDER
) -> tuple[Float[Array, "*batch breaks 2 order"], Float[Array, "*batch breaks 2 order"]]:
    r"""Offsets δ and weights w with E[f(z)] ≈ Σ w·f(b + δ), z ~ N(0, 1), split at the breaks b.

    Offsets are given, not nodes, because f often needs its argument *relative to the kink*: √q·b +
    √q·δ can round to the wrong side of it, k + √q·δ cannot.

    Args:
      breaks: increasing, within ±REACH; equal breaks make empty pieces of weight 0.
      scale: a > 0, the reciprocal of the shortest length to resolve next to a break.
      order: Gauss–Legendre nodes a piece.

    Returns:
      Offsets and weights; the axes after ``breaks`` are the two sides and the nodes.
    """
    nodes, weights = np.polynomial.legendre.leggauss(order)
    unit_nodes = jnp.asarray((nodes + 1) / 2, breaks.dtype)
    unit_weights = jnp.asarray(weights / 2, breaks.dtype)
    side = jnp.asarray([[-1.0], [1.0]], breaks.dtype)

    edge = jnp.full_like(breaks[..., :1], REACH)
    middle = (breaks[..., 1:] + breaks[..., :-1]) / 2
    left = breaks - jnp.concatenate([-edge, middle], axis=-1)
    right = jnp.concatenate([middle, edge], axis=-1) - breaks

    a = scale[..., None, None, None]
    length = jnp.arcsinh(a * jnp.stack([left, right], axis=-1)[..., None])
    t = length * unit_nodes.reshape((1,) * (length.ndim - 1) + (order,))
    offsets = side.reshape((1,) * (length.ndim - 2) + (2, 1)) * jnp.sinh(t) / a
    density = jnp.exp(-((breaks[..., None, None] + offsets) ** 2) / 2) / sqrt(2 * pi)
    jacobian = length * jnp.cosh(t) / a
    return offsets, unit_weights.reshape((1,) * (length.ndim - 1) + (order,)) * jacobian * density


def places_of(kinks: tuple[float, ...]) -> tuple[float, ...]:
    """Where to cut: at the kinks, and at 0, about which smooth activations vary fastest.

    Args:
      kinks: where the integrand or its slope jumps.

    Returns:
      The places, increasing.
    """
    return tuple(sorted({0.0, *map(float, kinks)}))


def nodes(
    places: Float[Array, "*batch places"],
    mean: Float[Array, "*batch"],
    deviation: Float[Array, "*batch"],
    scale: Float[Array, "*batch"],
    order: int = ORDER,
) -> tuple[Float[Array, "*batch places 2 order"], ...]:
    """Nodes x = mean + deviation·z cut at increasing places; their z; the weights of E[f(x)].

    Args:
      places: where to cut, increasing along the last axis.
      mean: mean of x.
      deviation: its standard deviation, ≥ 0; at 0 every node is the mean.
      scale: as in :func:`split_normal_rule`.
      order: Gauss–Legendre nodes a piece.

    Returns:
      x, z and the weights, each with the axes places, sides, nodes behind those of ``mean``.
    """
    mean, deviation = mean[..., None], deviation[..., None]
    spread = deviation > 0  # else x is the constant mean, and there is nothing to cut
    breaks = jnp.where(spread, (places - mean) / jnp.where(spread, deviation, 1), 0)
    inside = spread & (jnp.abs(breaks) <= REACH)
    breaks = jnp.clip(breaks, -REACH, REACH)
    offsets, weights = split_normal_rule(breaks, scale, order)
    base = jnp.where(inside, places, mean + deviation * breaks)
    x = base[..., None, None] + deviation[..., None, None] * offsets
    return x, breaks[..., None, None] + offsets, weights


@partial(jax.jit, static_argnames=("kinks", "order"))
def nodes_of_variance(
    kinks: tuple[float, ...], variance: Entry, order: int = ORDER
) -> tuple[Float[Array, "*shape places 2 order"], ...]:
    """The same for u ~ N(0, q).

    Args:
      kinks: where to cut, besides 0.
      variance: q ≥ 0.
      order: Gauss–Legendre nodes a piece.

    Returns:
      As :func:`nodes`.
    """
    places = jnp.asarray(places_of(kinks), variance.dtype)
    places = jnp.broadcast_to(places, (*variance.shape, *places.shape))
    deviation = jnp.sqrt(variance)
    return nodes(places, jnp.zeros_like(variance), deviation, jnp.maximum(deviation, 1), order)


def total(terms: Float[Array, "*batch places 2 order"]) -> Float[Array, "*batch"]:
    """Sum of the terms over places, sides and nodes.

    Args:
      terms: weights times the integrand at the nodes.

    Returns:
      The integral.
    """
    return jnp.sum(terms, axis=(-3, -2, -1))


def conditional(psi: Activation, mean: Entry, deviation: Entry) -> Entry:
    """E[ψ(v)], v ~ N(mean, deviation²); exactly ψ(mean) up to rounding at deviation 0.

    Args:
      psi: ψ.
      mean: mean of v.
      deviation: its standard deviation, ≥ 0, of the same shape.

    Returns:
      The same shape.
    """
    places = jnp.asarray(places_of(psi.kinks), mean.dtype)
    places = jnp.broadcast_to(places, (*mean.shape, *places.shape))
    # The scale may fall below 1: a nearly constant ψ leaves only the normal weight to resolve.
    fixed = jax.lax.stop_gradient((places, mean, deviation, jnp.maximum(deviation, 0.3)))
    v, z, weights = nodes(*fixed)
    # Gradients see v as mean + deviation·z with z fixed; the value stays the accurate one.
    moving = mean[..., None, None, None] + deviation[..., None, None, None] * z
    return total(weights * psi(v + (moving - jax.lax.stop_gradient(moving))))
