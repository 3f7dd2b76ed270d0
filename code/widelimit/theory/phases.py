r"""Order, chaos, and the line between them: the phase diagram of a random network.

Without dropout, signals that differ a little come together in the ordered phase (χ₁ < 1 at q*) and
part in the chaotic one (χ₁ > 1); gradients vanish and explode there. With dropout c* is below 1
everywhere, so that signals show no transition, and the phases tell of gradients alone: they grow by
χ₁/ρ a layer. As q* and χ₁/ρ depend on σ_w²/ρ and σ_b², dropout shifts the critical line from σ_w²
to ρ·σ_w².

Source: Poole et al. 2016; Schoenholz et al. 2017.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from widelimit.activations import Activation
from widelimit.theory import fixed_points, polar
from widelimit.theory.arguments import Entries, checked
from widelimit.theory.signal import RESOLUTION, depth_scale, length_slope, mean_square

#: Fate of a length: q^l → 0.
VANISHES = "vanishes"
#: Fate of a length: q^l → q*, with 0 < q* < ∞.
CONVERGES = "converges"
#: Fate of a length: every q is a fixed point.
PRESERVED = "preserved"
#: Fate of a length: q^l → ∞ while V(q)/q → 1, V the length map; linearly in l for ReLU with biases.
GROWS_POLYNOMIALLY = "grows polynomially"
#: Fate of a length: q^l → ∞ while V(q)/q → r, 1 < r < ∞; as r^l.
GROWS_EXPONENTIALLY = "grows exponentially"
#: Fate of a length: q^l → ∞ while V(q)/q → ∞.
GROWS_FASTER = "grows faster than exponentially"

#: Phase with χ₁/ρ < 1: gradients vanish; without dropout c* = 1 wherever q* > 0.
ORDERED = "ordered"
#: Phase with χ₁/ρ = 1 within RESOLUTION.
CRITICAL = "critical"
#: Phase with χ₁/ρ > 1: gradients explode; c* < 1.
CHAOTIC = "chaotic"
#: Phase without q*: q^l → ∞.
DIVERGING = "diverging"


@dataclass(frozen=True)
class PhaseDiagram:
    """Fixed points, what they are called, and how fast they are approached, at each point.

    Attributes:
      phase: one of the four phases above.
      fate: what becomes of q^l: one of the six fates above.
      var: q*; 0, ∞ or the start if the fate says so.
      length_slope: V′(q*); for q* = ∞ the limit of V(q)/q.
      chi_1: χ₁ at q*, or at 1e8 for q* = ∞; ∞ where φ jumps.
      correlation: c*, and NaN where q^l → ∞ and φ is not homogeneous.
      correlation_slope: the slope of the correlation map at c*.
      xi_q: depth scale of q^l − q*, in layers; negative where q^l grows exponentially.
      xi_c: depth scale of c^l − c*, in layers.
      xi_grad: depth scale of gradients squared, backward, in layers; negative where they explode.
    """

    phase: Shaped[np.ndarray, "*shape"]
    fate: Shaped[np.ndarray, "*shape"]
    var: Float[np.ndarray, "*shape"]
    length_slope: Float[np.ndarray, "*shape"]
    chi_1: Float[np.ndarray, "*shape"]
    correlation: Float[np.ndarray, "*shape"]
    correlation_slope: Float[np.ndarray, "*shape"]
    xi_q: Float[Array, "*shape"]
    xi_c: Float[Array, "*shape"]
    xi_grad: Float[Array, "*shape"]


def phase_diagram(
    activation: Activation,
    weight_var: Entries,
    bias_var: Entries,
    keep_prob: Entries = 1.0,
    start: float = 1.0,
) -> PhaseDiagram:
    """The phase of a network, at one point or on a grid.

    Args:
      activation: φ.
      weight_var: σ_w² ≥ 0.
      bias_var: σ_b² ≥ 0; a column of one and a row of the other make a grid.
      keep_prob: ρ in (0, 1].
      start: q¹, from 1e-14 to 1e8; it matters where several fixed points attract.

    Returns:
      The diagram, with the errors of :func:`widelimit.theory.fixed_points.attractor`; a depth scale
      ξ inherits the error of its slope times ξ.

    Raises:
      ValueError: as :func:`widelimit.theory.fixed_points.attractor`.

    Source: Poole et al. 2016; Schoenholz et al. 2017.
    """
    point = fixed_points.attractor(activation, weight_var, bias_var, keep_prob, start)
    rate = point.length_slope
    growth = point.chi_1 / np.asarray(checked(keep_prob=keep_prob)[0])
    fates = {
        PRESERVED: point.every_length,
        VANISHES: point.var == 0,
        CONVERGES: point.var < np.inf,
        GROWS_FASTER: rate == np.inf,
        GROWS_EXPONENTIALLY: rate > 1 + RESOLUTION,
    }
    phases = {
        DIVERGING: point.var == np.inf,
        ORDERED: growth < 1 - RESOLUTION,
        CHAOTIC: growth > 1 + RESOLUTION,
    }
    return PhaseDiagram(
        phase=np.select(list(phases.values()), list(phases), CRITICAL),
        fate=np.select(list(fates.values()), list(fates), GROWS_POLYNOMIALLY),
        var=point.var,
        length_slope=rate,
        chi_1=point.chi_1,
        correlation=point.correlation,
        correlation_slope=point.correlation_slope,
        xi_q=depth_scale(rate),
        xi_c=depth_scale(point.correlation_slope),
        xi_grad=depth_scale(growth),
    )


@dataclass(frozen=True)
class CriticalLine:
    """For each fixed point q* the network whose gradients keep their size there.

    Attributes:
      weight_var: σ_w².
      bias_var: σ_b²; negative where no network is critical at this q*.
      length_slope: V′(q*): above 1 q* repels, and no signal comes there.
    """

    weight_var: Float[Array, "*shape"]
    bias_var: Float[Array, "*shape"]
    length_slope: Float[Array, "*shape"]


def critical_line(activation: Activation, var: Entries, keep_prob: Entries = 1.0) -> CriticalLine:
    r"""The critical line, with q* as its parameter.

    .. math:: \sigma_w^2 = \frac{\rho}{\mathrm E[\varphi'(u)^2]}, \qquad
        \sigma_b^2 = q^* - \frac{\mathrm E[\varphi(u)^2]}{\mathrm E[\varphi'(u)^2]},
        \qquad u \sim N(0, q^*)

    For homogeneous φ of degree 1 it is a point, at σ_b² = 0: (2, 0) for ReLU.

    Args:
      activation: φ.
      var: q* > 0.
      keep_prob: ρ in (0, 1].

    Returns:
      The point of the line at each q*. Relative error of σ_w² below 1e-12, of σ_b² 1e-12·q*/σ_b².

    Raises:
      ValueError: a concrete argument out of its range.

    Source: Schoenholz et al. 2017 for the line; for ReLU also Hayou et al. 2019.
    """
    q, keep_prob = checked(var=var, keep_prob=keep_prob)
    slope = mean_square(activation, q, 1)
    return CriticalLine(
        keep_prob / slope,
        q - mean_square(activation, q) / slope,
        length_slope(activation, q, 1 / slope),
    )


def critical_weight_var(
    activation: Activation, bias_var: Entries, keep_prob: Entries = 1.0
) -> Float[np.ndarray, "*shape"]:
    """The σ_w² that is critical at a given σ_b²: the critical line as a graph over σ_b².

    Args:
      activation: φ.
      bias_var: σ_b² ≥ 0.
      keep_prob: ρ in (0, 1].

    Returns:
      σ_w² at the smallest q* that is critical and attracts lengths. Relative error below 1e-10 in
      float64 at σ_b² = 0 and from 1e-12 on, below 1e-6 between.

    Raises:
      ValueError: an argument out of its range; there is no such q*. ReLU with biases and a φ that
        jumps have no critical q*; those of GELU and SiLU repel lengths while σ_b² is small.

    Source: Schoenholz et al. 2017.
    """
    bias_var, keep_prob = checked(bias_var=bias_var, keep_prob=keep_prob)
    weight_var, found = _critical(
        polar.profile(activation), jnp.asarray(fixed_points.SCAN), bias_var.reshape(-1)
    )
    if not found.all():
        first = np.asarray(bias_var).reshape(-1)[~np.asarray(found)][0]
        raise ValueError(
            f"{activation.name} has no critical weight_var at bias_var={first}, as no fixed point "
            "with chi_1 = keep_prob attracts lengths; phase_diagram says what there is instead."
        )
    return np.asarray(keep_prob * weight_var.reshape(keep_prob.shape))


@jax.jit
def _critical(profile, scan, bias_vars):
    def ratio(q):  # V(q) − σ_b² for the weights that make χ₁ = ρ
        return polar.second_moment(profile, q) / polar.slope_second_moment(profile, q)

    ratios, slopes, moments = (
        jax.vmap(fn)(scan)
        for fn in (
            ratio,
            lambda q: polar.second_moment_slope(profile, q),
            lambda q: polar.slope_second_moment(profile, q),
        )
    )
    attracts = (slopes <= moments * (1 + RESOLUTION)) & jnp.isfinite(moments)

    def point(bias_var):
        direction, hidden = fixed_points.directions(scan, ratios + bias_var)
        crosses = (direction[1:] != direction[:-1]) & attracts[1:] & attracts[:-1]
        left = jnp.argmax(crosses)
        sign = direction[left]
        q = fixed_points.root(
            lambda q: sign * (ratio(q) + bias_var - q), 0.999 * scan[left], 1.001 * scan[left + 1]
        )
        # Fixed at the least length already: the line ends at q* = 0, or every q* is critical.
        ends = hidden[0] & attracts[0] & (bias_var == 0)
        q = jnp.where(ends, scan[0], q)
        return 1 / polar.slope_second_moment(profile, q), ends | crosses.any()

    return jax.vmap(point)(bias_vars)
