r"""What a layer does to small changes: susceptibilities, gradients, and the geometry of a curve.

Setting and conventions are those of :mod:`widelimit.theory.signal`.

**A circle through the layers.** In layer 1 let h(t) = √(nq)·(e₀ cos t + e₁ sin t) with orthonormal
e₀, e₁. The covariance of a unit at t and t′ is then k(t − t′) with k(τ) = q cos τ. A layer acts on
it by the covariance map F(k) = σ_w²·E[φ(u)φ(v)] + σ_b², so the covariance stays a function of
τ = t − t′. The first two derivatives v and a of a unit along the curve have

.. math:: \mathrm E\,v^2 = -k^{(2)}(0) =: g, \qquad \mathrm E\,a^2 = k^{(4)}(0) =: A, \qquad
    \mathrm E\,va = 0, \qquad k(\tau) = q - \tfrac12 g\tau^2 + \tfrac1{24} A\tau^4 - \dots

By Price's theorem F′ = χ₁ and F″ = χ₂ at the variance q of the layer. Put k into F and compare
powers of τ:

.. math:: g_{l+1} = \chi_1 g_l, \qquad A_{l+1} = \chi_1 A_l + 3\chi_2 g_l^2

Over all n units the squared lengths of v and a add up to ng and nA, and v·a = 0, so the curvature
is √(nA)/(ng). With κ for √n times that, κ² = A/g² and

.. math:: \kappa_{l+1}^2 = 3\chi_2/\chi_1^2 + \kappa_l^2/\chi_1, \qquad g_1 = q, \quad
    \kappa_1^2 = 1/q

The tangent turns by the angle √(A/g) = κ√g per unit of t. So n has cancelled in the metric κ²g of
tangent directions (the Gauss map into the Grassmannian).

Dropout is left out: with independent masks neighbouring inputs part at once, and k has a jump at 0.

Source: Poole et al. 2016, at q = q*; derived here, where q may still change from layer to layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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

    Source: Poole et al. 2016.
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

    Source: Poole et al. 2016.
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

    Source: Schoenholz et al. 2017.
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


@dataclass(frozen=True)
class Curve:
    """A closed curve in each of the layers 1, …, L, along the last axis.

    Attributes:
      metric: g, a unit's squared speed, in the unit of q.
      curvature: κ, √n times the curvature, in the unit of 1/√q.
    """

    metric: Float[Array, "*shape depth"]
    curvature: Float[Array, "*shape depth"]

    @property
    def length(self) -> Float[Array, "*shape depth"]:
        """2π√g: the length of the curve, divided by √n."""
        return 2 * jnp.pi * jnp.sqrt(self.metric)

    @property
    def tangent_metric(self) -> Float[Array, "*shape depth"]:
        """κ²g: the squared speed at which the tangent turns."""
        return self.curvature**2 * self.metric

    @property
    def tangent_length(self) -> Float[Array, "*shape depth"]:
        """2πκ√g: the angle by which the tangent turns along the curve."""
        return self.curvature * self.length


def circle(
    activation: Activation, var: Float[ArrayLike, "*#shape depth"], weight_var: Entries
) -> Curve:
    """What the network makes of a circle; the derivation is at the top of the module.

    Args:
      activation: φ.
      var: q¹, …, q^L along the last axis, > 0; q* in every layer at the fixed point.
      weight_var: σ_w² > 0.

    Returns:
      The curve, a circle in layer 1. From layer 2 on its curvature is infinite where φ′ jumps;
      its metric is where φ jumps, and then the curvature is NaN.

    Raises:
      ValueError: a concrete argument out of its range.

    Source: Poole et al. 2016.
    """
    (weight_var,) = checked(weight_var=weight_var)
    q, weight_var = checked(var=var, weight_var=weight_var[..., None])

    def layer(curve, chi):
        metric, acceleration = curve
        first, second = chi
        return (first * metric, first * acceleration + 3 * second * metric**2), curve

    chis = (chi(activation, q, weight_var) for chi in (chi_1, chi_2))
    chis = tuple(jnp.moveaxis(chi, -1, 0) for chi in chis)
    _, (metric, acceleration) = jax.lax.scan(layer, (q[..., 0], q[..., 0]), chis)
    curvature = jnp.sqrt(acceleration) / metric
    return Curve(jnp.moveaxis(metric, 0, -1), jnp.moveaxis(curvature, 0, -1))
