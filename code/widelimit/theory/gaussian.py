r"""The integral everything reduces to: E[φ(u)ψ(v)] for a centred Gaussian pair (u, v).

Closed form where the activation has one, else the rule of :mod:`widelimit.theory.quadrature`, which
cuts exactly at kinks and resolves every scale from 1 to the standard deviation. All functions are
elementwise over arrays of variances and covariances, jittable, and differentiable. Pairs are mapped
over in small batches, so memory does not grow with their number; pass arrays rather than ``vmap``.

**Errors.** Quadrature errs by less than 1e-12·√(E[φ(u)²]·E[ψ(v)²]) in float64 and 1e-5 of it in
float32, for variances from 0 to 1e4 and all correlations, ±1 included, beyond what rounding the
inputs does to the result. This holds for φ and ψ which, away from 0 and their declared kinks,
behave like powers: it holds for every registered activation but three. For sin and cos, which
oscillate however far one goes, it holds to variance 10, and for exp to variance 4; their closed
forms hold everywhere.

**Checks.** A concrete argument out of range raises ``ValueError``. Under ``jit``, ``grad`` and
``vmap`` values are unknown, so nothing is checked there.

**Derivatives** are integrals too, never differentiated quadrature: with (q1, q2, c) the variances
and the covariance, ∂/∂c E[φψ] = E[φ′ψ′] and ∂/∂q1 E[φψ] = ½E[φ″ψ], where derivatives of kinked
activations are distributions (Price 1958). They are finite wherever the true derivative is.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from widelimit.activations import Activation
from widelimit.closed_forms import ratio
from widelimit.theory import price
from widelimit.theory.arguments import checked
from widelimit.theory.price import slope_of
from widelimit.theory.quadrature import ORDER, nodes_of_variance, total

#: The highest order of :func:`hermite_coefficients`.
HIGHEST_ORDER = 1000


def _checked_pair(var_u: ArrayLike, var_v: ArrayLike, cov: ArrayLike) -> list[Array]:
    q1, q2, c = checked(var_u=var_u, var_v=var_v, cov=cov)
    if not any(isinstance(x, jax.core.Tracer) for x in (q1, q2, c)):
        bound = np.sqrt(np.asarray(q1)) * np.sqrt(np.asarray(q2))
        excess = np.abs(np.asarray(c)) - bound
        bad = ~(excess <= 64 * np.finfo(c.dtype).eps * bound)
        if bad.any():
            first = np.argmax(bad)
            raise ValueError(
                f"cov contains {np.asarray(c).flat[first]}, but |cov| can be at most "
                f"√(var_u·var_v) = {bound.flat[first]}; clip it if it comes from rounding."
            )
    return [q1, q2, c]


def expectation(
    fn: Callable[[Array], Array],
    variance: Float[ArrayLike, "*shape"],
    kinks: tuple[float, ...] = (),
) -> Float[Array, "*shape"]:
    r"""Mean of f over a centred Gaussian.

    .. math:: E[f(u)], \qquad u \sim N(0, q)

    Args:
      fn: f, elementwise. It may close over traced values; gradients flow to them too.
      variance: q ≥ 0.
      kinks: where f or f′ jumps, or where f varies fast other than near 0.

    Returns:
      The mean, in f's units; f(0) where q = 0. Error below 1e-13·√E[f²] in float64 and 1e-5 of it
      in float32 for q ≤ 1e4, under the conditions at the top of the module. Costs 256 evaluations
      of f per entry, and 256 more per kink other than 0, held in memory together. The derivative
      in q is ½E[f″] for smooth f (at q = 0 too); with kinks it is E[f·(u²/q − 1)]/(2q), whose
      rounding error is 1e-15·√E[f²]/q, and 0 at q = 0.

    Raises:
      ValueError: a concrete variance that is negative, infinite or NaN.

    Example:
      >>> print(f"{expectation(abs, 4.0, kinks=(0.0,)):.4f}")  # 2·√(2/π)
      1.5958
    """
    (q,) = checked(variance=variance)
    kinks = tuple(map(float, kinks))
    u, _, _ = nodes_of_variance(kinks, q)
    pure, constants = jax.closure_convert(fn, u)
    return _expectation(pure, kinks, q, *constants)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _expectation(fn, kinks, q, *constants):
    u, _, weights = nodes_of_variance(kinks, q)
    return total(weights * fn(u, *constants))


@_expectation.defjvp
def _expectation_jvp(fn, kinks, primals, tangents):
    (q, *constants), (dq, *dconstants) = primals, tangents
    if kinks:  # differentiate the density: f may jump
        value = _expectation(fn, kinks, q, *constants)
        second = _expectation(lambda u, *rest: fn(u, *rest) * u**2, kinks, q, *constants)
        slope = ratio(ratio(second, q) - value, 2 * q)
    else:
        slope = _expectation(slope_of(slope_of(fn)), kinks, q, *constants) / 2
    u, _, weights = nodes_of_variance(kinks, jax.lax.stop_gradient(q))
    value, along = (
        jax.jvp(lambda *rest: total(weights * fn(u, *rest)), tuple(constants), tuple(dconstants))
        if constants
        else (_expectation(fn, kinks, q), 0)
    )
    return value, slope * dq + along


def hermite_coefficients(
    phi: Activation, variance: Float[ArrayLike, "*shape"], order: int
) -> Float[Array, "*shape {order}+1"]:
    r"""Coefficients of φ in the orthonormal Hermite polynomials.

    .. math:: a_k(q) = E[\varphi(\sqrt q\, z)\, \mathrm{he}_k(z)], \qquad z \sim N(0, 1)

    Then Σ a_k² = E[φ²] (Parseval), and Σ a_k(q1)·b_k(q2)·ρ^k = E[φ(u)ψ(v)] at correlation ρ
    (Mehler).

    Args:
      phi: φ.
      variance: q ≥ 0.
      order: the highest k, from 0 to HIGHEST_ORDER.

    Returns:
      a_0, …, a_order along a new last axis, in units of φ. Error below 1e-12·√E[φ²] in float64
      and 1e-5 of it in float32, for q ≤ 1e4. Differentiable in q > 0:
      ∂a_k/∂q = (√((k+1)(k+2))·a_{k+2} + k·a_k)/(2q); the derivative at q = 0 is set to 0.

    Raises:
      ValueError: a concrete variance that is negative, infinite or NaN; order out of range.

    Source: the Mehler kernel; as used for dual activations by Daniely, Frostig & Singer 2016.
    """
    if not 0 <= order <= HIGHEST_ORDER:
        raise ValueError(f"order={order} must be an integer from 0 to {HIGHEST_ORDER}.")
    (q,) = checked(variance=variance)
    return _hermite_coefficients(phi, order, q)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _hermite_coefficients(phi, order, q):
    # he_k has k zeros within ±2√k, so the nodes must grow with k.
    u, z, weights = nodes_of_variance(phi.kinks, q, ORDER + 2 * order)
    weighted = weights * phi(u)

    # The recurrence of hermite_polynomials, as a loop: a thousand steps written out would not
    # compile in reasonable time.
    def rise(pair, k):
        last, before = pair
        return ((z * last - jnp.sqrt(k) * before) / jnp.sqrt(k + 1), last), total(weighted * last)

    start = jnp.ones_like(z), jnp.zeros_like(z)
    _, found = jax.lax.scan(rise, start, jnp.arange(order + 1, dtype=q.dtype))
    return jnp.moveaxis(found, 0, -1)


@_hermite_coefficients.defjvp
def _hermite_coefficients_jvp(phi, order, primals, tangents):
    (q,), (dq,) = primals, tangents
    a = _hermite_coefficients(phi, order + 2, q)
    k = jnp.arange(order + 1, dtype=q.dtype).reshape((1,) * q.ndim + (order + 1,))
    raised = jnp.sqrt((k + 1) * (k + 2)) * a[..., 2:] + k * a[..., :-2]
    slope = ratio(raised, jnp.broadcast_to(2 * q[..., None], raised.shape))
    return a[..., :-2], slope * dq[..., None]


def product(
    phi: Activation,
    psi: Activation,
    var_u: Float[ArrayLike, "*#shape"],
    var_v: Float[ArrayLike, "*#shape"],
    cov: Float[ArrayLike, "*#shape"],
) -> Float[Array, "*shape"]:
    r"""Mean of a product of two activations over a centred Gaussian pair, by quadrature.

    .. math:: E[\varphi(u)\psi(v)], \qquad
        (u, v) \sim N\Bigl(0, \begin{pmatrix} q_1 & c \\ c & q_2 \end{pmatrix}\Bigr)

    Args:
      phi: φ.
      psi: ψ; may be φ itself, and then this is the check on :func:`dual`.
      var_u: q1 ≥ 0.
      var_v: q2 ≥ 0.
      cov: c, with \|c\| ≤ √(q1·q2). The three broadcast.

    Returns:
      The mean, in units of φ·ψ; error at the top of the module. Costs 65,536 evaluations of ψ per
      pair, more with kinks other than 0. First derivatives are exact; second ones too for
      continuous φ and ψ whose φ″ and ψ″ do not jump.

    Raises:
      ValueError: a concrete variance or covariance out of range or NaN.

    Source: derivatives by Price 1958.
    """
    return price.product(phi, psi, *_checked_pair(var_u, var_v, cov))


def dual(
    phi: Activation,
    var_u: Float[ArrayLike, "*#shape"],
    var_v: Float[ArrayLike, "*#shape"],
    cov: Float[ArrayLike, "*#shape"],
) -> Float[Array, "*shape"]:
    r"""The dual activation, :math:`E[\varphi(u)\varphi(v)]`: in closed form where one is known.

    Args:
      phi: φ.
      var_u: q1 ≥ 0, the variance of u.
      var_v: q2 ≥ 0, the variance of v.
      cov: their covariance, \|c\| ≤ √(q1·q2). The three broadcast.

    Returns:
      The mean, in units of φ². Closed forms err by less than 1e-13·√(E[φ(u)²]·E[φ(v)²]) in
      float64 (times 1 + q1 + q2 for sin, cos and exp), quadrature as :func:`product`.

    Raises:
      ValueError: a concrete variance or covariance out of range or NaN.

    Source: Daniely, Frostig & Singer 2016 for the name; :mod:`widelimit.closed_forms`.
    """
    return _dual(phi, *_checked_pair(var_u, var_v, cov))


# Compiled whole: operation by operation, the first call of a closed form takes seconds.
@partial(jax.jit, static_argnums=0)
def _dual(phi, q1, q2, c):
    return phi.dual(q1, q2, c) if phi.dual else price.product(phi, phi, q1, q2, c)


def derivative_dual(
    phi: Activation,
    var_u: Float[ArrayLike, "*#shape"],
    var_v: Float[ArrayLike, "*#shape"],
    cov: Float[ArrayLike, "*#shape"],
) -> Float[Array, "*shape"]:
    r"""The dual activation of the derivative, :math:`E[\varphi'(u)\varphi'(v)]`.

    It is ∂/∂c of :func:`dual`. A jump of φ enters φ′ as a Dirac delta: for the step function this
    is the density of (u, v) at 0, infinite at correlations ±1.

    Args:
      phi: φ.
      var_u: q1 ≥ 0, the variance of u.
      var_v: q2 ≥ 0, the variance of v.
      cov: their covariance, \|c\| ≤ √(q1·q2). The three broadcast.

    Returns:
      The mean, in units of φ′²; errors as for :func:`dual`, relative to √(E[φ′(u)²]·E[φ′(v)²]).

    Raises:
      ValueError: a concrete variance or covariance out of range or NaN.
    """
    arguments = _checked_pair(var_u, var_v, cov)
    if phi.derivative_dual:
        return phi.derivative_dual(*arguments)
    return price.covariance_derivative(phi, phi, *arguments)


def covariance_derivative(
    phi: Activation,
    psi: Activation,
    var_u: Float[ArrayLike, "*#shape"],
    var_v: Float[ArrayLike, "*#shape"],
    cov: Float[ArrayLike, "*#shape"],
) -> Float[Array, "*shape"]:
    r"""Derivative in the covariance, by quadrature.

    .. math:: \frac{\partial}{\partial c} E[\varphi(u)\psi(v)] = E[\varphi'(u)\psi'(v)]

    Args:
      phi: φ.
      psi: ψ.
      var_u: q1 ≥ 0, the variance of u.
      var_v: q2 ≥ 0, the variance of v.
      cov: their covariance, \|c\| ≤ √(q1·q2). The three broadcast.

    Returns:
      The derivative, in units of φ·ψ/c, jumps included as Dirac deltas; error as for
      :func:`product`, relative to √(E[φ′²]·E[ψ′²]) of the regular parts.

    Raises:
      ValueError: a concrete variance or covariance out of range or NaN.

    Source: Price 1958; chapter 1, equation (1.14).
    """
    return price.covariance_derivative(phi, psi, *_checked_pair(var_u, var_v, cov))


def variance_derivative(
    phi: Activation,
    psi: Activation,
    var_u: Float[ArrayLike, "*#shape"],
    var_v: Float[ArrayLike, "*#shape"],
    cov: Float[ArrayLike, "*#shape"],
) -> Float[Array, "*shape"]:
    r"""Derivative in the variance of u at fixed covariance, by quadrature.

    .. math:: \frac{\partial}{\partial q_1} E[\varphi(u)\psi(v)] = \tfrac12 E[\varphi''(u)\psi(v)]

    φ″ is a distribution: a jump of φ′ adds a Dirac delta, a jump of φ the derivative of one; both
    leave a one-dimensional integral. For the derivative in the variance of v swap the roles.

    Args:
      phi: φ.
      psi: ψ.
      var_u: q1 ≥ 0, the variance of u.
      var_v: q2 ≥ 0, the variance of v.
      cov: their covariance, \|c\| ≤ √(q1·q2). The three broadcast.

    Returns:
      The derivative, in units of φ·ψ/q1; error as for :func:`product`, relative to
      √(E[φ″²]·E[ψ²]) of the regular parts. At q1 = 0 a kink at 0 contributes 0, by convention.

    Raises:
      ValueError: a concrete variance or covariance out of range or NaN.

    Source: Price 1958.
    """
    return price.variance_derivative(phi, psi, *_checked_pair(var_u, var_v, cov))
