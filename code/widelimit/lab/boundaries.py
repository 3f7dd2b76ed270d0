"""Where a network's output passes through 0, and how that surface bends in each layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from widelimit.lab.networks import FullyConnected


def crossing(
    fn: Callable[[Float[Array, ""]], Float[Array, ""]], t: Float[ArrayLike, " points"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """A zero of a function of one number, by halving the first interval that holds one.

    Args:
      fn: continuous; under ``jax.jit`` it is called on one number at a time.
      t: increasing, where the sign of ``fn`` is read first.

    Returns:
      The zero, to float32's resolution, and whether there was one: 1 or 0. Without one the first
      number is of no use.
    """
    t = jnp.asarray(t, jnp.float32)
    positive = jax.lax.map(fn, t) > 0
    changes = positive[1:] != positive[:-1]
    first = jnp.argmax(changes)

    def halve(_, bracket):
        low, high = bracket
        middle = (low + high) / 2
        same = (fn(middle) > 0) == positive[first]
        return jnp.where(same, middle, low), jnp.where(same, high, middle)

    low, high = jax.lax.fori_loop(0, 30, halve, (t[first], t[first + 1]))
    return (low + high) / 2, changes.any().astype(jnp.float32)


def derivatives(
    network: FullyConnected, x: Float[ArrayLike, " d"]
) -> tuple[Float[Array, "layers width"], Float[Array, "layers width width"]]:
    r"""First and second derivatives of the output in the pre-activations of each hidden layer.

    The chain rule, written out from the output down, since no automatic second derivative uses that
    a layer bends each unit on its own:

    .. math:: g = \varphi'(h) \odot u, \qquad
        H = D\, W^\top H' W\, D + \operatorname{diag}(\varphi''(h) \odot u),
        \qquad u = W^\top g', \quad D = \operatorname{diag} \varphi'(h)

    where the primes on g and H mark the layer above.

    Args:
      network: one output, hidden layers of one width, a smooth activation.
      x: one input, shape ``[d]``.

    Returns:
      Gradients and matrices of second derivatives, for l = 1, …, L.

    Raises:
      ValueError: several outputs, hidden layers of different widths, φ with kinks.
    """
    widths = network.widths
    if widths[-1] != 1 or len(set(widths[1:-1])) != 1:
        raise ValueError(f"widths={widths}: give hidden layers of one width and one output")
    phi = network.activation
    if phi.kinks or phi.second_derivative is None:
        raise ValueError(f"{phi.name} has kinks, or no known φ″; a bent surface needs a smooth φ")
    h = jnp.concatenate(network.preactivations(jnp.asarray(x, jnp.float32)[None])[:-1])[:, 0]
    # Layer l's weights read from it, as in h′ = x W: rows are its units. The output's come last.
    n = widths[1]
    above = [one.matrices() for one in network.layers[1:-1]]
    above = jnp.concatenate([jnp.zeros((0, n, n), jnp.float32), *above])
    slope, bend = phi.derivative(h), phi.second_derivative(h)

    def through(u, matrix, slope, bend):
        return slope * u, slope[:, None] * matrix * slope[None, :] + jnp.diag(bend * u)

    readout = network.layers[-1].matrices()[0, :, 0]
    last = through(readout, jnp.zeros((n, n), jnp.float32), slope[-1], bend[-1])
    # Accelerators would multiply in fewer bits unless asked not to.
    times = partial(jnp.matmul, precision="highest")

    def layer(state, slices):
        gradient, hessian = state
        weights, slope, bend = slices
        bent = times(times(weights, hessian), weights.T)
        below = through(times(weights, gradient), bent, slope, bend)
        return below, below

    _, rest = jax.lax.scan(layer, last, (above, slope[:-1], bend[:-1]), reverse=True)
    return tuple(jnp.concatenate([a, b[None]]) for a, b in zip(rest, last, strict=True))


def second_form(
    gradient: Float[Array, "*shape width"], hessian: Float[Array, "*shape width width"]
) -> Float[Array, "*shape width width"]:
    """The second fundamental form of the level set, as a matrix on the whole space.

    Args:
      gradient: first derivatives of the function.
      hessian: second derivatives.

    Returns:
      PHP divided by the length of the gradient, with P the projection that takes the gradient out.
      Its eigenvalues are the principal curvatures, in the unit of 1/h, and one more 0; they change
      their sign with the function.
    """
    size = jnp.sqrt(jnp.sum(gradient**2, axis=-1, keepdims=True))
    normal = gradient / size

    def without_normal(matrix):
        along = jnp.sum(matrix * normal[..., None, :], axis=-1)
        return matrix - along[..., :, None] * normal[..., None, :]

    def transpose(matrix):
        return jnp.swapaxes(matrix, -1, -2)

    projected = transpose(without_normal(transpose(without_normal(hessian))))
    return projected / size[..., None]
