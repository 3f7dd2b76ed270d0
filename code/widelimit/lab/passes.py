"""What passes through a network, forward and back, and the same on many networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Key

from widelimit.lab.networks import FullyConnected


def backpropagated(
    network: FullyConnected,
    x: Float[ArrayLike, "batch d"],
    loss: Callable[[Float[Array, "batch outputs"]], Float[Array, ""]],
    key: Key[Array, ""] | None = None,
) -> list[Float[Array, "_layers batch _width"]]:
    r"""The back-propagated gradients :math:`\delta^l = \partial\mathcal L/\partial h^l`.

    Args:
      network: the network.
      x: inputs, shape ``[batch, d]``.
      loss: from the outputs of the batch to a number. Where it is a sum over examples each row of
        the result is the gradient of one example.
      key: for dropout, another than the one that made the network; None leaves dropout out.

    Returns:
      δ^1, …, δ^{L+1}, stacked as the pre-activations are.
    """
    shapes = jax.eval_shape(lambda: network.preactivations(x))
    zeros = [jnp.zeros(one.shape, jnp.float32) for one in shapes]
    return jax.grad(lambda shifts: loss(network.preactivations(x, key, shifts)[-1][-1]))(zeros)


def by_layer(
    measure: Callable[[Float[Array, "batch width"]], Any],
    stacked: Sequence[Float[Array, "_layers batch _width"]],
) -> Any:
    """The same measurement on every layer.

    Args:
      measure: from one layer's values, shape ``[batch, width]``, to an array or a tree of
        arrays, of the same shapes for every layer.
      stacked: arrays of neighbouring layers, as :meth:`FullyConnected.preactivations` gives them.

    Returns:
      The results in the order of the layers, along a new first axis.
    """
    found = [jax.vmap(measure)(layers) for layers in stacked]
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), *found)


def mean_squares(
    stacked: Sequence[Float[Array, "_layers batch _width"]],
) -> Float[Array, " all_layers"]:
    """The mean square of every layer's values, over the batch and the units.

    Args:
      stacked: as for :func:`by_layer`.

    Returns:
      One number a layer.
    """
    return by_layer(lambda values: jnp.mean(values**2), stacked)


@partial(jax.jit, static_argnames=("make", "measure", "together"))
def measured(
    make: Callable[..., Any],
    measure: Callable[[Any], Any],
    *settings: Array,
    together: int = 1,
) -> Any:
    """Measure one quantity on many networks.

    Args:
      make: from a random key, and what else the settings hold, to a network, or to a network and
        its inputs. Compiled code is cached by the function itself: keep it.
      measure: from what ``make`` returns to an array, or a tree of arrays; likewise.
      settings: the arguments of ``make``, each with one row a network: random keys first.
      together: how many networks are held at once; many are faster where they are small.

    Returns:
      What ``measure`` returns, stacked along a new first axis.

    Raises:
      ValueError: settings whose numbers of rows differ, or none; together below 1.
    """
    rows = [len(setting) for setting in settings]
    if len(set(rows)) != 1:
        raise ValueError(f"settings have {rows} rows; give each one row a network, keys first")
    if together < 1:
        raise ValueError(f"together={together}; at least 1 network is held at once")
    return jax.lax.map(lambda one: measure(make(*one)), settings, batch_size=together)
