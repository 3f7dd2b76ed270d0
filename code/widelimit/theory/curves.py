r"""A circle on its way through a wide random network: its lengths, its bends, its harmonics.

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

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from widelimit.activations import Activation
from widelimit.theory import angle_map
from widelimit.theory.arguments import Entries, checked
from widelimit.theory.susceptibility import chi_1, chi_2

#: Points of the circle at which :func:`harmonics` knows the covariance.
POINTS = 4096


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
    activation: Activation,
    var: Float[ArrayLike, "*#shape depth"],
    weight_var: Entries,
    metric: Entries | None = None,
) -> Curve:
    """What the network makes of a circle; the derivation is at the top of the module.

    Args:
      activation: φ.
      var: q¹, …, q^L along the last axis, > 0; q* in every layer at the fixed point.
      weight_var: σ_w² > 0.
      metric: g_1, the mean square of the radius in layer 1; q¹ if left out. A circle in the input
        has q¹ − σ_b², as biases do not move along it.

    Returns:
      The curve, a circle in layer 1. From layer 2 on its curvature is infinite where φ′ jumps;
      its metric is where φ jumps, and then the curvature is NaN.

    Raises:
      ValueError: a concrete argument out of its range; a metric above q¹.

    Source: Poole et al. 2016; chapter 3, equations (3.15) and (3.16).
    """
    (q,), (weight_var,) = checked(var=var), checked(weight_var=weight_var)
    metric = q[..., 0] if metric is None else metric
    weight_var, metric, first = checked(weight_var=weight_var, metric=metric, var=q[..., 0])
    concrete = not any(isinstance(x, jax.core.Tracer) for x in (metric, first))
    if concrete and not (metric <= first).all():
        raise ValueError(f"metric={metric} must not exceed {first}, the variance in layer 1.")
    q, weight_var, metric = checked(
        var=q, weight_var=weight_var[..., None], metric=metric[..., None]
    )

    def layer(curve, chi):
        metric, acceleration = curve
        first, second = chi
        return (first * metric, first * acceleration + 3 * second * metric**2), curve

    chis = (chi(activation, q, weight_var) for chi in (chi_1, chi_2))
    chis = tuple(jnp.moveaxis(chi, -1, 0) for chi in chis)
    _, (metric, acceleration) = jax.lax.scan(layer, (metric[..., 0], metric[..., 0]), chis)
    curvature = jnp.sqrt(acceleration) / metric
    return Curve(jnp.moveaxis(metric, 0, -1), jnp.moveaxis(curvature, 0, -1))


def harmonics(
    activation: Activation, var: float, depth: int, weight_var: float, metric: float | None = None
) -> Float[np.ndarray, "{depth} frequencies"]:
    r"""How a unit's variance along the circle is divided among the frequencies.

    Along the circle a unit is a stationary Gaussian process with covariance k(τ), so its Fourier
    coefficients are independent. That of frequency m has, cosine and sine together, the variance

    .. math:: v_0 = \hat k_0, \quad v_m = 2\hat k_m, \qquad
        \hat k_m = \frac1{2\pi}\int_0^{2\pi} k(\tau) \cos m\tau\, d\tau, \qquad
        \sum_m v_m = q

    Args:
      activation: φ.
      var: q*, the variance in every layer.
      depth: number of layers, ≥ 1.
      weight_var: σ_w² ≥ 0; with it q* fixes σ_b².
      metric: g_1, as for :func:`circle`, between 0 and q*; q* if left out.

    Returns:
      v_m in layers 1, …, depth, for m = 0, …, POINTS/2 − 1. The error is what the layer has beyond
      that frequency, and 1e-9·q* for smooth φ up to q* = 20, times χ₁ for each layer in chaos.

    Raises:
      ValueError: an argument out of its range.

    Source: chapter 3, equation (3.17); Poole et al. 2016 measure the same by principal components.
    """
    metric = var if metric is None else metric
    if not 0 <= metric <= var:
        raise ValueError(f"metric={metric} must lie between 0 and var={var}, the part that moves.")
    layer = angle_map.at_fixed_point(activation, var, weight_var)
    tau = np.linspace(0, np.pi, POINTS // 2 + 1)
    half = var * layer.layers((metric * np.cos(tau) + (var - metric)) / var, depth)
    around = np.concatenate([half, half[:, -2:0:-1]], axis=1)
    found = np.fft.rfft(around, axis=1).real[:, :-1] / POINTS
    found[:, 1:] *= 2
    return found
