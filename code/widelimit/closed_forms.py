r"""Closed forms of E[φ(u)φ(v)] for a centred Gaussian pair with variances q1, q2 and covariance c.

Every function here is elementwise, takes its three arguments in one shape and dtype, checks
nothing, and is differentiable. The determinant D = q1·q2 − c² is where accuracy is won or lost:
angles are computed from √D and c, which keeps all digits at correlations ±1, where
arccos(c/√(q1·q2)) loses half of them.

Errors, unless stated: below 1e-13·√(E[φ(u)²]·E[φ(v)²]) in float64 and 1e-5 of it in float32,
beyond what rounding the inputs themselves does to the result.

Source: Cho & Saul 2009 for the step and ReLU (arc-cosine kernels of order 0 and 1); Williams 1997
for erf; the others are derived where they stand.
"""

from collections.abc import Callable
from math import comb, factorial, pi

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

#: Numbers of any shape, elementwise.
Entry = Float[Array, "*shape"]
#: (q1, q2, c) ↦ E[φ(u)φ(v)], elementwise.
Dual = Callable[[Entry, Entry, Entry], Entry]


def ratio(numerator: Entry, denominator: Entry) -> Entry:
    """The quotient, and 0 where the denominator is 0, with gradients that are never NaN.

    Args:
      numerator: any numbers.
      denominator: of the same shape.

    Returns:
      The quotient, elementwise.
    """
    zero = denominator == 0
    return jnp.where(zero, 0, numerator / jnp.where(zero, 1, denominator))


@jax.custom_jvp
def determinant(q1: Entry, q2: Entry, cov: Entry) -> Entry:
    r"""The determinant :math:`D = q_1 q_2 - c^2` of the covariance; not clipped at 0.

    Factored as (g − c)(g + c) with g = √(q1·q2): for q1 = q2 the root is exact in IEEE arithmetic,
    so D vanishes exactly on the diagonal, and a compiler that fuses multiply and add (XLA does)
    cannot spoil it, as it does q1·q2 − c·c.
    """
    geometric = jnp.sqrt(q1 * q2)
    return (geometric - cov) * (geometric + cov)


@determinant.defjvp
def _determinant_jvp(primals, tangents):
    (q1, q2, cov), (dq1, dq2, dcov) = primals, tangents
    return determinant(q1, q2, cov), q2 * dq1 + q1 * dq2 - 2 * cov * dcov


def root_determinant(q1: Entry, q2: Entry, cov: Entry) -> Entry:
    """√D, with D clipped at 0 and the derivative at D = 0 set to 0."""
    det = determinant(q1, q2, cov)
    positive = det > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, det, 1)), 0)


def covariance_derivative(dual: Dual) -> Dual:
    r"""The dual of φ′ from that of a smooth φ: :math:`\partial_c E[φ(u)φ(v)] = E[φ'(u)φ'(v)]`.

    Args:
      dual: that of φ.

    Returns:
      That of φ′.
    """

    def derivative(q1: Entry, q2: Entry, cov: Entry) -> Entry:
        return jax.jvp(lambda c: dual(q1, q2, c), (cov,), (jnp.ones_like(cov),))[1]

    return derivative


def density_at_zero(q1: Entry, q2: Entry, cov: Entry) -> Entry:
    r"""The density of (u, v) at the origin, :math:`1/(2\pi\sqrt D)`: the dual of Dirac's delta.

    Infinite at correlations ±1; 0 by convention at zero variance.
    """
    point_mass = (q1 == 0) | (q2 == 0)
    return jnp.where(point_mass, 0, 1 / (2 * pi * root_determinant(q1, q2, cov)))


def _angle(opposite: Entry, adjacent: Entry, length: Entry) -> Entry:
    """The angle in [0, π] of a right triangle with opposite side ≥ 0, and its longest side.

    By half the angle: on CPUs XLA's arctan2 takes eight times as long as its arctan.
    """
    behind = adjacent < 0
    longer = length + jnp.abs(adjacent)
    tangent = jnp.where(behind, longer, opposite) / jnp.where(behind, opposite, longer)
    return 2 * jnp.arctan(tangent)


def _supplement(q1: Entry, q2: Entry, cov: Entry) -> Entry:
    """π − θ, for θ the angle whose cosine is the correlation; π/2 at zero variance."""
    root, length = root_determinant(q1, q2, cov), jnp.sqrt(q1 * q2)
    # A zero vector makes every angle with its neighbours: as a constant it is independent of them.
    constant = (q1 == 0) | (q2 == 0)
    return _angle(jnp.where(constant, 1, root), -cov, jnp.where(constant, 1, length))


@jax.custom_jvp
def step(q1: Entry, q2: Entry, cov: Entry) -> Entry:
    r"""Dual of the step function, :math:`(\pi - \theta)/2\pi`: the chance that both are positive.

    Its derivative is infinite at correlations ±1, and so is what is returned there.
    """
    return _supplement(q1, q2, cov) / (2 * pi)


@step.defjvp
def _step_jvp(primals, tangents):
    (q1, q2, cov), (dq1, dq2, dcov) = primals, tangents
    # Only the correlation counts, so the variances enter through it; one product with the density,
    # which may be infinite, keeps ∞ − ∞ out of the gradient.
    along = dcov - ratio(cov, 2 * q1) * dq1 - ratio(cov, 2 * q2) * dq2
    return step(q1, q2, cov), density_at_zero(q1, q2, cov) * along


def _sine_excess(t: Entry) -> Entry:
    """The series of sin t − t·cos t, for t ≤ 1/2, where the difference would cancel."""
    terms = range(1, 8)
    return sum((-1) ** (k + 1) * (2 * k / factorial(2 * k + 1)) * t ** (2 * k + 1) for k in terms)


@jax.custom_jvp
def relu(q1: Entry, q2: Entry, cov: Entry) -> Entry:
    r"""Dual of ReLU, :math:`\bigl(\sqrt D + (\pi - \theta)\,c\bigr)/2\pi`.

    Gradients are finite at correlations ±1. At zero variance, where K ~ √q1·√q2 has no gradient,
    the derivative in the vanishing variance is set to 0.

    Source: chapter 1, equation (1.16).
    """
    supplement = _supplement(q1, q2, cov)
    near = supplement < 0.5  # correlation near −1: the two terms cancel
    series = jnp.sqrt(q1 * q2) * _sine_excess(jnp.where(near, supplement, 0))
    direct = root_determinant(q1, q2, cov) + supplement * cov
    return jnp.where(near, series, direct) / (2 * pi)


@relu.defjvp
def _relu_jvp(primals, tangents):
    (q1, q2, cov), (dq1, dq2, dcov) = primals, tangents
    # Homogeneity: 2·q1·∂K/∂q1 + c·∂K/∂c = K, and K − c·∂K/∂c = √D/2π without cancellation.
    root = root_determinant(q1, q2, cov) / (4 * pi)
    variances = ratio(root, q1) * dq1 + ratio(root, q2) * dq2
    return relu(q1, q2, cov), step(q1, q2, cov) * dcov + variances


def two_slopes(slope: float) -> Dual:
    r"""Dual of max(x, 0) + a·min(x, 0): :math:`(1 + a^2)\,R(c) - 2a\,R(-c)`, R that of ReLU.

    φ(x) = r(x) − a·r(−x) with r = ReLU; multiply out, and flip the sign of u, v or both.

    Args:
      slope: a.

    Returns:
      The dual.
    """

    def dual(q1: Entry, q2: Entry, cov: Entry) -> Entry:
        return (1 + slope**2) * relu(q1, q2, cov) - 2 * slope * relu(q1, q2, -cov)

    return dual


def two_levels(low: float) -> Dual:
    r"""Dual of 1 for x > 0, a for x < 0: :math:`(1 + a^2)\,S(c) + 2a\,S(-c)`, S that of the step.

    At 0 the function takes the mean of its two values.

    Args:
      low: a.

    Returns:
      The dual.
    """

    def dual(q1: Entry, q2: Entry, cov: Entry) -> Entry:
        return (1 + low**2) * step(q1, q2, cov) + 2 * low * step(q1, q2, -cov)

    return dual


def two_impulses(jump: float) -> Dual:
    """Dual of the derivative of a function that jumps at 0 and is constant elsewhere.

    Args:
      jump: by how much the function jumps.

    Returns:
      The dual: the jump squared times :func:`density_at_zero`.
    """

    def dual(q1: Entry, q2: Entry, cov: Entry) -> Entry:
        return jump**2 * density_at_zero(q1, q2, cov)

    return dual


def erf(q1: Entry, q2: Entry, cov: Entry) -> Entry:
    r"""Dual of erf, :math:`\tfrac2\pi \arcsin\frac{2c}{\sqrt{(1+2q_1)(1+2q_2)}}`, as an arctan.

    Source: chapter 1, equation (1.15).
    """
    det = 1 + 2 * q1 + 2 * q2 + 4 * determinant(q1, q2, cov)
    return 2 / pi * jnp.arctan(2 * cov / jnp.sqrt(det))


def gelu(q1: Entry, q2: Entry, cov: Entry) -> Entry:
    r"""Dual of GELU, x·Φ(x) with Φ the normal distribution function.

    .. math:: K = c\,P + \frac{1}{2\pi\sqrt\Delta}\Bigl(D + \frac{c^2 (2 + q_1 + q_2)}
        {(1 + q_1)(1 + q_2)}\Bigr), \qquad \Delta = (1 + q_1)(1 + q_2) - c^2

    P = E[Φ(u)Φ(v)] is the chance that u − x and v − y are both positive, x and y independent
    standard normals: a step dual with variances 1 + q1, 1 + q2. Two integrations by parts give
    E[uvf] = c·P + q1·c·P₁₁ + (q1·q2 + c²)·P₁₂ + q2·c·P₂₂ for f = Φ(u)Φ(v), where
    P₁₂ = ∂P/∂c = 1/(2π√Δ) and P₁₁ = 2·∂P/∂q1 = −c·P₁₂/(1 + q1). Every term of the bracket is
    positive, so nothing cancels there.
    """
    det = determinant(q1, q2, cov)
    root = jnp.sqrt(1 + q1 + q2 + det)
    both_positive = _angle(root, -cov, jnp.sqrt((1 + q1) * (1 + q2))) / (2 * pi)
    bracket = det + cov**2 * (2 + q1 + q2) / ((1 + q1) * (1 + q2))
    return cov * both_positive + bracket / (2 * pi * root)


def exponential(q1: Entry, q2: Entry, cov: Entry) -> Entry:
    """Dual of exp, e^((q1 + q2)/2 + c); relative error 1e-15·(1 + q1 + q2), inf on overflow."""
    return jnp.exp((q1 + q2) / 2 + cov)


def cosine(q1: Entry, q2: Entry, cov: Entry) -> Entry:
    """Dual of cos, e^(−(q1 + q2)/2)·cosh c; relative error 1e-15·(1 + q1 + q2)."""
    half = (q1 + q2) / 2
    return (jnp.exp(cov - half) + jnp.exp(-cov - half)) / 2


def sine(q1: Entry, q2: Entry, cov: Entry) -> Entry:
    """Dual of sin, e^(−(q1 + q2)/2)·sinh c; relative error 1e-15·(1 + q1 + q2)."""
    half = (q1 + q2) / 2

    def positive(c: Entry) -> Entry:  # c ≥ 0: no overflow, and no cancellation near 0
        return -jnp.exp(c - half) * jnp.expm1(-2 * c) / 2

    above = cov >= 0
    return jnp.where(
        above, positive(jnp.where(above, cov, 0)), -positive(jnp.where(above, 0, -cov))
    )


def monomial(power: int) -> Dual:
    r"""Dual of x^p (Isserlis): j pairs join u to v, and the rest pair among themselves.

    .. math:: \sum_{j \equiv p} j!\,\tbinom pj^2\,\bigl((p-j-1)!!\bigr)^2\,c^j (q_1 q_2)^{(p-j)/2}

    Args:
      power: p ≥ 1.

    Returns:
      The dual.
    """

    def pairings(n: int) -> int:  # (n − 1)!!, the ways to pair n things
        return factorial(n) // (2 ** (n // 2) * factorial(n // 2))

    def dual(q1: Entry, q2: Entry, cov: Entry) -> Entry:
        return sum(
            factorial(j)
            * float(comb(power, j) * pairings(power - j)) ** 2
            * cov**j
            * (q1 * q2) ** ((power - j) // 2)
            for j in range(power % 2, power + 1, 2)
        )

    return dual


def hermite(degree: int) -> Dual:
    r"""Dual of he_k = He_k/√k!, at variances that need not be 1.

    .. math:: \sum_{j + 2i = k} \frac{k!}{j!\,(i!)^2}\; c^j
        \Bigl(\frac{(q_1 - 1)(q_2 - 1)}{4}\Bigr)^i

    The coefficient of (st)^k in E[exp(su − s²/2 + tv − t²/2)] = exp(½(q1−1)s² + ½(q2−1)t² + cst).

    Args:
      degree: k ≥ 0.

    Returns:
      The dual.
    """

    def dual(q1: Entry, q2: Entry, cov: Entry) -> Entry:
        away = (q1 - 1) * (q2 - 1) / 4
        return sum(
            factorial(degree)
            / (factorial(degree - 2 * i) * factorial(i) ** 2)
            * cov ** (degree - 2 * i)
            * away**i
            for i in range(degree // 2 + 1)
        )

    return dual


def scaled(factor: float, dual: Dual) -> Dual:
    """A dual times a constant.

    Args:
      factor: the constant.
      dual: the dual.

    Returns:
      Their product, a dual.
    """
    return lambda q1, q2, cov: factor * dual(q1, q2, cov)
