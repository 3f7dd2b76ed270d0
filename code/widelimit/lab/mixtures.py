"""How far a mixture of centred Gaussians is from one Gaussian of the same variance.

A network with Gaussian output weights is, given its hidden units, exactly Gaussian. So its output
is a mixture over the draws of the conditional variance s², and its distance from a Gaussian can be
computed from a sample of s² far more precisely than from a sample of outputs. Each function
compares with the Gaussian whose variance is the sample's own mean of s²: the error that a finite
sample makes in the variance then cancels, and what is left is the shape.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_GRID = np.linspace(0.0, 4.0, 81)
_HERMITE_NODES, _HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(64)


def excess_kurtosis(variances: Float[Array, " draws"]) -> Float[Array, ""]:
    r"""Excess kurtosis of the mixture, :math:`3\,\mathrm{Var}(s^2)/\mathrm{E}[s^2]^2`.

    Args:
      variances: conditional variances s², shape ``[draws]``.

    Returns:
      Dimensionless, ≥ 0; the sample variance is the unbiased one.
    """
    return 3 * jnp.var(variances, ddof=1) / jnp.mean(variances) ** 2


@jax.jit
def kolmogorov_distance(variances: Float[Array, " draws"]) -> Float[Array, ""]:
    r"""Largest gap between the distribution functions of the mixture and of the Gaussian.

    .. math:: \sup_t \bigl| \tfrac1M \textstyle\sum_m \Phi(t/s_m) - \Phi(t/\bar s) \bigr|,
       \qquad \bar s^2 = \tfrac1M \textstyle\sum_m s_m^2

    Args:
      variances: conditional variances s² > 0, shape ``[draws]``.

    Returns:
      A probability. The supremum is a parabola's through the largest of 81 points and its
      neighbours, t in [0, 4 s̄]: relative error below 1e-3.
    """
    relative = jnp.sqrt(jnp.mean(variances) / variances)
    grid = jnp.asarray(_GRID, variances.dtype)

    def gap(u):
        return jnp.abs(jnp.mean(jax.scipy.special.ndtr(u * relative)) - jax.scipy.special.ndtr(u))

    gaps = jax.lax.map(gap, grid)
    top = jnp.clip(jnp.argmax(gaps), 1, len(_GRID) - 2)
    left, middle, right = gaps[top - 1], gaps[top], gaps[top + 1]
    bend = jnp.minimum(left - 2 * middle + right, -jnp.finfo(gaps.dtype).tiny)
    return middle - (right - left) ** 2 / (8 * bend)


@jax.jit
def mmd(variances: Float[Array, " draws"], lengthscale: float = 1.0) -> Float[Array, ""]:
    r"""Maximum mean discrepancy between the mixture and the Gaussian, squared-exponential kernel.

    .. math:: \mathrm{MMD}^2 = \mathrm{E}_{w \sim N(0, 1/\ell^2)}
       \bigl[\tfrac1M \textstyle\sum_m e^{-s_m^2 w^2/2} - e^{-\bar s^2 w^2/2}\bigr]^2

    for the kernel :math:`e^{-(f-f')^2/2\ell^2}`, of spectral density :math:`N(0, 1/\ell^2)`.

    Args:
      variances: conditional variances s², shape ``[draws]``.
      lengthscale: ℓ > 0, in the unit of the output.

    Returns:
      The MMD (not its square), dimensionless; the integral over w has relative error below 1e-6.
    """
    nodes = jnp.asarray(_HERMITE_NODES, variances.dtype)[32:] / lengthscale
    weights = jnp.asarray(2 * _HERMITE_WEIGHTS / np.sqrt(2 * np.pi), variances.dtype)[32:]

    def squared_gap(w):
        mixture = jnp.mean(jnp.exp(-variances * w**2 / 2))
        return (mixture - jnp.exp(-jnp.mean(variances) * w**2 / 2)) ** 2

    return jnp.sqrt(weights @ jax.lax.map(squared_gap, nodes))
