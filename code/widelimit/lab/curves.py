"""A curve on its way through a network: its speed, its curvature, its lengths, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float


class Moving(NamedTuple):
    """A curve and its derivatives along its parameter t.

    Args:
      position: what the function returns at t.
      velocity: the first derivative.
      acceleration: the second.
    """

    position: Any
    velocity: Any
    acceleration: Any


def moving(curve: Callable[[Float[Array, " points"]], Any], t: Float[ArrayLike, " points"]):
    """Exact first and second derivatives along a curve, by forward differentiation twice.

    Args:
      curve: from parameters to an array or a tree of arrays, the rows of the inputs not mixing.
      t: parameters, shape ``[points]``.

    Returns:
      A :class:`Moving` of what ``curve`` returns.
    """
    t = jnp.asarray(t, jnp.float32)
    ones = jnp.ones_like(t)

    def first(t):
        return jax.jvp(curve, (t,), (ones,))

    (position, velocity), (_, acceleration) = jax.jvp(first, (t,), (ones,))
    return Moving(position, velocity, acceleration)


def speed(velocity: Float[Array, "*shape width"]) -> Float[Array, "*shape"]:
    """The Euclidean speed, per root of the width.

    Args:
      velocity: first derivatives of all units.

    Returns:
      The length of v, divided by √n.
    """
    return jnp.sqrt(jnp.mean(velocity**2, axis=-1))


def curvature(
    velocity: Float[Array, "*shape width"], acceleration: Float[Array, "*shape width"]
) -> Float[Array, "*shape"]:
    r"""The extrinsic curvature, times the root of the width.

    .. math:: \kappa = \sqrt n\,
        \sqrt{\frac{|a|^2}{|v|^4} - \frac{(v\cdot a)^2}{|v|^6}}

    Args:
      velocity: first derivatives of all units.
      acceleration: second derivatives.

    Returns:
      κ, in the unit of 1/h; it does not depend on the parameter of the curve. NaN where it rests.
    """
    vv, aa, va = (
        jnp.mean(x, axis=-1) for x in (velocity**2, acceleration**2, velocity * acceleration)
    )
    # Divided early: deep in chaos the third power of a squared speed is beyond float32.
    return jnp.sqrt(jnp.maximum(aa / vv - (va / vv) ** 2, 0) / vv)
