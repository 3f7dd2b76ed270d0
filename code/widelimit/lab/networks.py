r"""Deep fully connected networks of finite width, in any parametrization that is given as data.

.. math:: h^{l} = W^{l} x^{l-1} + b^{l}, \quad x^l = \varphi(h^l), \quad x^0 = x, \quad f = h^{L+1}

Everything is float32. Run a network under ``jax.jit``: outside, each call compiles it again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, groupby
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, ArrayLike, Float, Key, PyTree

from widelimit.activations import Activation
from widelimit.parametrizations import STANDARD, Parametrization, Scaling


def _uniform(key, shape, dtype):
    return jax.random.uniform(key, shape, dtype, -(3**0.5), 3**0.5)


# Matrices one by one, never a batch: on CPUs jaxlib 0.10 cuts a batch into tasks for its threads
# and waits, so that as many batches at once as there are threads wait for one another for ever.
@jax.custom_batching.sequential_vmap
def _orthogonal(normals):
    """Orthogonal rows or columns from independent normal numbers, uniformly distributed."""
    wide = normals.shape[0] < normals.shape[1]
    q, r = jnp.linalg.qr(normals.T if wide else normals)
    # QR's own signs are arbitrary; those of a positive diagonal make the law uniform.
    q = q * jnp.sign(jnp.diagonal(r))[None]
    return max(normals.shape) ** 0.5 * (q.T if wide else q)


#: Laws of a weight matrix, by name: a generator of numbers with mean 0 and variance 1, and what is
#: made of a stack of matrices of such numbers. ``orthogonal`` matrices are uniform among those with
#: orthogonal rows or columns of equal length, their entries having mean 0 and variance 1.
LAWS: dict[str, tuple[Callable, Callable]] = {
    "gaussian": (jax.random.normal, lambda normals: normals),
    "uniform": (_uniform, lambda uniforms: uniforms),
    "orthogonal": (jax.random.normal, lambda normals: jax.lax.map(_orthogonal, normals)),
}


def _drawn(generator, key, shapes):
    """Independent numbers of several shapes, from one call: each compiles a generator."""
    sizes = [math.prod(shape) for shape in shapes]
    numbers = jnp.split(generator(key, (sum(sizes),), jnp.float32), list(accumulate(sizes))[:-1])
    return [part.reshape(shape) for part, shape in zip(numbers, shapes, strict=True)]


class Fixed(nnx.Variable):
    """A number of a network that is not trained, such as a multiplier."""


class Layers(nnx.Module):
    """Consecutive layers of one shape and role, stacked: they compile as one, however many.

    Args:
      kernels: weights before they are scaled, of mean 0 and variance 1.
      biases: the same for the biases.
      weight_scaling: how the weights scale.
      bias_scaling: how the biases scale.
      weight_var: σ_w².
      bias_var: σ_b².
      gain_in_multiplier: as in the parametrization.
    """

    def __init__(
        self,
        kernels: Float[Array, "count fan_in fan_out"],
        biases: Float[Array, "count fan_out"],
        *,
        weight_scaling: Scaling,
        bias_scaling: Scaling,
        weight_var: float | Float[Array, ""],
        bias_var: float | Float[Array, ""],
        gain_in_multiplier: bool,
    ) -> None:
        fans = kernels.shape[1:]

        def scaled(unit, scaling, var):
            std = jnp.float32(scaling.init_var(*fans) ** 0.5)
            multiplier = jnp.float32(scaling.multiplier(*fans))
            gain = jnp.sqrt(jnp.asarray(var, jnp.float32))
            if gain_in_multiplier:
                return nnx.Param(std * unit), Fixed(gain * multiplier)
            return nnx.Param(gain * std * unit), Fixed(multiplier)

        self.kernel, self.kernel_multiplier = scaled(kernels, weight_scaling, weight_var)
        self.bias, self.bias_multiplier = scaled(biases, bias_scaling, bias_var)
        self.kernel_rate = weight_scaling.learning_rate(*fans)
        self.bias_rate = bias_scaling.learning_rate(*fans)

    def matrices(self) -> Float[Array, "count fan_in fan_out"]:
        """The weights as they act: row vectors are multiplied from the right, h = x W + b."""
        return self.kernel_multiplier[...] * self.kernel[...]

    def offsets(self) -> Float[Array, "count fan_out"]:
        """The biases as they act."""
        return self.bias_multiplier[...] * self.bias[...]


class FullyConnected(nnx.Module):
    r"""A random fully connected network, weights and biases drawn when it is made.

    Args:
      key: a random key; all weights are parts of one draw, so no two layers share numbers.
      widths: d, n_1, …, n_L, outputs. Neighbouring hidden layers of equal shape are stacked, so
        that compiling takes no longer for 300 of them than for three.
      activation: φ.
      weight_var: σ_w² ≥ 0; in the standard parametrization a weight has variance σ_w²/fan_in. It
        may be traced.
      bias_var: σ_b² ≥ 0, the variance of a bias; may be traced.
      parametrization: how variances, multipliers and learning rates scale with the widths.
      law: distribution of the weights, one of :data:`LAWS`; biases are Gaussian.
      keep_prob: ρ in (0, 1]; with dropout each hidden unit is kept with this probability, and then
        divided by it.

    Raises:
      ValueError: fewer than three widths, a width that is no whole number or below 1, an unknown
        law, a concrete variance that is negative or not finite, or keep_prob outside (0, 1].

    Example:
      >>> from widelimit import activations
      >>> relu = activations.get("relu")
      >>> network = FullyConnected(jax.random.key(0), (64, 100, 100, 10), relu, weight_var=2.0)
      >>> network(jnp.ones((5, 64))).shape
      (5, 10)
    """

    def __init__(
        self,
        key: Key[Array, ""],
        widths: Sequence[int],
        activation: Activation,
        *,
        weight_var: float | Float[Array, ""],
        bias_var: float | Float[Array, ""] = 0.0,
        parametrization: Parametrization = STANDARD,
        law: str = "gaussian",
        keep_prob: float = 1.0,
    ) -> None:
        self.widths = tuple(int(width) for width in widths)
        self.activation = activation
        self.keep_prob = float(keep_prob)
        if len(self.widths) < 3 or min(self.widths) < 1 or self.widths != tuple(widths):
            raise ValueError(
                f"widths={tuple(widths)}: give the input's dimension, at least one hidden width, "
                "and the number of outputs, whole numbers of at least 1"
            )
        if law not in LAWS:
            raise ValueError(f"law={law!r} is unknown; use one of {', '.join(LAWS)}")
        if not 0 < keep_prob <= 1:
            raise ValueError(f"keep_prob={keep_prob}; a probability of keeping lies in (0, 1]")
        for name, value in (("weight_var", weight_var), ("bias_var", bias_var)):
            if jnp.ndim(value):
                raise ValueError(f"{name} has shape {jnp.shape(value)}; a network has one number")
            if not isinstance(value, jax.core.Tracer) and not (0 <= value < float("inf")):
                raise ValueError(f"{name}={value}; a variance is finite and at least 0")

        roles = ("input", *["hidden"] * (len(self.widths) - 3), "output")
        shapes = zip(self.widths[:-1], self.widths[1:], roles, strict=True)
        groups = [(shape, len(list(same))) for shape, same in groupby(shapes)]
        kernel_shapes = [(count, fan_in, fan_out) for (fan_in, fan_out, _), count in groups]
        bias_shapes = [(count, fan_out) for (_, fan_out, _), count in groups]

        key_kernels, key_biases = jax.random.split(key)
        generator, made = LAWS[law]
        if not isinstance(bias_var, jax.core.Tracer) and bias_var == 0:
            kernels = _drawn(generator, key_kernels, kernel_shapes)
            biases = [jnp.zeros(shape, jnp.float32) for shape in bias_shapes]
        elif generator is jax.random.normal:  # one call, as each compiles a generator
            both = _drawn(generator, key_kernels, kernel_shapes + bias_shapes)
            kernels, biases = both[: len(groups)], both[len(groups) :]
        else:
            kernels = _drawn(generator, key_kernels, kernel_shapes)
            biases = _drawn(jax.random.normal, key_biases, bias_shapes)
        kernels = [made(one) for one in kernels]
        roles = [role for (_, _, role), _ in groups]
        self.layers = nnx.data(
            [
                Layers(
                    *numbers,
                    weight_scaling=getattr(parametrization.weights, role),
                    bias_scaling=getattr(parametrization.biases, role),
                    weight_var=weight_var,
                    bias_var=bias_var,
                    gain_in_multiplier=parametrization.gain_in_multiplier,
                )
                for role, *numbers in zip(roles, kernels, biases, strict=True)
            ]
        )

    def __call__(
        self, x: Float[ArrayLike, "batch d"], key: Key[Array, ""] | None = None
    ) -> Float[Array, "batch outputs"]:
        """The outputs.

        Args:
          x: inputs, shape ``[batch, d]``.
          key: for dropout, whose masks are independent for all inputs, and another than the one
            that made the network; None leaves dropout out, as one does when a trained network is
            used.

        Returns:
          f, float32, shape ``[batch, outputs]``.
        """
        return self.preactivations(x, key)[-1][-1]

    def preactivations(
        self,
        x: Float[ArrayLike, "batch d"],
        key: Key[Array, ""] | None = None,
        shifts: Sequence[Float[Array, "_layers batch _width"]] | None = None,
    ) -> list[Float[Array, "_layers batch _width"]]:
        """Pre-activations of every layer.

        Args:
          x: inputs, shape ``[batch, d]``.
          key: as for the outputs.
          shifts: what is added to h^1, …, h^{L+1}, of the shapes that are returned; by default
            nothing. The derivative in them is what back-propagation carries.

        Returns:
          h^1, …, h^{L+1}, float32, stacked as the layers are: each array holds neighbouring layers
          of one shape, ``[layers, batch, width]``. The first is h^1 alone, even where d = n_1, and
          the last is the output alone.

        Raises:
          ValueError: inputs of another dimension than the network reads.
        """
        x = jnp.asarray(x, jnp.float32)
        if x.ndim != 2 or x.shape[1] != self.widths[0]:
            raise ValueError(f"x has shape {x.shape}; this network reads [batch, {self.widths[0]}]")
        if key is not None and self.keep_prob == 1:
            key = None

        def layer(x, slices):
            matrix, offset, shift, key = slices
            # Accelerators would multiply in fewer bits unless asked not to.
            h = jnp.matmul(x, matrix, precision="highest") + offset[None]
            h = h if shift is None else h + shift
            x = self.activation(h)
            if key is not None:
                keep_prob = jnp.float32(self.keep_prob)  # else 64-bit mode would draw other masks
                x = jnp.where(jax.random.bernoulli(key, keep_prob, x.shape), x, 0) / keep_prob
            return x, h

        found = []
        for index, layers in enumerate(self.layers):
            keys = None
            if key is not None:
                keys = jax.random.split(jax.random.fold_in(key, index), len(layers.kernel))
            shift = None if shifts is None else shifts[index]
            slices = layers.matrices(), layers.offsets(), shift, keys
            if len(layers.kernel) == 1:  # the width may change
                x, h = layer(x, jax.tree.map(lambda one: one[0], slices))
                found.append(h[None])
            else:
                x, h = jax.lax.scan(layer, x, slices)
                found.append(h)
        return found


def of_parameters(network: FullyConnected, value: Callable[[int, str], Any]) -> PyTree:
    """A number for each parameter, as a tree of the form of ``nnx.state(network, nnx.Param)``.

    Args:
      network: whose parameters.
      value: from the index of a stack of ``network.layers`` and ``"kernel"`` or ``"bias"`` to the
        number.

    Returns:
      The tree.
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, _: value(path[1].key, path[2].key), nnx.state(network, nnx.Param)
    )


def scaled(optimizer: optax.GradientTransformation, rates: PyTree) -> optax.GradientTransformation:
    """The optimizer, with the learning rate of each parameter multiplied.

    Args:
      optimizer: acts before, so that it sees gradients as they are.
      rates: by what, from :func:`of_parameters`.

    Returns:
      An optimizer of the network's ``nnx.Param`` state.
    """
    scale = optax.stateless(lambda updates, _: jax.tree.map(jnp.multiply, updates, rates))
    return optax.chain(optimizer, scale)


def scaled_by_parametrization(
    network: FullyConnected, optimizer: optax.GradientTransformation
) -> optax.GradientTransformation:
    """The optimizer, with the learning rate of each parameter multiplied as parametrized.

    Args:
      network: its layers say by what.
      optimizer: as for :func:`scaled`.

    Returns:
      An optimizer of the network's ``nnx.Param`` state.
    """
    rate = lambda index, name: getattr(network.layers[index], f"{name}_rate")  # noqa: E731
    return scaled(optimizer, of_parameters(network, rate))
