r"""Gaussian integrals of one activation at every variance and correlation at once.

A phase diagram asks for E[φ(u)²] at 40,000 variances and for E[φ(u)φ(v)] at as many pairs, again
and again. In polar coordinates the two parameters of a pair of equal variances come apart:

.. math:: u = R\cos(\alpha + \tfrac\theta2), \quad v = R\cos(\alpha - \tfrac\theta2), \qquad
    \alpha \text{ uniform}, \quad R \text{ of density } \tfrac Rq\, e^{-R^2/2q}

has variances q and correlation c = cos θ. The angle knows c and the radius knows q. So circle
averages are taken once an activation (:func:`profile`), and each variance costs one sum over fixed
radii. The same radii serve the one-dimensional integrals, with the density of u at ±R.

The pair is kept as the *chord*, the mean squared change of φ over that of its argument,

.. math:: D(q, c) = \frac{\mathrm E\,(\varphi(u) - \varphi(v))^2}{\mathrm E\,(u - v)^2}
    = \frac{\mathrm E\,\varphi(u)^2 - \mathrm E\,\varphi(u)\varphi(v)}{q\,(1 - c)}

since nothing cancels in it: it tends to E[φ′²] as c → 1. In θ it is analytic on [0, π/2], with
kinks too, and a Chebyshev polynomial interpolates it.

**Errors** in float64, for φ which away from 0 and its kinks behaves like a power. The
one-dimensional integrals have a relative error below 1e-12 for 1e-14 ≤ q ≤ 1e8. The chord has one
below 1e-11 for q ≤ 20 and 1e-8 for q ≤ 100, or 1e-6 if φ′ jumps elsewhere than at 0; rounding of φ
adds 1e-16·\|φ(0)\|/√(q·(1 − c)·D). For sin, cos and exp this holds to q = 20.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from widelimit.activations import Activation
from widelimit.theory.arguments import need_float64
from widelimit.theory.quadrature import places_of

#: Variances between which the integrals are good.
SMALLEST, LARGEST = 1e-14, 1e8
#: Gauss–Legendre nodes a piece, of radii and of angles; fewer would do for tanh, not for sin.
ORDER = 32
#: Chebyshev nodes in θ.
ANGLES = 48
#: The largest θ: a little beyond π/2, so that correlation 0 is inside.
LAST_ANGLE = 1.6
#: Values of φ and φ′ are cut off here, so that no square overflows. It changes nothing where the
#: integrals are finite: e^x is as large at x = 322, beyond the reach of variance 100.
CEILING = 1e140


class Profile(NamedTuple):
    """An activation as its Gaussian integrals see it; see :func:`profile`.

    Attributes:
      radii: R, increasing.
      square: φ(R)² + φ(−R)², times the weight of the radius.
      slope_square: the same for φ′.
      growth: the same for u·φ(u)·φ′(u).
      chord: Chebyshev coefficients in θ of the circle averages, times R and the weight.
      order: 2, or 1 where φ jumps: D ~ θ^(order − 2) as θ → 0.
    """

    radii: Float[Array, " radii"]
    square: Float[Array, " radii"]
    slope_square: Float[Array, " radii"]
    growth: Float[Array, " radii"]
    chord: Float[Array, "radii angles"]
    order: Float[Array, ""]


def _radial_rule(kinks: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Radii and weights for ∫ f(R) dR, good at every scale from √SMALLEST to √LARGEST.

    Gauss–Legendre on pieces of geometrically growing length. A circle that just reaches a kink adds
    powers of √(R − |k|), so pieces end there, and nodes squeezed quadratically towards the ends
    make them analytic. On the circle where u and v meet one kink each, whose radius depends on θ,
    nothing is cut; shorter pieces help.
    """
    kinks = {abs(k) for k in kinks if k}
    ratio = np.sqrt(2) if kinks else 4.0
    lowest, highest = np.sqrt(SMALLEST) / 8, np.sqrt(LARGEST) * 16
    pieces = int(np.ceil(np.log(highest / lowest) / np.log(ratio)))
    edges = np.array(sorted({0.0, *(lowest * ratio ** np.arange(pieces + 1)), *kinks}))
    nodes, weights = np.polynomial.legendre.leggauss(ORDER)
    share, weights = (nodes + 1) / 2, weights / 2
    if kinks:
        turn = np.pi / 2 * share
        share, weights = np.sin(turn) ** 2, weights * np.pi / 2 * np.sin(2 * turn)
    length = np.diff(edges)[:, None]
    return (edges[:-1, None] + length * share).ravel(), (length * weights).ravel()


def _circle_average(phi, radii, angle):
    """The mean of (φ(u) − φ(v))² over one circle of each radius."""
    nodes, weights = np.polynomial.legendre.leggauss(ORDER)
    unit_nodes = jnp.asarray((nodes + 1) / 2)[None, None]
    unit_weights = jnp.asarray(weights / 2)[None, None]
    # u and v change places under α → −α, so half the circle is enough. Cut where either of them
    # passes a kink of φ, or 0, about which smooth activations change fastest.
    places = jnp.asarray(places_of(phi.kinks))
    crossing = jnp.arccos(jnp.clip(places[None] / radii[:, None], -1, 1))
    ends = jnp.broadcast_to(jnp.asarray([0, jnp.pi]), (len(radii), 2))
    cuts = [ends, jnp.abs(crossing - angle / 2), jnp.pi - jnp.abs(jnp.pi - crossing - angle / 2)]
    cuts = jnp.sort(jnp.concatenate(cuts, axis=1), axis=1)[..., None]
    # From both ends of a piece to its middle, nodes as close as 1/R at the end.
    scale = jnp.maximum(radii, 1)[:, None, None]
    reach = jnp.arcsinh(scale * (cuts[:, 1:] - cuts[:, :-1]) / 2)
    offset = jnp.sinh(reach * unit_nodes) / scale
    weight = reach * unit_weights * jnp.cosh(reach * unit_nodes) / scale
    mean = 0.0
    for alpha in (cuts[:, :-1] + offset, cuts[:, 1:] - offset):
        u = _cut_off(phi(radii[:, None, None] * jnp.cos(alpha + angle / 2)))
        v = _cut_off(phi(radii[:, None, None] * jnp.cos(alpha - angle / 2)))
        mean += jnp.sum(weight * (u - v) ** 2, axis=(1, 2)) / jnp.pi
    return mean


def _cut_off(values):
    return jnp.clip(values, -CEILING, CEILING)


def profile(activation: Activation) -> Profile:
    """Everything that the integrals need of φ.

    Args:
      activation: φ.

    Returns:
      Its profile; some 10 million evaluations of φ.

    Raises:
      ValueError: JAX is not in 64-bit mode; φ jumps elsewhere than at 0; φ is NaN somewhere.
    """
    need_float64("phases")
    elsewhere = [k for k, j in zip(activation.kinks, activation.jumps, strict=True) if k and j]
    if elsewhere:
        raise ValueError(
            f"{activation.name} jumps at {elsewhere[0]}, and only jumps at 0 are integrated here; "
            "widelimit.theory.signal iterates the maps of any activation."
        )
    result = _profile(activation, *map(jnp.asarray, _radial_rule(activation.kinks)))
    bad = np.isnan(np.sum(np.asarray(result.chord), axis=1) + np.asarray(result.square))
    if bad.any():
        first = np.asarray(result.radii)[bad][0]
        raise ValueError(f"{activation.name} is NaN at {first:.3g} or {-first:.3g}; mend it there.")
    return result


@partial(jax.jit, static_argnums=0)
def _profile(phi, radii, weights):
    order = 1.0 if any(phi.jumps) else 2.0
    k = np.arange(ANGLES)
    half_turns = np.pi * (k + 0.5) / ANGLES
    angles = jnp.asarray((np.cos(half_turns) + 1) / 2 * LAST_ANGLE)
    transform = np.cos(half_turns[:, None] * k) * np.where(k == 0, 1, 2) / ANGLES

    def chord(angle):
        return _circle_average(phi, radii, angle) / (2 * jnp.sin(angle / 2)) ** order

    averages = jax.lax.map(chord, angles).T
    ends = jnp.stack([radii, -radii])
    value, slope = _cut_off(phi(ends)), _cut_off(phi.derivative(ends))
    folded = weights / jnp.sqrt(2 * jnp.pi)
    return Profile(
        radii,
        folded * jnp.sum(value**2, axis=0),
        folded * jnp.sum(slope**2, axis=0),
        folded * jnp.sum(ends * value * slope, axis=0),
        (weights * radii)[:, None] * (averages @ jnp.asarray(transform)),
        jnp.asarray(order),
    )


def _gaussian(profile, var):
    return jnp.exp(-(profile.radii**2) / (2 * var))


def second_moment(profile: Profile, var: Float[Array, ""]) -> Float[Array, ""]:
    """E[φ(u)²], u ~ N(0, q).

    Args:
      profile: that of φ.
      var: q, from SMALLEST to LARGEST.

    Returns:
      The mean, with the error at the top of the module.
    """
    return _gaussian(profile, var) @ profile.square / jnp.sqrt(var)


def second_moment_slope(profile: Profile, var: Float[Array, ""]) -> Float[Array, ""]:
    r"""The derivative of E[φ(u)²] in the variance, :math:`\mathrm E[u\,\varphi\varphi']/q`.

    Args:
      profile: that of φ.
      var: q, from SMALLEST to LARGEST.

    Returns:
      The derivative; error 1e-12·√(E[φ²]·E[φ′²]/q).
    """
    return _gaussian(profile, var) @ profile.growth / var**1.5


def slope_second_moment(profile: Profile, var: Float[Array, ""]) -> Float[Array, ""]:
    """E[φ′(u)²], u ~ N(0, q); infinite where φ jumps.

    Args:
      profile: that of φ.
      var: q, from SMALLEST to LARGEST.

    Returns:
      The mean, with the error at the top of the module.
    """
    regular = _gaussian(profile, var) @ profile.slope_square / jnp.sqrt(var)
    return jnp.where(profile.order == 2, regular, jnp.inf)


def chord_coefficients(profile: Profile, var: Float[Array, ""]) -> Float[Array, " angles"]:
    """Chebyshev coefficients of the chord D(q, cos θ) as a function of θ, for :func:`chord`.

    Args:
      profile: that of φ.
      var: q, from SMALLEST to LARGEST.

    Returns:
      The coefficients.
    """
    return _gaussian(profile, var) @ profile.chord / var**2


def chord(
    profile: Profile, coefficients: Float[Array, " angles"], angle: Float[Array, ""]
) -> Float[Array, ""]:
    """The chord D(q, cos θ), by Clenshaw's recurrence.

    Args:
      profile: that of φ.
      coefficients: from :func:`chord_coefficients`.
      angle: θ, above 0 and at most LAST_ANGLE.

    Returns:
      The chord, with the error at the top of the module.
    """
    x = 2 * angle / LAST_ANGLE - 1

    def step(pair, coefficient):
        last, before = pair
        return (coefficient + 2 * x * last - before, last), None

    zero = jnp.zeros_like(x)
    (last, before), _ = jax.lax.scan(step, (zero, zero), coefficients[:0:-1], unroll=8)
    series = coefficients[0] + x * last - before
    return series * (2 * jnp.sin(angle / 2)) ** (profile.order - 2)
