r"""A network replaced by its tangent at initialization.

.. math:: f^{\text{lin}}(x; \omega) = f(x; \theta_0) + \nabla_\theta f(x; \theta_0) \cdot \omega

It is a module like any other, whose parameters are the displacements ω = θ − θ₀, 0 at first: linear
in its parameters, and in x as bent as the network is.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from widelimit.lab.networks import Fixed


class Linearized(nnx.Module):
    """The tangent of a network at its present parameters.

    Args:
      network: any module that maps x to outputs; it is not changed.
    """

    def __init__(self, network: nnx.Module) -> None:
        graph, params, rest = nnx.split(network, nnx.Param, ...)
        self.start = nnx.data([Fixed(leaf) for leaf in jax.tree.leaves(params)])
        self.displacement = nnx.merge(graph, jax.tree.map(jnp.zeros_like, params), rest)

    def __call__(self, x: Float[Array, "batch ..."]) -> Float[Array, "batch outputs"]:
        """The outputs.

        Args:
          x: inputs of the network.

        Returns:
          f^lin.
        """
        graph, displacement, rest = nnx.split(self.displacement, nnx.Param, ...)
        leaves = [variable[...] for variable in self.start]
        start = jax.tree.unflatten(jax.tree.structure(displacement), leaves)
        function = lambda params: nnx.merge(graph, params, rest)(x)  # noqa: E731
        value, change = jax.jvp(function, (start,), (displacement,))
        return value + change
