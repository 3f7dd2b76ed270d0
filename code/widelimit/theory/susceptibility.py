r"""What a layer does to small changes: susceptibilities, gradients, and bent level sets.

Setting and conventions are those of :mod:`widelimit.theory.signal`.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from widelimit.activations import Activation
from widelimit.theory import gaussian
from widelimit.theory.arguments import Entries, checked
from widelimit.theory.signal import mean_square


def _scaled(weight_var, moment):
    return jnp.where(weight_var > 0, weight_var * moment, 0)  # 0·∞ = 0


def chi_1(activation: Activation, var: Entries, weight_var: Entries) -> Float[Array, "*shape"]:
    r"""The mean squared singular value of one layer's Jacobian.

    .. math:: \chi_1 = \sigma_w^2\, \mathrm E[\varphi'(u)^2], \qquad u \sim N(0, q)

    Without dropout it is at q* the slope of the correlation map at c = 1: nearby signals come
    together below 1 and part above. A jump of φ makes it infinite, in step with the correlation
    map; what backpropagation computes there leaves the jump out.

    Args:
      activation: φ.
      var: q ≥ 0, at the fixed point or anywhere else.
      weight_var: σ_w² ≥ 0.

    Returns:
      χ₁ ≥ 0, dimensionless.

    Raises:
      ValueError: a concrete argument out of its range.

    Source: Poole et al. 2016; chapter 3, equation (3.10).
    """
    q, weight_var = checked(var=var, weight_var=weight_var)
    return _scaled(weight_var, mean_square(activation, q, 1))


def chi_2(activation: Activation, var: Entries, weight_var: Entries) -> Float[Array, "*shape"]:
    r"""The mean square of the second derivative, which bends what passes a layer.

    .. math:: \chi_2 = \sigma_w^2\, \mathrm E[\varphi''(u)^2], \qquad u \sim N(0, q)

    At q* the correlation map is :math:`1 - \chi_1\,(1 - c) + \tfrac12 q^* \chi_2\, (1 - c)^2 -
    \dots` Where φ′ jumps χ₂ is infinite, and the next term has the power 3/2.

    Args:
      activation: φ.
      var: q ≥ 0.
      weight_var: σ_w² ≥ 0.

    Returns:
      χ₂ ≥ 0, in the unit of 1/q.

    Raises:
      ValueError: a concrete argument out of its range.

    Source: Poole et al. 2016; chapter 3, equation (3.11).
    """
    q, weight_var = checked(var=var, weight_var=weight_var)
    return _scaled(weight_var, mean_square(activation, q, 2))


def covariance_slope(
    activation: Activation, var_u: Entries, var_v: Entries, cov: Entries, weight_var: Entries
) -> Float[Array, "*shape"]:
    r"""The derivative of the covariance map in the covariance.

    .. math:: \sigma_w^2\, \mathrm E[\varphi'(u)\varphi'(v)]

    At the fixed point q* it is the slope of the correlation map; at c* it sets ξ_c.

    Args:
      activation: φ.
      var_u: the variance at one input, ≥ 0.
      var_v: that at the other.
      cov: their covariance, \|cov\| ≤ √(var_u·var_v).
      weight_var: σ_w² ≥ 0.

    Returns:
      The derivative, dimensionless; infinite at correlations ±1 where φ jumps.

    Raises:
      ValueError: a concrete argument out of its range.

    Source: Schoenholz et al. 2017; chapter 3, equation (3.8).
    """
    q1, q2, cov, weight_var = checked(var_u=var_u, var_v=var_v, cov=cov, weight_var=weight_var)
    return _scaled(weight_var, gaussian.derivative_dual(activation, q1, q2, cov))


def backward_moments(
    activation: Activation,
    var: Float[ArrayLike, "*#shape depth"],
    weight_var: Entries,
    keep_prob: Entries = 1.0,
    widths: Sequence[int] | None = None,
) -> Float[Array, "*shape depth"]:
    r"""Mean squares of back-propagated gradients, relative to the last layer's.

    .. math:: \mathrm E[(\delta^l_i)^2] = \frac{\chi_1(q^l)}\rho\, \frac{n_{l+1}}{n_l}\,
        \mathrm E[(\delta^{l+1}_i)^2], \qquad \delta^l = \partial\mathcal L/\partial h^l

    The lengths may still be on their way to q*. That the gradient above does not depend on the
    weights it passes is exact as n → ∞.

    Args:
      activation: φ.
      var: q¹, …, q^L along the last axis, from :func:`lengths`.
      weight_var: σ_w² ≥ 0.
      keep_prob: ρ in (0, 1].
      widths: n_1, …, n_L; left out, all are equal.

    Returns:
      The ratio of each layer's mean square to that of layer L, so the last one is 1.

    Raises:
      ValueError: a concrete argument out of its range; widths of another length than depth.

    Source: Schoenholz et al. 2017.
    """
    weight_var, keep_prob = (
        x[..., None] for x in checked(weight_var=weight_var, keep_prob=keep_prob)
    )
    var, weight_var, keep_prob = checked(var=var, weight_var=weight_var, keep_prob=keep_prob)
    depth = var.shape[-1]
    n = np.ones(depth) if widths is None else np.asarray(widths, float)
    if n.shape != (depth,) or not (n > 0).all():
        raise ValueError(f"widths={widths} must be {depth} positive numbers, one for each length.")
    factors = chi_1(activation, var, weight_var)[..., :-1] / keep_prob[..., :-1]
    factors = jnp.concatenate([factors, jnp.ones_like(var[..., :1])], axis=-1)
    passed = jnp.cumprod(factors[..., ::-1], axis=-1)[..., ::-1]
    return passed * jnp.broadcast_to(jnp.asarray(n[-1] / n, var.dtype), passed.shape)


def boundary_curvature(
    activation: Activation, var: Float[ArrayLike, "*#shape depth"], weight_var: Entries
) -> Float[Array, "*shape depth"]:
    r"""How curved a level set of the output is, seen from each layer.

    Where f = 0, the output as a function of h^l has a gradient g and a matrix of second derivatives
    H. The principal curvatures k_i of the level set are the eigenvalues of H, divided by the
    length of g, on the tangent space. The sum of their squares obeys, downwards from 0 in the
    output itself,

    .. math:: \sum_i k_i^2 =: \mathcal K^l, \qquad
        \mathcal K^l = \chi_1(q^l)\,\mathcal K^{l+1} + \frac{\chi_2(q^l)}{\chi_1(q^l)}

    Args:
      activation: φ.
      var: q¹, …, q^L along the last axis, > 0.
      weight_var: σ_w² > 0.

    Returns:
      The sum of squares in each layer, in the unit of 1/h²; infinite where φ′ jumps. Exact as
      n → ∞.

    Raises:
      ValueError: a concrete argument out of its range.

    Source: chapter 3, equation (3.20).
    """
    (weight_var,) = checked(weight_var=weight_var)
    q, weight_var = checked(var=var, weight_var=weight_var[..., None])

    def layer(above, chi):
        first, second = chi
        here = first * above + second / first
        return here, here

    chis = (chi(activation, q, weight_var) for chi in (chi_1, chi_2))
    chis = tuple(jnp.moveaxis(chi, -1, 0) for chi in chis)
    _, found = jax.lax.scan(layer, jnp.zeros_like(q[..., 0]), chis, reverse=True)
    return jnp.moveaxis(found, 0, -1)
