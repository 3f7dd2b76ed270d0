"""Regression with a Gaussian process: the posterior of an infinitely wide Bayesian network."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class GaussianPosterior(NamedTuple):
    """Posterior of f at the test inputs.

    Args:
      mean: shape ``[m]``.
      covariance: of f, without observation noise, shape ``[m, m]``.
      log_evidence: log density of the training targets under the prior, in nats.
    """

    mean: Float[Array, " m"]
    covariance: Float[Array, "m m"]
    log_evidence: Float[Array, ""]


def condition(
    kernel_train: Float[Array, "n n"],
    kernel_cross: Float[Array, "n m"],
    kernel_test: Float[Array, "m m"],
    y: Float[Array, " n"],
    noise_var: float,
) -> GaussianPosterior:
    r"""Condition a centred Gaussian process on noisy values.

    .. math:: \bar f = K_{*}^\top (K + \sigma_\varepsilon^2 I)^{-1} y, \qquad
       \Sigma = K_{**} - K_{*}^\top (K + \sigma_\varepsilon^2 I)^{-1} K_{*}

    Args:
      kernel_train: K, prior covariance among the training inputs.
      kernel_cross: K_*, between training (rows) and test inputs (columns).
      kernel_test: K_**, among the test inputs.
      y: training targets.
      noise_var: σ_ε² ≥ 0, variance of the observation noise.

    Returns:
      The posterior, in the units of y. Errors are those of one Cholesky factorization: relative
      1e-16 times the condition number of K + σ_ε²I.

    Raises:
      ValueError: noise_var < 0 or K + σ_ε²I not positive definite; under jit, where values are
        traced, nothing is checked.

    Source: Williams & Rasmussen 1996; Rasmussen & Williams 2006, eqs. (2.23), (2.24), (2.30).
    """
    if not isinstance(noise_var, jax.core.Tracer) and noise_var < 0:
        raise ValueError(f"noise_var is {noise_var}; a variance is ≥ 0")
    n = y.shape[0]
    factor = jnp.linalg.cholesky(kernel_train + noise_var * jnp.eye(n, dtype=kernel_train.dtype))
    if not isinstance(factor, jax.core.Tracer) and not bool(jnp.all(jnp.isfinite(factor))):
        raise ValueError(
            f"the kernel matrix plus noise_var={noise_var} is not positive definite; repeated "
            "inputs need noise_var > 0"
        )
    alpha = jax.scipy.linalg.cho_solve((factor, True), y)
    whitened = jax.scipy.linalg.solve_triangular(factor, kernel_cross, lower=True)
    log_evidence = (
        -y @ alpha / 2 - jnp.sum(jnp.log(jnp.diagonal(factor))) - n * jnp.log(2 * jnp.pi) / 2
    )
    covariance = kernel_test - whitened.T @ whitened
    # A matrix product need not round (i, j) as it rounds (j, i).
    return GaussianPosterior(kernel_cross.T @ alpha, (covariance + covariance.T) / 2, log_evidence)
