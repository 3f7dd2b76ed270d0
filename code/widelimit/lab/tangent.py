r"""The tangent kernel of a network of finite width, by three routes.

.. math:: \hat\Theta_{ab}(x, x') = \sum_\theta \eta_\theta\,
    \frac{\partial f_a(x)}{\partial\theta}\, \frac{\partial f_b(x')}{\partial\theta}

It says how a small step of gradient descent on example x′ moves output a at x, parameters having
relative learning rates η_θ, 1 unless given. Everything is float32. Run a network under ``jax.jit``,
or call :func:`empirical_ntk`, which does.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, ArrayLike, Float, PyTree

from widelimit.lab.networks import FullyConnected

#: Jacobians of at most so many numbers are held in memory.
JACOBIAN_NUMBERS = 2**28


def empirical_ntk(
    network: nnx.Module,
    x1: Float[ArrayLike, "n ..."],
    x2: Float[ArrayLike, "m ..."] | None = None,
    rates: PyTree | None = None,
) -> Float[Array, "n m outputs outputs"]:
    """The tangent kernel, by the cheapest route that the network allows.

    Fully connected networks go by layers, others by Jacobians where these fit into memory, and else
    by products with vectors.

    Args:
      network: any module that maps x to outputs ``[batch, outputs]``, without dropout.
      x1: inputs.
      x2: others; by default the same.
      rates: relative learning rates, a tree of the form of ``nnx.state(network, nnx.Param)``; see
        :func:`widelimit.lab.networks.of_parameters`.

    Returns:
      Θ̂, indexed by both inputs, then both outputs.

    Source: Jacot et al. 2018.
    """
    x2 = x1 if x2 is None else x2
    graph, params, rest = nnx.split(network, nnx.Param, ...)
    if isinstance(network, FullyConnected):
        route = by_layers
    else:
        outputs = jax.eval_shape(lambda x: network(x), x1).shape[-1]
        size = sum(leaf.size for leaf in jax.tree.leaves(params))
        fits = (len(x1) + len(x2)) * outputs * size <= JACOBIAN_NUMBERS
        route = by_jacobians if fits else by_products
    return _compiled(route, graph, params, rest, x1, x2, rates)


@partial(jax.jit, static_argnums=(0, 1))
def _compiled(route, graph, params, rest, x1, x2, rates):
    return route(nnx.merge(graph, params, rest), x1, x2, rates)


def by_layers(
    network: FullyConnected,
    x1: Float[ArrayLike, "n d"],
    x2: Float[ArrayLike, "m d"],
    rates: PyTree | None = None,
) -> Float[Array, "n m outputs outputs"]:
    r"""The tangent kernel of a fully connected network, without any Jacobian.

    .. math:: \hat\Theta = \sum_l \langle\delta^l, \delta'^l\rangle
        \bigl(m_l^2\, \langle x^{l-1}, x'^{l-1}\rangle + m_l'^2\bigr)

    with the derivatives δ^l of an output in h^l, and the multipliers m_l of weights and m_l' of
    biases: the gradient in a weight matrix is the outer product of δ^l and x^{l−1}.

    Args:
      network: the network.
      x1: inputs.
      x2: others.
      rates: as for :func:`empirical_ntk`.

    Returns:
      As :func:`empirical_ntk`.
    """
    found = _passed(network, x1)
    others = found if x2 is x1 else _passed(network, x2)
    outputs = network.widths[-1]
    theta = jnp.zeros((len(x1), len(x2), outputs, outputs), jnp.float32)
    eta = _by_place(rates)
    for index, (layers, one, two) in enumerate(zip(network.layers, found, others, strict=True)):
        of_weights = layers.kernel_multiplier[...] ** 2 * eta(index, "kernel")
        of_biases = layers.bias_multiplier[...] ** 2 * eta(index, "bias")

        def add(theta, pair, of_weights=of_weights, of_biases=of_biases):
            (x, delta), (y, epsilon) = pair
            below = of_weights * jnp.matmul(x, y.T, precision="highest") + of_biases
            above = jnp.einsum("nau,mbu->nmab", delta, epsilon, precision="highest")
            return theta + below[:, :, None, None] * above, None

        theta, _ = jax.lax.scan(add, theta, (one, two))
    return theta


def _by_place(rates):
    """Learning rates by stack of layers and kind of parameter."""
    if rates is None:
        return lambda index, name: 1.0
    leaves, _ = jax.tree_util.tree_flatten_with_path(rates)
    by_place = {(path[1].key, path[2].key): leaf for path, leaf in leaves}
    return lambda index, name: by_place[index, name]


def _passed(network, x):
    """For each stack of layers x^{l−1}, ``[layers, batch, width]``, and δ^l of all outputs."""
    x = jnp.asarray(x, jnp.float32)
    shapes = jax.eval_shape(lambda: network.preactivations(x))
    zeros = [jnp.zeros(one.shape, jnp.float32) for one in shapes]

    def run(shifts):
        stacked = network.preactivations(x, None, shifts)
        return stacked[-1][-1], stacked

    outputs, pull, stacked = jax.vjp(run, zeros, has_aux=True)
    # Examples do not mix: one pull for each output serves all of them.
    each = jnp.eye(outputs.shape[1], dtype=jnp.float32)
    pulled = jax.vmap(lambda one: pull(jnp.broadcast_to(one, outputs.shape))[0])(each)
    found, before = [], x
    for h, delta in zip(stacked, pulled, strict=True):
        after = network.activation(h)
        entering = jnp.concatenate([before[None], after[:-1]]) if len(h) > 1 else before[None]
        found.append((entering, jnp.moveaxis(delta, 0, 2)))
        before = after[-1]
    return found


def _function(network):
    """The outputs as a function of the parameters, and the parameters."""
    graph, params, rest = nnx.split(network, nnx.Param, ...)
    return lambda params, x: nnx.merge(graph, params, rest)(x), params


def by_jacobians(
    network: nnx.Module,
    x1: Float[ArrayLike, "n ..."],
    x2: Float[ArrayLike, "m ..."],
    rates: PyTree | None = None,
) -> Float[Array, "n m outputs outputs"]:
    """The tangent kernel of any network, by two Jacobians and their product.

    Args:
      network: the network.
      x1: inputs.
      x2: others.
      rates: as for :func:`empirical_ntk`.

    Returns:
      As :func:`empirical_ntk`.
    """
    function, params = _function(network)
    jacobian = lambda x: jax.jacrev(lambda p: function(p, x))(params)  # noqa: E731
    one = jacobian(x1)
    two = one if x2 is x1 else jacobian(x2)

    def product(left, right, rate=1.0):
        left, right = (j.reshape(*j.shape[:2], -1) for j in (left, right))
        return rate * jnp.einsum("nap,mbp->nmab", left, right, precision="highest")

    trees = (one, two) if rates is None else (one, two, rates)
    return sum(jax.tree.leaves(jax.tree.map(product, *trees)))


def by_products(
    network: nnx.Module,
    x1: Float[ArrayLike, "n ..."],
    x2: Float[ArrayLike, "m ..."],
    rates: PyTree | None = None,
) -> Float[Array, "n m outputs outputs"]:
    """The tangent kernel of any network, column by column: no more memory than for one gradient.

    Args:
      network: the network.
      x1: inputs.
      x2: others.
      rates: as for :func:`empirical_ntk`.

    Returns:
      As :func:`empirical_ntk`.
    """
    times = vector_product(network, x1, x2, rates)
    outputs = jax.eval_shape(lambda x: network(x), x2).shape
    units = jnp.eye(outputs[0] * outputs[1], dtype=jnp.float32).reshape(-1, *outputs)
    columns = jax.lax.map(times, units)  # [m·outputs, n, outputs]
    return columns.reshape(*outputs, *columns.shape[1:]).transpose(2, 0, 3, 1)


def vector_product(
    network: nnx.Module,
    x1: Float[ArrayLike, "n ..."],
    x2: Float[ArrayLike, "m ..."],
    rates: PyTree | None = None,
):
    """Products of the tangent kernel with vectors, without the kernel.

    Args:
      network: the network.
      x1: inputs of the result.
      x2: inputs of the vector.
      rates: as for :func:`empirical_ntk`.

    Returns:
      A function from v, ``[m, outputs]``, to Θ̂v, ``[n, outputs]``: one pass back at x2, and one
      forward at x1.
    """
    function, params = _function(network)

    def times(vector: Float[Array, "m outputs"]) -> Float[Array, "n outputs"]:
        _, pull = jax.vjp(lambda p: function(p, x2), params)
        (direction,) = pull(vector)
        if rates is not None:
            direction = jax.tree.map(jnp.multiply, direction, rates)
        return jax.jvp(lambda p: function(p, x1), (params,), (direction,))[1]

    return times
