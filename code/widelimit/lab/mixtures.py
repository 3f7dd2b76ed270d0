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

# Thresholds in units of the mean variance's root: fine near 0 for components of small variance.
_GRID = np.concatenate([np.geomspace(1e-3, 0.1, 20), np.linspace(0.15, 4.0, 78)])
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)


def excess_kurtosis(variances: Float[Array, " draws"]) -> Float[Array, ""]:
    r"""Excess kurtosis of the mixture, :math:`3\,\mathrm{Var}(s^2)/\mathrm{E}[s^2]^2`.

    Args:
      variances: conditional variances s² ≥ 0, shape ``[draws]``, at least two, not all 0.

    Returns:
      Dimensionless, ≥ 0; the sample variance is the unbiased one.

    Source: chapter 1, equation (1.5).
    """
    return 3 * jnp.var(variances, ddof=1) / jnp.mean(variances) ** 2


@jax.jit
def kolmogorov_distance(variances: Float[Array, " draws"]) -> Float[Array, ""]:
    r"""Largest gap between the distribution functions of the mixture and of the Gaussian.

    .. math:: \sup_t \bigl| \tfrac1M \textstyle\sum_m \Phi(t/s_m) - \Phi(t/\bar s) \bigr|,
       \qquad \bar s^2 = \tfrac1M \textstyle\sum_m s_m^2

    Args:
      variances: conditional variances s² ≥ 0, shape ``[draws]``, not all 0.

    Returns:
      A probability. The supremum is a parabola's through the largest of 98 points and its
      neighbours, t in [0.001 s̄, 4 s̄]: relative error below 1e-3 where no s is far below s̄, and
      never above the largest gap there is by more than that.

    Source: chapter 1, equation (1.6).
    """
    variances = variances.astype(jnp.result_type(float))  # the gaps are small differences
    relative = jnp.sqrt(jnp.mean(variances) / variances)
    grid = jnp.asarray(_GRID, variances.dtype)

    def gap(u: Float[Array, ""]) -> Float[Array, ""]:
        return jnp.abs(jnp.mean(jax.scipy.special.ndtr(u * relative)) - jax.scipy.special.ndtr(u))

    gaps = jax.lax.map(gap, grid)
    top = jnp.argmax(gaps)
    inside = jnp.clip(top, 1, len(_GRID) - 2)
    step_left, step_right = grid[inside] - grid[inside - 1], grid[inside + 1] - grid[inside]
    slope_left = (gaps[inside] - gaps[inside - 1]) / step_left
    slope_right = (gaps[inside + 1] - gaps[inside]) / step_right
    bend = (slope_right - slope_left) / (step_left + step_right)
    slope = slope_left + bend * step_left
    vertex = gaps[inside] - slope**2 / (4 * jnp.where(bend < 0, bend, -1.0))
    return jnp.where((top == inside) & (bend < 0), vertex, gaps[top])


@jax.jit
def mmd(
    variances: Float[Array, " draws"], lengthscale: float | Float[Array, ""] = 1.0
) -> Float[Array, ""]:
    r"""Maximum mean discrepancy between the mixture and the Gaussian, squared-exponential kernel.

    .. math:: \mathrm{MMD}^2 = \mathrm{E}_{w \sim N(0, 1/\ell^2)}
       \bigl[\tfrac1M \textstyle\sum_m e^{-s_m^2 w^2/2} - e^{-\bar s^2 w^2/2}\bigr]^2

    for the kernel :math:`e^{-(f-f')^2/2\ell^2}`, of spectral density :math:`N(0, 1/\ell^2)`.

    Args:
      variances: conditional variances s², shape ``[draws]``.
      lengthscale: ℓ > 0, in the unit of the output.

    Returns:
      The MMD (not its square), dimensionless; the integral over w has relative error below 1e-6
      where no s exceeds 10 ℓ.
    """
    variances = variances.astype(jnp.result_type(float))  # the gaps are small differences
    z = jnp.asarray(5.0 * (_NODES + 1), variances.dtype)  # ℓw, to ten standard deviations
    weights = jnp.asarray(10.0 * _WEIGHTS / np.sqrt(2 * np.pi), variances.dtype)

    def squared_gap(z: Float[Array, ""]) -> Float[Array, ""]:
        half_square = (z / lengthscale) ** 2 / 2
        mixture = jnp.mean(jnp.exp(-variances * half_square))
        return (mixture - jnp.exp(-jnp.mean(variances) * half_square)) ** 2

    return jnp.sqrt(jnp.sum(weights * jnp.exp(-(z**2) / 2) * jax.lax.map(squared_gap, z)))
