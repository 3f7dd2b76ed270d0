"""A network seen from its last layer: given the hidden ones it is linear in what is left.

The readout is the output's weights and biases. Training them alone is a linear problem, which
gradient descent solves in a known way.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from widelimit.lab.networks import FullyConnected


def gradients(network: FullyConnected, x: Float[ArrayLike, "n d"]) -> Float[Array, "n parameters"]:
    """Derivatives of an output in its own trained weights and bias.

    Args:
      network: in any parametrization.
      x: inputs.

    Returns:
      Those in the weights, and that in the bias last, ``[n, width + 1]``; the same for each output.
    """
    last, readout = network.preactivations(x)[-2][-1], network.layers[-1]
    bias = jnp.full((len(last), 1), readout.bias_multiplier[...])
    return jnp.concatenate([readout.kernel_multiplier[...] * network.activation(last), bias], 1)


def trained(
    network: FullyConnected,
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n outputs"],
    x_test: Float[ArrayLike, "m d"],
) -> Float[Array, "m outputs"]:
    """Outputs after gradient descent on the readout alone has converged, for the square loss.

    Among all readouts with the least loss, gradient descent ends at the one that is nearest to its
    start, at any rate at which it converges. That one is computed.

    Args:
      network: in any parametrization that gives weights and biases of the readout one rate.
      x: training inputs.
      y: targets.
      x_test: test inputs.

    Returns:
      Outputs at the test inputs, in float64 if JAX is in 64-bit mode.

    Raises:
      ValueError: targets that are not one row for each input and one column for each output.
    """
    expected = (len(x), network.widths[-1])
    if jnp.shape(y) != expected:
        raise ValueError(f"y has shape {jnp.shape(y)}; these inputs and outputs need {expected}")
    dtype = jnp.result_type(float)
    inside, outside = (gradients(network, one).astype(dtype) for one in (x, x_test))
    start, start_outside = (jnp.asarray(network(one), dtype) for one in (x, x_test))
    # Along singular values that are rounding descent does not move in any time one would wait.
    step = jnp.linalg.lstsq(inside, jnp.asarray(y, dtype) - start, rcond=1e-7)[0]
    return start_outside + jnp.matmul(outside, step, precision=jax.lax.Precision.HIGHEST)
