r"""Signals in deep random networks: lengths, correlations and gradients, layer by layer.

.. math:: h^l = W^l x^{l-1} + b^l, \qquad x^l = \varphi(h^l), \qquad
    W^l_{ij} \sim N(0, \sigma_w^2/\text{fan\_in}), \quad b^l_i \sim N(0, \sigma_b^2)

As the widths grow, the units of a layer become independent, each Gaussian with variance q^l, and at
two inputs a Gaussian pair with correlation c^l. A layer maps these numbers to those of the next.
The first one is affine: :math:`q^1 = \sigma_w^2 |x|^2/d + \sigma_b^2`.

**Dropout.** A unit is kept with probability ρ and then divided by ρ: its mask has mean 1 and mean
square 1/ρ. So σ_w²/ρ stands for σ_w² in the length map. Two inputs have independent masks, so ρ
does not enter their covariance, and two equal inputs do not stay equal. A gradient passes the mask
of its own input: its mean square has a factor 1/ρ a layer.

**Errors** are those of :mod:`widelimit.theory.gaussian`: in float64 below 1e-12 of the largest
term, for the variances given there; closed forms are used where they are known. Arguments
broadcast; concrete ones are checked and traced ones are not. A variance of 0 is the limit q ↓ 0.
"""

from functools import partial
from math import pi

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from widelimit import closed_forms
from widelimit.activations import Activation
from widelimit.theory import gaussian
from widelimit.theory.arguments import Entries, checked, checked_depth

#: A slope within this of 1 counts as 1: slopes are known to about 1e-12.
RESOLUTION = 1e-10


def _positive(q):
    """q, or where it is 0 a number so small that every integral is at its limit."""
    return jnp.maximum(q, jnp.finfo(q.dtype).tiny ** 0.5)


def _second_derivative(phi):
    return phi.second_derivative or gaussian.slope_of(phi.derivative)


def mean_square(activation: Activation, var: Entries, order: int = 0) -> Float[Array, "*shape"]:
    r"""The mean square of φ or of a derivative of it.

    .. math:: \mathrm E[\varphi^{(k)}(u)^2], \qquad u \sim N(0, q)

    Args:
      activation: φ.
      var: q ≥ 0.
      order: k, 0, 1 or 2.

    Returns:
      The mean, ≥ 0. A jump of φ is a delta in φ′, one of φ′ a delta in φ″, and the mean square of a
      delta is infinite.

    Raises:
      ValueError: a concrete variance out of its range; another order.
    """
    if order not in (0, 1, 2):
        raise ValueError(f"order={order} must be 0, 1 or 2, for φ, φ′ or φ″.")
    return _mean_square(activation, order, *checked(var=var))


@partial(jax.jit, static_argnums=(0, 1))
def _mean_square(phi, order, q):
    if (order > 0 and any(phi.jumps)) or (order > 1 and any(phi.slope_jumps)):
        return jnp.full_like(q, jnp.inf)
    q = _positive(q)
    dual = phi.derivative_dual if order else phi.dual
    if dual:
        return (closed_forms.covariance_derivative(dual) if order == 2 else dual)(q, q, q)
    f = (phi.fn, phi.derivative, _second_derivative(phi))[order]
    return gaussian.expectation(lambda u: f(u) ** 2, q, phi.kinks)


@partial(jax.jit, static_argnums=0)
def _mean_square_slope(phi, q):
    """d/dq E[φ(u)²] = E[φ′² + φφ″], the jumps of φ and φ′ included."""
    if phi.dual and not phi.kinks:
        return jax.jvp(lambda q: phi.dual(q, q, q), (q,), (jnp.ones_like(q),))[1]
    q, second = _positive(q), _second_derivative(phi)
    value = gaussian.expectation(
        lambda u: phi.derivative(u) ** 2 + phi(u) * second(u), q, phi.kinks
    )
    # Half of (φ²)″ has at a kink δ times the jump of φφ′, and δ′ times half the jump of φ².
    for k, jump, slope_jump in zip(phi.kinks, phi.jumps, phi.slope_jumps, strict=True):
        at = jnp.full_like(q, k)
        density = jnp.exp(-(at**2) / (2 * q)) / jnp.sqrt(2 * pi * q)
        mean, slope = phi(at), phi.derivative(at)
        value += density * (mean * slope_jump + slope * jump + mean * jump * at / q)
    return value


def _length_map(phi, q, weight_var, bias_var, keep_prob):
    image = weight_var / keep_prob * _mean_square(phi, 0, q) + bias_var
    return jnp.where(jnp.isfinite(q), image, jnp.inf)


def length_map(
    activation: Activation,
    var: Entries,
    weight_var: Entries,
    bias_var: Entries,
    keep_prob: Entries = 1.0,
) -> Float[Array, "*shape"]:
    r"""The variance of the next layer's pre-activations.

    .. math:: q^{l+1} = \frac{\sigma_w^2}\rho\, \mathrm E[\varphi(u)^2] + \sigma_b^2,
        \qquad u \sim N(0, q^l)

    Args:
      activation: φ.
      var: q^l ≥ 0.
      weight_var: σ_w² ≥ 0.
      bias_var: σ_b² ≥ 0.
      keep_prob: ρ in (0, 1].

    Returns:
      q^{l+1}; infinite where it overflows.

    Raises:
      ValueError: a concrete argument out of its range.

    Source: Poole et al. 2016, chapter 3, equation (3.3); with dropout Schoenholz et al. 2017.
    """
    arguments = checked(var=var, weight_var=weight_var, bias_var=bias_var, keep_prob=keep_prob)
    return _length_map(activation, *arguments)


def length_slope(
    activation: Activation, var: Entries, weight_var: Entries, keep_prob: Entries = 1.0
) -> Float[Array, "*shape"]:
    r"""The derivative of the length map.

    .. math:: \frac{\partial q^{l+1}}{\partial q^l} = \frac{\sigma_w^2}\rho\,
        \mathrm E[\varphi'(u)^2 + \varphi(u)\varphi''(u)], \qquad u \sim N(0, q^l)

    Jumps of φ and φ′ enter φ″ as distributions: the slope of ReLU is σ_w²/2. At a fixed point it is
    at least −1/2, for √q·E[φ(u)²] never falls as q grows, being an integral of growing functions.

    Args:
      activation: φ.
      var: q^l ≥ 0.
      weight_var: σ_w² ≥ 0.
      keep_prob: ρ in (0, 1].

    Returns:
      The derivative, dimensionless.

    Raises:
      ValueError: a concrete argument out of its range.

    Source: Schoenholz et al. 2017; chapter 3, equation (3.5).
    """
    q, weight_var, keep_prob = checked(var=var, weight_var=weight_var, keep_prob=keep_prob)
    return weight_var / keep_prob * _mean_square_slope(activation, q)


def lengths(
    activation: Activation,
    var: Entries,
    depth: int,
    weight_var: Entries,
    bias_var: Entries,
    keep_prob: Entries = 1.0,
) -> Float[Array, "*shape {depth}"]:
    """The variances in all layers, by iterating the length map.

    Args:
      activation: φ.
      var: q¹ ≥ 0.
      depth: number of layers, ≥ 1.
      weight_var: σ_w² ≥ 0.
      bias_var: σ_b² ≥ 0.
      keep_prob: ρ in (0, 1].

    Returns:
      q¹, …, q^depth along a new last axis; infinite from where one overflows.

    Raises:
      ValueError: a concrete argument out of its range.

    Source: Poole et al. 2016.
    """
    arguments = checked(var=var, weight_var=weight_var, bias_var=bias_var, keep_prob=keep_prob)
    return _lengths(activation, checked_depth(depth), *arguments)


@partial(jax.jit, static_argnums=(0, 1))
def _lengths(phi, depth, q, *parameters):
    def layer(q, _):
        return _length_map(phi, q, *parameters), q

    return jnp.moveaxis(jax.lax.scan(layer, q, length=depth)[1], 0, -1)


def covariance_map(
    activation: Activation,
    var_u: Entries,
    var_v: Entries,
    cov: Entries,
    weight_var: Entries,
    bias_var: Entries,
) -> Float[Array, "*shape"]:
    r"""The covariance of the next layer's pre-activations at two inputs, dropout or not.

    .. math:: \sigma_w^2\, \mathrm E[\varphi(u)\varphi(v)] + \sigma_b^2

    Args:
      activation: φ.
      var_u: the variance at one input, ≥ 0.
      var_v: that at the other.
      cov: their covariance, \|cov\| ≤ √(var_u·var_v).
      weight_var: σ_w² ≥ 0.
      bias_var: σ_b² ≥ 0.

    Returns:
      The covariance, in the unit of q.

    Raises:
      ValueError: a concrete argument out of its range.

    Source: Poole et al. 2016.
    """
    q1, q2, cov, weight_var, bias_var = checked(
        var_u=var_u, var_v=var_v, cov=cov, weight_var=weight_var, bias_var=bias_var
    )
    return weight_var * gaussian.dual(activation, q1, q2, cov) + bias_var


def _pair_map(phi, q1, q2, c, *parameters):
    weight_var, bias_var, keep_prob = parameters
    next_1, next_2 = (_length_map(phi, q, *parameters) for q in (q1, q2))
    cov = weight_var * gaussian.dual(phi, q1, q2, c * jnp.sqrt(q1) * jnp.sqrt(q2)) + bias_var
    image = jnp.clip(cov / (jnp.sqrt(next_1) * jnp.sqrt(next_2)), -1, 1)
    # Equal inputs stay equal, whatever rounding does: where c = 1 repels it would show.
    equal = (c == 1) & (q1 == q2) & (keep_prob == 1)
    return next_1, next_2, jnp.where(equal, 1, image)


def correlation_map(
    activation: Activation,
    correlation: Entries,
    var: Entries,
    weight_var: Entries,
    bias_var: Entries,
    keep_prob: Entries = 1.0,
) -> Float[Array, "*shape"]:
    r"""The correlation of the next layer's pre-activations at two inputs of one variance.

    .. math:: c^{l+1} = \frac{\sigma_w^2\, \mathrm E[\varphi(u)\varphi(v)] + \sigma_b^2}{q^{l+1}}

    At the fixed point the denominator is q*. The map is a power series in c with coefficients ≥ 0
    (Mehler), so on [0, 1] it rises and is convex.

    Args:
      activation: φ.
      correlation: c^l in [−1, 1].
      var: q^l, at both inputs.
      weight_var: σ_w² ≥ 0.
      bias_var: σ_b² ≥ 0.
      keep_prob: ρ in (0, 1].

    Returns:
      c^{l+1}; NaN where q^{l+1} is 0.

    Raises:
      ValueError: a concrete argument out of its range.

    Source: Poole et al. 2016, chapter 3, equation (3.7); with dropout Schoenholz et al. 2017.
    """
    c, q, *parameters = checked(
        correlation=correlation,
        var=var,
        weight_var=weight_var,
        bias_var=bias_var,
        keep_prob=keep_prob,
    )
    return _pair_map(activation, q, q, c, *parameters)[2]


def correlations(
    activation: Activation,
    var_u: Entries,
    var_v: Entries,
    correlation: Entries,
    depth: int,
    weight_var: Entries,
    bias_var: Entries,
    keep_prob: Entries = 1.0,
) -> Float[Array, "*shape {depth}"]:
    """The correlations of two inputs in all layers; their variances are those of :func:`lengths`.

    Args:
      activation: φ.
      var_u: q¹ of one input.
      var_v: q¹ of the other.
      correlation: c¹ in [−1, 1].
      depth: number of layers, ≥ 1.
      weight_var: σ_w² ≥ 0.
      bias_var: σ_b² ≥ 0.
      keep_prob: ρ in (0, 1].

    Returns:
      c¹, …, c^depth along a new last axis; NaN from where a variance is 0 or infinite.

    Raises:
      ValueError: a concrete argument out of its range.

    Source: Poole et al. 2016.
    """
    arguments = checked(
        var_u=var_u,
        var_v=var_v,
        correlation=correlation,
        weight_var=weight_var,
        bias_var=bias_var,
        keep_prob=keep_prob,
    )
    return _correlations(activation, checked_depth(depth), *arguments)


@partial(jax.jit, static_argnums=(0, 1))
def _correlations(phi, depth, q1, q2, c, *parameters):
    def layer(pair, _):
        return _pair_map(phi, *pair, *parameters), pair[2]

    return jnp.moveaxis(jax.lax.scan(layer, (q1, q2, c), length=depth)[1], 0, -1)


def depth_scale(slope: Entries) -> Float[Array, "*shape"]:
    r"""The number of layers ξ in which what is multiplied by s in each layer shrinks e-fold.

    .. math:: \xi = -1/\log |s|

    ξ_q has the slope of the length map at q*, ξ_c that of the correlation map at c*, and ξ_∇ has
    χ₁/ρ, the growth of gradients backward.

    Args:
      slope: s.

    Returns:
      ξ in layers: +∞ within RESOLUTION of \|s\| = 1, negative above, where things grow.

    Source: Schoenholz et al. 2017.
    """
    size = jnp.abs(jnp.asarray(slope, float))
    return jnp.where(jnp.abs(size - 1) <= RESOLUTION, jnp.inf, -1 / jnp.log(size))
