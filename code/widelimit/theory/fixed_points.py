r"""Where the maps of :mod:`widelimit.theory.signal` lead: the lengths q* and the correlations c*.

**Lengths.** From where q^l starts it goes to the next fixed point of the length map V above if
V(q) > q there, and to the next below if V(q) < q. This is plain where V rises. V may also fall, but
√q·V(q) never does: so log q^l overshoots a fixed point by half its distance at most, and the rule
holds unless another fixed point lies in that stretch. By the same reason V′(q*) ≥ −1/2, and no
fixed point loses its stability to a cycle. Without a next fixed point q^l vanishes or diverges.

**Correlations.** At q* the correlation map C is a power series with coefficients ≥ 0 (Mehler), and
so convex on [0, 1]. Without dropout C(1) = 1: then c* = 1 attracts if the slope there, χ₁, is at
most 1, and otherwise exactly one c* < 1 does. With dropout C(1) < 1, and there is exactly one c* in
either case. Unless C is the identity, C(c) > c for −1 < c < 0, so nothing below 0 attracts. With
the chord D of :mod:`widelimit.theory.polar`

.. math:: 1 - C(c) = \sigma_w^2 \Bigl((1 - c)\,D(q^*, c)
    + \bigl(\tfrac1\rho - 1\bigr) \tfrac{\mathrm E\,\varphi(u)^2}{q^*}\Bigr),

in which nothing cancels, however close c is to 1. Where q^l → 0, and where q^l → ∞ for homogeneous
φ, biases no longer count. There the map has the limit 1 − C(c) = ρ·(1 − c)·D·q/E[φ²] + 1 − ρ.

Lengths below 1e-14 count as 0 and above 1e8 as infinite. Two fixed points close to each other, of
which one attracts and the other repels, may be overlooked: within 4% between 1e-3 and 1e3, within a
third elsewhere. All this is for concrete arrays in 64-bit mode, not under ``jit``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from widelimit.activations import Activation
from widelimit.theory import polar
from widelimit.theory.arguments import Entries, checked
from widelimit.theory.signal import RESOLUTION

#: Lengths at which the sign of V(q) − q is read: 8 a decade, and 64 from 1e-3 to 1e3.
SCAN = np.union1d(np.geomspace(polar.SMALLEST, polar.LARGEST, 177), np.geomspace(1e-3, 1e3, 385))
#: Points worked on together; their weights at all radii take 6 MB.
POINTS_AT_ONCE = 1000


@dataclass(frozen=True)
class FixedPoint:
    """Where lengths and correlations go, at each point given to :func:`attractor`.

    Attributes:
      var: q*; 0 where q^l vanishes, ∞ where it diverges, the start where every q is fixed.
      length_slope: V′(q*). For q* = ∞ it is the limit of V(q)/q: above 1 q^l grows exponentially,
        at 1 like a power of l, at ∞ faster than exponentially.
      every_length: every q is a fixed point.
      chi_1: σ_w²·E[φ′²] at q*, or at 1e8 for q* = ∞; ∞ where φ jumps.
      correlation: c*, from 0 to 1; it attracts every correlation above −1, except where all are
        kept, and then it is 1. NaN where q^l → ∞ and φ is not homogeneous, so that no map is left.
      correlation_slope: the slope of the correlation map at c*.
    """

    var: Float[np.ndarray, "*shape"]
    length_slope: Float[np.ndarray, "*shape"]
    every_length: Bool[np.ndarray, "*shape"]
    chi_1: Float[np.ndarray, "*shape"]
    correlation: Float[np.ndarray, "*shape"]
    correlation_slope: Float[np.ndarray, "*shape"]


def attractor(
    activation: Activation,
    weight_var: Entries,
    bias_var: Entries,
    keep_prob: Entries = 1.0,
    start: float = 1.0,
) -> FixedPoint:
    """The fixed points that signals come to, at one point or on a grid.

    Args:
      activation: φ.
      weight_var: σ_w² ≥ 0.
      bias_var: σ_b² ≥ 0; a column of one and a row of the other make a grid.
      keep_prob: ρ in (0, 1].
      start: q¹, from 1e-14 to 1e8; it matters where several fixed points attract.

    Returns:
      Fixed points and slopes. For the activations that :mod:`widelimit.theory.polar` names q* has
      the relative error 1e-12/(1 − V′(q*)), which the rest inherits. Besides, V′ and χ₁ have the
      relative error 1e-12; c* and the slope there have the absolute error 1e-10 up to q* = 20 and
      1e-8 up to q* = 100, and 1e-6 where φ′ jumps elsewhere than at 0.

    Raises:
      ValueError: an argument out of its range; as :func:`widelimit.theory.polar.profile`.

    Source: Poole et al. 2016; Schoenholz et al. 2017.
    """
    if not polar.SMALLEST <= start <= polar.LARGEST:
        raise ValueError(f"start={start} must lie between {polar.SMALLEST} and {polar.LARGEST}.")
    parameters = checked(weight_var=weight_var, bias_var=bias_var, keep_prob=keep_prob)
    shape, size = parameters[0].shape, parameters[0].size
    # Whole blocks, the last one padded: compiled once, whatever the number of points.
    missing = max(1, -(-size // POINTS_AT_ONCE)) * POINTS_AT_ONCE - size
    padded = [np.pad(x.reshape(-1), (0, missing), constant_values=1) for x in parameters]
    scan = np.sort([*SCAN, start])
    block = partial(
        _attractors,
        polar.profile(activation),
        jnp.asarray(scan),
        int(np.searchsorted(scan, start)),
        activation.degree is not None,
    )
    blocks = zip(*(x.reshape(-1, POINTS_AT_ONCE) for x in padded), strict=True)
    fields = zip(*(block(*each) for each in blocks), strict=True)
    return FixedPoint(*(np.concatenate(x)[:size].reshape(shape) for x in fields))


@jax.jit
def _attractors(profile, scan, begin, homogeneous, *parameters):
    moments = jax.vmap(partial(polar.second_moment, profile))(scan)
    point = partial(_attractor, profile, scan, moments, begin, homogeneous)
    return jax.vmap(point)(*parameters)


def _attractor(profile, scan, moments, begin, homogeneous, weight_var, bias_var, keep_prob):
    weight = weight_var / keep_prob
    direction, _ = directions(scan, weight * moments + bias_var)
    rises, every = direction[begin] > 0, direction[begin] == 0
    index = jnp.arange(len(scan))
    above = jnp.min(jnp.where((index > begin) & (direction < 0), index, len(scan)))
    below = jnp.max(jnp.where((index < begin) & (direction > 0), index, -1))
    diverges, vanishes = rises & (above == len(scan)), ~rises & ~every & (below == -1)
    # Where there is none, nothing is looked for, between an end and itself.
    none = vanishes | diverges | every
    end = jnp.select([vanishes, diverges], [scan[0], scan[-1]], scan[begin])
    left = jnp.where(rises, above - 1, below)
    low, high = (jnp.where(none, end, scan[i]) for i in (left, left + 1))
    q = _length(profile, weight, bias_var, low, high, 1.0)
    length_slope = weight * polar.second_moment_slope(profile, q)
    length_slope = jnp.where(diverges, weight * _unit_growth(scan, moments), length_slope)
    chi_1 = jnp.where(weight_var > 0, weight_var * polar.slope_second_moment(profile, q), 0)

    moment = polar.second_moment(profile, q) / q
    limit = vanishes | diverges
    gain = jnp.where(limit, keep_prob / moment, weight_var)
    noise = jnp.where(limit, 1 - keep_prob, weight_var * (1 / keep_prob - 1) * moment)
    c, c_slope = _correlation(profile, q, gain, noise)
    lost = diverges & ~homogeneous
    c, c_slope = jnp.where(lost, jnp.nan, c), jnp.where(lost, jnp.nan, c_slope)
    q = jnp.select([vanishes, diverges], [0.0, jnp.inf], q)
    return q, length_slope, every, chi_1, c, c_slope


def directions(
    var: Float[Array, " lengths"], image: Float[Array, " lengths"]
) -> tuple[Float[Array, " lengths"], Bool[Array, " lengths"]]:
    """Whether a map takes lengths up or down.

    Args:
      var: lengths q, increasing.
      image: V(q).

    Returns:
      The sign of V(q) − q, and where rounding hides it: there the sign is that of a neighbour, and
      0 if it is hidden everywhere.
    """
    difference = image - var
    hidden = jnp.abs(difference) <= 1e-12 * jnp.maximum(image, var)
    sign = jnp.where(hidden, 0, jnp.sign(difference))
    known = jax.lax.cummax(jnp.where(hidden, -1, jnp.arange(len(var))))
    return sign[jnp.where(known < 0, jnp.argmin(hidden), known)], hidden


def _unit_growth(scan, moments):
    """The limit of E[φ²]/q as q → ∞: infinite if it still grows, beyond what tanh or GELU do."""
    last = moments[-1] / scan[-1]
    return jnp.where(last > 1.1 * jnp.interp(100, scan, moments) / 100, jnp.inf, last)


def root(
    fn: Callable[[Array], Array], low: Float[Array, ""], high: Float[Array, ""]
) -> Float[Array, ""]:
    """The point between two others at which a function passes through 0.

    Newton's method; a step out of the bracket is replaced by its middle.

    Args:
      fn: a function of one number, ≥ 0 at ``low`` and ≤ 0 at ``high``; jittable.
      low: one end of the bracket.
      high: the other.

    Returns:
      The root. The last step was below 1e-8 of it, and the error is of the order of its square.
    """

    def step(state):
        low, high, x, _, count = state
        value, slope = jax.jvp(fn, (x,), (jnp.ones_like(x),))
        low, high = jnp.where(value >= 0, x, low), jnp.where(value <= 0, x, high)
        newton = x - value / slope
        new = jnp.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
        return low, high, new, jnp.abs(new - x) > 1e-8 * jnp.abs(x), count + 1

    start = (low, high, (low + high) / 2, jnp.array(True), 0)
    return jax.lax.while_loop(lambda state: state[3] & (state[4] < 60), step, start)[2]


def _length(profile, weight, bias_var, low, high, sign):
    """q* between two lengths, V(q) − q having that sign at the first of them."""

    def excess(q):
        return sign * (weight * polar.second_moment(profile, q) + bias_var - q)

    # A little wider: where q* is one of the two, rounding gives it either side.
    wide = jnp.where(low < high, 1e-3, 0)
    return root(excess, (1 - wide) * low, (1 + wide) * high)


def _correlation(profile, q, gain, noise):
    """c* and the slope there of the map 1 − C(c) = gain·(1 − c)·D(q, c) + noise."""
    chord = partial(polar.chord, profile, polar.chord_coefficients(profile, q))

    def excess(angle):  # (c − C(c))/(1 − c), from ≥ 0 near c = 1 to ≤ 0 at c = 0
        return gain * chord(angle) + noise / (2 * jnp.sin(angle / 2) ** 2) - 1

    slope_at_1 = gain * polar.slope_second_moment(profile, q)
    equal = (noise == 0) & (slope_at_1 <= 1 + RESOLUTION)
    last = jnp.full_like(q, polar.LAST_ANGLE)
    angle = root(excess, jnp.where(equal, last, 0), last)  # nothing to look for where c* = 1
    value, change = jax.jvp(chord, (angle,), (jnp.ones_like(angle),))
    slope = gain * (value + jnp.tan(angle / 2) * change)  # of (1 − c)·D, in θ, over sin θ
    c = jnp.where(equal, 1, jnp.clip(jnp.cos(angle), 0, 1))
    return c, jnp.where(equal, slope_at_1, slope)


@dataclass(frozen=True)
class LengthFixedPoints:
    """The fixed points of one length map V.

    Attributes:
      var: q*, increasing, 0 included if it is one; empty where every q is one.
      slope: V′(q*) at each: it attracts below 1 and repels above.
      growth: the limit of V(q)/q as q → ∞: above 1 large lengths diverge.
      every_length: every q is a fixed point.
    """

    var: Float[np.ndarray, " points"]
    slope: Float[np.ndarray, " points"]
    growth: float
    every_length: bool


def length_fixed_points(
    activation: Activation, weight_var: float, bias_var: float, keep_prob: float = 1.0
) -> LengthFixedPoints:
    """All fixed points of the length map, those that repel among them.

    Args:
      activation: φ.
      weight_var: σ_w² ≥ 0.
      bias_var: σ_b² ≥ 0.
      keep_prob: ρ in (0, 1].

    Returns:
      The fixed points, with the errors of :func:`attractor`.

    Raises:
      ValueError: as :func:`attractor`.
    """
    parameters = checked(weight_var=weight_var, bias_var=bias_var, keep_prob=keep_prob)
    weight, bias = parameters[0] / parameters[2], parameters[1]
    profile, scan = polar.profile(activation), jnp.asarray(SCAN)
    direction, growth = _scan(profile, scan, weight, bias)
    if not direction.any():
        return LengthFixedPoints(np.array([]), np.array([]), float(growth), True)
    left = np.flatnonzero(np.diff(direction))
    var = _lengths(profile, weight, bias, scan[left], scan[left + 1], direction[left])
    slope = weight * _slopes(profile, jnp.concatenate([scan[:1], var]))
    silent = float(activation(jnp.zeros(()))) == 0 and not any(activation.jumps)
    first = 0 if (silent and bias == 0) or direction[0] < 0 else 1
    return LengthFixedPoints(
        np.array([0.0, *var])[first:], np.asarray(slope)[first:], float(growth), False
    )


_lengths = jax.jit(jax.vmap(_length, in_axes=(None, None, None, 0, 0, 0)))
_slopes = jax.jit(jax.vmap(polar.second_moment_slope, in_axes=(None, 0)))


@jax.jit
def _scan(profile, scan, weight, bias):
    moments = jax.vmap(partial(polar.second_moment, profile))(scan)
    return directions(scan, weight * moments + bias)[0], weight * _unit_growth(scan, moments)
