"""Regression with a Gaussian process, and with finitely many random functions drawn from it."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class GaussianPosterior(NamedTuple):
    """Posterior of f at the test inputs.

    Args:
      mean: shape ``[m]``, or ``[m, outputs]``.
      covariance: of one output, without observation noise, shape ``[m, m]``; it does not depend on
        the targets, and different outputs are independent.
      log_evidence: log density of the training targets under the prior, in nats; all outputs
        together.
      jitter: what was added to the diagonal besides the noise, in the unit of the kernel; 0 unless
        it was allowed and needed.
    """

    mean: Float[Array, "m ..."]
    covariance: Float[Array, "m m"]
    log_evidence: Float[Array, ""]
    jitter: float


def condition(
    kernel_train: Float[Array, "n n"],
    kernel_cross: Float[Array, "n m"],
    kernel_test: Float[Array, "m m"],
    y: Float[Array, "n ..."],
    noise_var: float,
    *,
    most_jitter: float = 0.0,
) -> GaussianPosterior:
    r"""Condition a centred Gaussian process on noisy values.

    .. math:: \bar f = K_{*}^\top (K + \sigma_\varepsilon^2 I)^{-1} y, \qquad
       \Sigma = K_{**} - K_{*}^\top (K + \sigma_\varepsilon^2 I)^{-1} K_{*}

    Args:
      kernel_train: K, prior covariance among the training inputs.
      kernel_cross: K_*, between training (rows) and test inputs (columns).
      kernel_test: K_**, among the test inputs.
      y: training targets; with outputs along a second axis, each is a process of its own.
      noise_var: σ_ε² ≥ 0, variance of the observation noise.
      most_jitter: how much may be added to the diagonal where rounding leaves K + σ_ε²I without a
        Cholesky factor, relative to the mean of its diagonal: 1e-10 (in float32 1e-7), or the first
        of its tenfolds that is enough. What was added is in the result.

    Returns:
      The posterior, in the units of y. Errors are those of one Cholesky factorization: the
      machine's precision times the condition number of what is factored. A matrix that is singular
      may have a factor made of rounding.

    Raises:
      ValueError: noise_var that is no variance, most_jitter outside [0, 1); shapes that do not fit,
        or numbers that are not finite; K + σ_ε²I not positive definite even with the jitter that is
        allowed. Under jit, where values are traced, only shapes are checked, and nothing is added.

    Source: Williams & Rasmussen 1996; Rasmussen & Williams 2006, eqs. (2.23), (2.24), (2.30).
    """
    if not isinstance(noise_var, jax.core.Tracer) and not 0 <= noise_var < math.inf:
        raise ValueError(f"noise_var is {noise_var}; a variance is ≥ 0")
    if not 0 <= most_jitter < 1:
        raise ValueError(f"most_jitter={most_jitter}; it is a fraction of the kernel, in [0, 1)")
    _check_blocks(kernel_train, kernel_cross, kernel_test, y)
    noisy = kernel_train + noise_var * jnp.eye(len(y), dtype=kernel_train.dtype)
    factor, jitter = _factored(noisy, noise_var, most_jitter)
    return GaussianPosterior(*_conditioned(factor, kernel_cross, kernel_test, y), jitter)


@jax.jit
def _conditioned(factor, kernel_cross, kernel_test, y):
    """Mean, covariance and log evidence."""
    n = len(y)
    alpha = jax.scipy.linalg.cho_solve((factor, True), y)
    whitened = jax.scipy.linalg.solve_triangular(factor, kernel_cross, lower=True)
    normalizer = jnp.sum(jnp.log(jnp.diagonal(factor))) + n * math.log(2 * math.pi) / 2
    log_evidence = -jnp.sum(y * alpha) / 2 - y.size / n * normalizer
    covariance = kernel_test - whitened.T @ whitened
    # A matrix product need not round (i, j) as it rounds (j, i).
    return kernel_cross.T @ alpha, (covariance + covariance.T) / 2, log_evidence


def _check_blocks(train, cross, test, y):
    blocks = {"kernel_train": train, "kernel_cross": cross, "kernel_test": test, "y": y}
    n, m = len(y), cross.shape[-1]
    shapes = tuple(block.shape for block in (train, cross, test))
    if not n or shapes != ((n, n), (n, m), (m, m)) or y.ndim > 2:
        raise ValueError(
            f"the kernel's blocks have shapes {shapes} for targets of shape {y.shape}; they are "
            "[n, n], [n, m] and [m, m], and targets [n] or [n, outputs]"
        )
    for name, block in blocks.items():
        finite = jnp.all(jnp.isfinite(block))
        if not isinstance(finite, jax.core.Tracer) and not bool(finite):
            raise ValueError(f"{name} holds NaN or infinite numbers")


def _factored(matrix, noise_var, most_jitter):
    """The Cholesky factor, and the jitter that it took."""
    factor = jnp.linalg.cholesky(matrix)
    if isinstance(factor, jax.core.Tracer):
        return factor, 0.0
    jitter, relative = 0.0, 1e-10 if matrix.dtype == jnp.float64 else 1e-7
    while not bool(jnp.all(jnp.isfinite(factor))):
        # The last tenfold may be below what is allowed by rounding only.
        if not relative <= most_jitter * (1 + 1e-9):
            raise ValueError(
                f"the kernel matrix plus noise_var={noise_var} is not positive definite"
                + (f", nor with most_jitter={most_jitter}" if most_jitter else "")
                + "; repeated inputs need noise_var > 0, rounding alone most_jitter=1e-8 or more"
            )
        jitter = relative * float(jnp.mean(jnp.diagonal(matrix)))
        factor = jnp.linalg.cholesky(matrix + jitter * jnp.eye(len(matrix), dtype=matrix.dtype))
        relative *= 10
    return factor, jitter


def random_features_loss(
    kernel: Float[Array, "n n"], targets: Float[Array, "n k"], features: int, ridge: float
) -> Float[Array, " k"]:
    r"""The loss of ridge regression on random features, on the training inputs.

    .. math:: \min_\beta\; |y - F\beta|^2 + \lambda|\beta|^2
        = \lambda\, y^\top (FF^\top + \lambda)^{-1} y
        \approx \kappa\, y^\top (K + \kappa)^{-1} y, \qquad
        \kappa\Bigl(1 - \tfrac1D \operatorname{tr} K(K + \kappa)^{-1}\Bigr) = \frac\lambda D

    The D columns of F are independent draws N(0, K).

    Args:
      kernel: K, covariance of a feature at the n inputs.
      targets: one regression a column, y.
      features: D ≥ 1.
      ridge: λ > 0, in the unit of K.

    Returns:
      The losses, in the unit of y². They are means over the features in the limit of many of them;
      the relative error falls as 1/D.

    Raises:
      ValueError: features below 1, a ridge that is not positive and finite, targets of another
        shape.

    Source: Marčenko & Pastur 1967 for the law of F's singular values; chapter 3, equation (3.22).
    """
    if not features >= 1:
        raise ValueError(f"features={features}; regression needs at least one")
    if not 0 < ridge < np.inf:
        raise ValueError(
            f"ridge={ridge} must be positive and finite; without one the regression is ill-posed"
        )
    if targets.ndim != 2 or len(targets) != len(kernel):
        raise ValueError(
            f"targets have shape {targets.shape}; give a row for each of the {len(kernel)} inputs "
            "and a column for each regression"
        )
    return _random_features_loss(kernel, targets, float(features), float(ridge))


@jax.jit
def _random_features_loss(kernel, targets, features, ridge):
    values, vectors = jnp.linalg.eigh(kernel)
    values = jnp.maximum(values, 0)

    def excess(log_kappa):  # below 0, then rising with kappa
        kappa = jnp.exp(log_kappa)
        return kappa * (1 - jnp.mean(values / (values + kappa)) * len(values) / features)

    def halve(_, bracket):
        low, high = bracket
        middle = (low + high) / 2
        above = excess(middle) > ridge / features
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low = jnp.log(jnp.asarray(ridge / features, kernel.dtype))
    high = jnp.log(ridge / features + jnp.sum(values) / features)
    kappa = jnp.exp(jax.lax.fori_loop(0, 100, halve, (low, high))[0])
    return jnp.sum(kappa / (values + kappa)[:, None] * (vectors.T @ targets) ** 2, axis=0)
