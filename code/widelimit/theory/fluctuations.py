r"""How far signals of a wide network stray from their limit: the first order in 1/n.

Given layer l, the units of h^{l+1} are independent Gaussian pairs at two inputs, whose variances
Q_1, Q_2 and covariance P are averages over the n units below,

.. math:: s^{l+1} = F(s^l) + \frac1n\sum_i \eta_i, \qquad s = (Q_1, Q_2, P),

with F the length and covariance maps and η independent, of mean 0 and covariance N(s), that of
σ_w²·(φ(u)², φ(v)², φ(u)φ(v)). With J and H the first and second derivatives of F at its fixed
point, the covariance Σ/n of s and its shift m/n off the fixed point satisfy

.. math:: \Sigma = J\Sigma J^\top + N, \qquad m_i = (Jm)_i + \tfrac12 \sum_{jk} H_{ijk}\Sigma_{jk}

up to 1/n². Before the fixed point is reached the same holds from layer to layer, from Σ = m = 0 in
layer 1, which reads given inputs. The mean square of a layer's n units strays by 2q² more: they are
a sample.

With dropout a unit is kept with probability ρ and divided by ρ, independently at the two inputs:
σ_w²·(φ(u)², φ(v)², φ(u)φ(v)) is multiplied by masks whose k-th power has the mean ρ^(1−k).

Source: chapter 3, equations (3.12) and (3.13); chapter 4, equation (4.5).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float

from widelimit.activations import Activation
from widelimit.theory import gaussian
from widelimit.theory.arguments import checked, checked_depth, need_float64
from widelimit.theory.signal import RESOLUTION, lengths

#: Nodes of the trapezoidal rule: for tanh it is exact to rounding up to variance 50, and with the
#: larger step up to variance 3.
STEP, LARGER_STEP, REACH = 1 / 32, 1 / 8, 8.0


@dataclass(frozen=True)
class Fluctuations:
    """What the 1/n term of a layer's variances and covariance is.

    Attributes:
      state: the limit of (Q_1, Q_2, P).
      covariance: Σ, n times their covariance over networks.
      shift: m, n times the distance of their mean from the limit.
    """

    state: Float[np.ndarray, "*layers 3"]
    covariance: Float[np.ndarray, "*layers 3 3"]
    shift: Float[np.ndarray, "*layers 3"]

    def layer(self, number: int) -> "Fluctuations":
        """One layer of several.

        Args:
          number: l, from 1.

        Returns:
          Its fluctuations.

        Raises:
          ValueError: there is no such layer.
        """
        if self.state.ndim < 2 or not 1 <= number <= len(self.state):
            raise ValueError(f"layer {number} is not among those of shape {self.state.shape[:-1]}")
        at = number - 1
        return Fluctuations(self.state[at], self.covariance[at], self.shift[at])

    def mean(self, fn: Callable[..., Float[ArrayLike, " points"]]) -> tuple[float, float]:
        """The mean of a function of (Q_1, Q_2, P) of one layer over networks, to order 1/n.

        Args:
          fn: smooth, from arrays of Q_1, Q_2 and P to an array. It is asked at up to 1% of Q_1
            around the limit, where it must be defined.

        Returns:
          Its value a in the limit, and b in a + b/n. Derivatives are taken by differences, so
          that b has a relative error of the order of 1e-4.

        Raises:
          ValueError: correlations beyond ±0.98: points around them are no covariances; several
            layers.
        """
        if self.state.ndim > 1:
            raise ValueError(f"these are {len(self.state)} layers; choose one with layer(l) first")
        size = np.sqrt(self.state[0] * self.state[1])
        if abs(self.state[2]) > 0.98 * size:
            raise ValueError(
                f"correlation={self.state[2] / size:.4f}; differences of 1% need it within ±0.98"
            )
        steps = 0.01 * np.array([self.state[0], self.state[1], size])
        moves = np.array(list(product((-1, 0, 1), repeat=3)))
        values = np.asarray(fn(*(self.state + steps * moves).T), float).reshape(3, 3, 3)
        centre = (1, 1, 1)
        ahead, back = (
            [values[tuple(np.add(centre, s * axis))] for axis in np.eye(3, dtype=int)]
            for s in (1, -1)
        )
        total = np.subtract(ahead, back) / (2 * steps) @ self.shift
        for i, j in product(range(3), repeat=2):
            if i == j:
                second = ahead[i] - 2 * values[centre] + back[i]
            else:
                a, b = np.eye(3, dtype=int)[[i, j]]
                corners = [
                    s * t * values[tuple(centre + s * a + t * b)]
                    for s, t in product((-1, 1), repeat=2)
                ]
                second = sum(corners) / 4
            total += second / (steps[i] * steps[j]) * self.covariance[i, j] / 2
        return float(values[centre]), float(total)


def at_fixed_point(
    activation: Activation,
    var: float,
    correlation: float,
    weight_var: float,
    keep_prob: float = 1.0,
) -> Fluctuations:
    """Fluctuations of two signals of one length, far from the first layer.

    Args:
      activation: φ, smooth.
      var: q* > 0.
      correlation: c*, strictly between −1 and 1. What is said of one signal alone holds at any.
      weight_var: σ_w² ≥ 0. (σ_b² enters through q* and c* only.)
      keep_prob: ρ in (0, 1], for dropout with masks independent at the two inputs.

    Returns:
      The coefficients of 1/n, for layers of equal width n. Relative error in float64 below
      1e-8 up to var = 50 and correlations of ±0.99, for φ that grows no faster than u².

    Raises:
      ValueError: JAX is not in 64-bit mode; an argument out of its range; φ with kinks; a fixed
        point that repels, or one on the line between, where fluctuations add up from layer to
        layer without end.
    """
    (q,), weight_var, keep_prob = _checked(activation, correlation, weight_var, keep_prob, var=var)
    state = jnp.asarray([q, q, correlation * q])
    layer = _layer(activation, STEP, state, weight_var, keep_prob)
    _, slope, curvature, noise = map(np.asarray, layer)
    radius = float(np.abs(np.linalg.eigvals(slope)).max())
    if radius >= 1 - RESOLUTION:
        raise ValueError(
            f"at var={q}, correlation={correlation} a layer multiplies deviations by {radius:.4f}; "
            "fluctuations settle only where that is below 1."
        )
    both = np.eye(9) - np.kron(slope, slope)
    covariance = np.linalg.solve(both, noise.reshape(-1)).reshape(3, 3)
    pushed = np.einsum("ijk,jk->i", curvature, covariance) / 2
    return Fluctuations(np.asarray(state), covariance, np.linalg.solve(np.eye(3) - slope, pushed))


def by_layer(
    activation: Activation,
    var_u: float,
    var_v: float,
    correlation: float,
    depth: int,
    weight_var: float,
    bias_var: float,
    keep_prob: float = 1.0,
) -> Fluctuations:
    """Fluctuations of two signals in every layer, from given inputs on.

    Args:
      activation: φ, smooth.
      var_u: q¹ > 0 of one input.
      var_v: that of the other.
      correlation: c¹, strictly between −1 and 1.
      depth: number of layers, ≥ 1.
      weight_var: σ_w² ≥ 0.
      bias_var: σ_b² ≥ 0.
      keep_prob: as in :func:`at_fixed_point`.

    Returns:
      The limits and the coefficients of 1/n in layers 1, …, depth, along a new first axis. Relative
      error in float64 below 1e-8 up to variances of 50, for φ that grows no faster than u². Where
      inputs become equal, a difference of the three knows no more than their rounding, 1e-16.

    Raises:
      ValueError: JAX is not in 64-bit mode; an argument out of its range; φ with kinks; signals
        that vanish or overflow.
    """
    (q1, q2), weight_var, keep_prob = _checked(
        activation, correlation, weight_var, keep_prob, var_u=var_u, var_v=var_v
    )
    depth = checked_depth(depth)
    bias_var = float(checked(bias_var=bias_var)[0])
    both = lengths(activation, np.array([q1, q2]), depth, weight_var, bias_var, keep_prob)
    if not (both > 0).all() or not jnp.isfinite(both).all():
        raise ValueError(
            f"from var_u={q1}, var_v={q2} signals vanish or overflow within {depth} layers; take "
            "fewer layers."
        )
    step = LARGER_STEP if both.max() <= 3 else STEP
    start = jnp.asarray([q1, q2, correlation * (q1 * q2) ** 0.5])
    found = _layers(activation, step, depth, start, weight_var, bias_var, keep_prob)
    return Fluctuations(*map(np.asarray, found))


def _checked(activation, correlation, weight_var, keep_prob, **variances):
    """The variances, σ_w² and ρ as numbers."""
    need_float64("fluctuations")
    others = {"correlation": correlation, "weight_var": weight_var, "keep_prob": keep_prob}
    for name, value in (variances | others).items():
        if np.ndim(value):
            raise ValueError(f"{name} has shape {np.shape(value)}; give one number.")
    numbers = map(float, checked(**variances, weight_var=weight_var, keep_prob=keep_prob))
    *lengths_, weight_var, keep_prob = numbers
    for name, value in zip(variances, lengths_, strict=True):
        if value == 0:
            raise ValueError(f"{name}=0; a signal of length 0 has nothing to fluctuate.")
    if not -1 < correlation < 1:
        raise ValueError(f"correlation={correlation} must lie strictly between −1 and 1.")
    if activation.kinks:
        raise ValueError(f"{activation.name} has kinks; these fluctuations need a smooth φ.")
    return lengths_, weight_var, keep_prob


@partial(jax.jit, static_argnums=(0, 1, 2))
def _layers(phi, step, depth, start, weight_var, bias_var, keep_prob):
    def layer(fluctuations, _):
        state, covariance, shift = fluctuations
        image, slope, curvature, noise = _layer(phi, step, state, weight_var, keep_prob)
        shift = slope @ shift + jnp.einsum("ijk,jk->i", curvature, covariance) / 2
        covariance = slope @ covariance @ slope.T + noise
        return (image + bias_var, covariance, shift), fluctuations

    none = jnp.zeros((3, 3), start.dtype), jnp.zeros(3, start.dtype)
    return jax.lax.scan(layer, (start, *none), length=depth)[1]


@partial(jax.jit, static_argnums=(0, 1))
def _layer(phi, step, state, weight_var, keep_prob):
    """What makes the next layer: its mean F − σ_b², its derivatives J and H, and its noise N.

    By Price's theorem a derivative of E[f(u)g(v)] in Var u is half of two in u, and one in the
    covariance is one in u and one in v: nothing is singular where u and v are nearly equal.
    """
    z = jnp.arange(-REACH, REACH + step, step)
    weights = jnp.exp(-(z**2) / 2)
    weights = weights / jnp.sum(weights)
    plane = weights[:, None] * weights[None, :]
    second = phi.second_derivative or gaussian.slope_of(phi.derivative)
    third = gaussian.slope_of(second)
    fns = phi.fn, phi.derivative, second, third, gaussian.slope_of(third)

    q1, q2, cov = state
    u, other = jnp.sqrt(q1) * z, jnp.sqrt(q2) * z
    own = jnp.sqrt(jnp.maximum(q2 - cov**2 / q1, 0))
    v = cov / jnp.sqrt(q1) * z[:, None] + own * z[None, :]
    a, b = (jnp.stack([fn(x) for fn in fns]) for x in (u, other))
    there = jnp.stack([fn(v) for fn in fns])
    pair = jnp.einsum("ja,kab,ab->jk", a, there, plane)

    def length_derivatives(f):
        first = (f[1] ** 2 + f[0] * f[2]) @ weights
        return first, (2 * f[0] * f[4] + 8 * f[1] * f[3] + 6 * f[2] ** 2) @ weights / 4

    (slope_1, bend_1), (slope_2, bend_2) = length_derivatives(a), length_derivatives(b)
    slope = jnp.diag(jnp.stack([slope_1, slope_2, pair[1, 1]]) * jnp.array([1, 1, keep_prob]))
    slope = slope.at[2, 0].set(keep_prob * pair[2, 0] / 2).at[2, 1].set(keep_prob * pair[0, 2] / 2)
    curvature = jnp.zeros((3, 3, 3), slope.dtype)
    curvature = curvature.at[0, 0, 0].set(bend_1).at[1, 1, 1].set(bend_2)
    of_product = [
        [pair[4, 0] / 4, pair[2, 2] / 4, pair[3, 1] / 2],
        [pair[2, 2] / 4, pair[0, 4] / 4, pair[1, 3] / 2],
        [pair[3, 1] / 2, pair[1, 3] / 2, pair[2, 2]],
    ]
    curvature = curvature.at[2].set(keep_prob * jnp.array(of_product))

    squares = a[0] ** 2, there[0] ** 2
    mean = jnp.stack([a[0] ** 2 @ weights, b[0] ** 2 @ weights, keep_prob * pair[0, 0]])
    even = jnp.einsum("a,ab,ab->", squares[0], squares[1], plane)
    odd_1 = jnp.einsum("a,ab,ab->", a[0] ** 3, there[0], plane)
    odd_2 = jnp.einsum("a,ab,ab->", a[0], there[0] ** 3, plane)
    # The k-th power of a mask has the mean ρ^(1−k); a factor ρ^−2 is taken out.
    square = jnp.array(
        [
            [a[0] ** 4 @ weights / keep_prob, even, odd_1],
            [even, b[0] ** 4 @ weights / keep_prob, odd_2],
            [odd_1, odd_2, even],
        ]
    )
    noise = square - jnp.outer(mean, mean)
    weight = weight_var / keep_prob
    return weight * mean, weight * slope, weight * curvature, weight**2 * noise
