r"""Gradient descent on the square loss over all examples, traced, and how far it carries a network.

.. math:: \mathcal L = \tfrac12 \sum_{i=1}^P |f(x_i) - y_i|^2

The loss is summed, not averaged, as in the theory of infinitely wide networks: after s steps at
rate η training has lasted t = ηs. Where a paper averages over the P examples its rate is P times
ours. Everything is float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, ArrayLike, Float, PyTree


def descend(
    network: nnx.Module,
    x: Float[ArrayLike, "P ..."],
    y: Float[ArrayLike, "P outputs"],
    rate: float | Float[Array, ""],
    steps: int,
    watch: Callable[[nnx.Module], PyTree] | None = None,
) -> tuple[Any, PyTree]:
    """Train all ``nnx.Param`` of a network, in code that may be traced and batched.

    Many networks at once go through :func:`widelimit.lab.passes.measured`. Where a training takes
    longer than a moment, or examples come in batches, use :func:`widelimit.lab.training.train`.

    Args:
      network: from x to outputs; it is not changed.
      x: inputs.
      y: targets.
      rate: η of the summed loss; too large a one ends in infinite numbers or NaN.
      steps: s ≥ 0.
      watch: what to record before each step, from the network to an array or a tree of them. What
        there is after the last step is not seen: ask the trained network, or take one step more.

    Returns:
      The trained network, and what was recorded, steps along a new first axis: f − y, shape
      ``[steps, P, outputs]``, if there is nothing else to watch.

    Raises:
      ValueError: targets that are not one row for each input and one column for each output;
        steps that are no whole number ≥ 0; a rate that is not positive and finite.
    """
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 0:
        raise ValueError(f"steps={steps!r}; give a whole number of at least 0")
    if not isinstance(rate, jax.core.Tracer) and not (jnp.ndim(rate) == 0 and 0 < rate < math.inf):
        raise ValueError(f"rate={rate}; a learning rate is one number, positive and finite")
    graph, params, rest = nnx.split(network, nnx.Param, ...)
    x, y, rate = (jnp.asarray(one, jnp.float32) for one in (x, y, rate))
    error = lambda params: nnx.merge(graph, params, rest)(x) - y  # noqa: E731
    outputs = jax.eval_shape(lambda params: nnx.merge(graph, params, rest)(x), params).shape
    if y.shape != outputs:
        raise ValueError(f"y has shape {y.shape}; these inputs and outputs need {outputs}")

    def step(params, _):
        lacking, pull = jax.vjp(error, params)
        (gradient,) = pull(lacking)
        # Before anything is watched: a network shares its parameters, and may be written to.
        after = jax.tree.map(lambda p, g: p - rate * g, params, gradient)
        return after, lacking if watch is None else watch(nnx.merge(graph, params, rest))

    params, seen = jax.lax.scan(step, params, None, length=steps)
    return nnx.merge(graph, params, rest), seen


def relative_change(before: PyTree, after: PyTree) -> PyTree:
    """How far arrays have moved, in units of their size at the start.

    Args:
      before: a tree of arrays, such as ``nnx.state(network, nnx.Param)`` or a kernel.
      after: the same, later.

    Returns:
      For each array the Frobenius norm of the difference over that of the array before; infinite,
      or NaN, where this is 0.
    """
    change = lambda one, two: jnp.linalg.norm(two - one) / jnp.linalg.norm(one)  # noqa: E731
    return jax.tree.map(lambda one, two: change(one.ravel(), two.ravel()), before, after)


def operator_norm(matrix: Float[Array, "n m"], rounds: int = 40) -> Float[Array, ""]:
    """The largest singular value, by power iteration.

    Args:
      matrix: one whose largest singular values stand apart, as those of what training adds to a
        weight matrix do: with a second one of 0.9 times the first, 40 rounds leave an error of
        0.01 per cent.
      rounds: of the iteration.

    Returns:
      The norm, from below.
    """

    def turn(_, v):
        v = jnp.matmul(matrix.T, jnp.matmul(matrix, v, precision="highest"), precision="highest")
        return v / (jnp.linalg.norm(v) + jnp.finfo(v.dtype).tiny)

    matrix = jnp.asarray(matrix, jnp.result_type(matrix, jnp.float32))
    # Squares of very large or very small numbers would leave the range.
    size = jnp.max(jnp.abs(matrix))
    matrix = matrix / jnp.where(size > 0, size, 1)
    # A start that no singular vector is orthogonal to, but for chance.
    start = jnp.sin(1.0 + jnp.arange(matrix.shape[1], dtype=matrix.dtype))
    v = jax.lax.fori_loop(0, rounds, turn, start)
    return size * jnp.linalg.norm(jnp.matmul(matrix, v, precision="highest"))
