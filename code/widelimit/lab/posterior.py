"""The posterior of a finite Bayesian network, by sampling its hidden layer.

Given the hidden units, the network is linear in its remaining weights, so those are integrated out
exactly. What is left is sampled: hidden layers are drawn from the prior and weighted by the
likelihood of the data. Nothing is assumed of the width; the effective sample size says how far the
answer can be trusted.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key

from widelimit.architectures import ShallowPrior
from widelimit.lab.shallow import conditional_covariance


class Posterior(NamedTuple):
    """A weighted sample of hidden layers, and what they predict at the test inputs.

    Args:
      weights: normalized importance weights, shape ``[draws]``.
      means: conditional posterior means of f, shape ``[draws, m]``.
      variances: conditional posterior variances of f (without noise), shape ``[draws, m]``.
      covariances: prior covariance of f given the hidden layer, at training then test inputs,
        shape ``[draws, n + m, n + m]``.
    """

    weights: Float[Array, " draws"]
    means: Float[Array, "draws m"]
    variances: Float[Array, "draws m"]
    covariances: Float[Array, "draws k k"]

    @property
    def mean(self) -> Float[Array, " m"]:
        """Posterior mean of f at the test inputs."""
        return self.weights @ self.means

    @property
    def std(self) -> Float[Array, " m"]:
        """Posterior standard deviation of f at the test inputs."""
        return jnp.sqrt(self.weights @ (self.variances + (self.means - self.mean[None]) ** 2))

    @property
    def effective_fraction(self) -> Float[Array, ""]:
        """Effective sample size over the number of draws, in (0, 1]: 1 when all weights agree."""
        return 1 / (len(self.weights) * jnp.sum(self.weights**2))


@jax.jit
def _condition(covariance, y, noise_var):
    n = len(y)
    train = covariance[:n, :n] + noise_var * jnp.eye(n, dtype=covariance.dtype)
    factor = jnp.linalg.cholesky(train)
    solve = lambda b: jax.scipy.linalg.solve_triangular(factor, b, lower=True)  # noqa: E731
    whitened, cross = solve(y), solve(covariance[:n, n:])
    log_likelihood = -whitened @ whitened / 2 - jnp.sum(jnp.log(jnp.diagonal(factor)))
    return (
        log_likelihood,
        whitened @ cross,
        jnp.maximum(jnp.diagonal(covariance)[n:] - jnp.sum(cross**2, axis=0), 0),
    )


def sample_posterior(
    prior: ShallowPrior,
    key: Key[Array, ""],
    draws: int,
    width: int,
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, " n"],
    x_test: Float[ArrayLike, "m d"],
    noise_var: float,
) -> Posterior:
    """Posterior of a network of finite width under Gaussian noise.

    Args:
      prior: the distribution of the weights.
      key: a random key.
      draws: number of hidden layers.
      width: number of hidden units H.
      x: training inputs, shape ``[n, d]``.
      y: training targets, shape ``[n]``.
      x_test: test inputs, shape ``[m, d]``.
      noise_var: variance of the observation noise, > 0.

    Returns:
      The weighted sample, float32. Check :attr:`Posterior.effective_fraction` before use.

    Raises:
      ValueError: noise_var that is not positive and finite, targets that are not finite or not
        one an input, or a noise so small beside the kernel that float32 cannot factor their sum.
    """
    if not (math.isfinite(noise_var) and noise_var > 0):
        raise ValueError(f"noise_var is {noise_var}; give the noise a finite variance > 0")
    if jnp.shape(y) != (len(x),):
        raise ValueError(f"y has shape {jnp.shape(y)} for {len(x)} inputs; give one target each")
    if not np.all(np.isfinite(np.asarray(y))):
        raise ValueError("y holds a target that is not finite; drop it")
    inputs = jnp.concatenate([jnp.asarray(x, jnp.float32), jnp.asarray(x_test, jnp.float32)])
    covariances = conditional_covariance(prior, key, draws, width, inputs)
    covariances = covariances + jnp.float32(prior.output_bias_std**2)
    log_likelihood, means, variances = jax.vmap(_condition, (0, None, None))(
        covariances, jnp.asarray(y, jnp.float32), jnp.float32(noise_var)
    )
    if not bool(jnp.all(jnp.isfinite(log_likelihood))):
        raise ValueError(
            f"noise_var={noise_var} is too small beside the kernel for float32; use a larger one, "
            "or drop repeated inputs"
        )
    return Posterior(jax.nn.softmax(log_likelihood), means, variances, covariances)
