r"""Activations: φ, φ′ and φ″, their kinks, and what is known of them in closed form.

This is vocabulary, shared by what predicts and what measures. An :class:`Activation` is data; your
own is as good as one from the registry, and its integrals are then done by quadrature
(:mod:`widelimit.theory.gaussian`).

Conventions. At a jump a function takes the mean of its two sides, so step(0) = 1/2 and ReLU′(0) =
1/2: the value that a symmetric Gaussian gives it. All callables are elementwise, keep the dtype,
and have no NaN in their gradients.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import factorial, pi, sqrt

import jax
import jax.numpy as jnp
from jax.scipy.special import erf as _erf
from jax.scipy.special import ndtr as _ndtr
from jaxtyping import Array, Float

from widelimit import closed_forms
from widelimit.closed_forms import Dual

#: Numbers of any shape.
Values = Float[Array, "*shape"]
#: An elementwise function.
Function = Callable[[Values], Values]


@dataclass(frozen=True)
class Activation:
    r"""An elementwise nonlinearity φ and what is known of it.

    Two activations are equal when their fields are, functions compared by identity: build one once
    and keep it, since compiled code is cached by it.

    Attributes:
      name: for messages and figures.
      fn: φ, elementwise.
      derivative: φ′ almost everywhere; at a kink the mean of its two sides.
      second_derivative: φ″ almost everywhere, or None (then taken by differentiating φ′).
      kinks: where φ or φ′ jumps. Quadrature splits there, exactly. A smooth φ that changes fast
        somewhere else than near 0 may name that place too, with jumps of size 0.
      jumps: φ(k⁺) − φ(k⁻) at each kink; empty means continuous.
      slope_jumps: φ′(k⁺) − φ′(k⁻) at each kink; empty means none.
      degree: k with φ(λx) = λ^k·φ(x) for all λ > 0, or None.
      dual: (q1, q2, c) ↦ E[φ(u)φ(v)] in closed form, or None.
      derivative_dual: the same for φ′, jumps of φ included as Dirac deltas, or None.
      mean: q ↦ E[φ(u)], u ~ N(0, q), in closed form, or None.

    Raises:
      ValueError: kinks without jumps, or lists of different lengths.
    """

    name: str
    fn: Function
    derivative: Function
    second_derivative: Function | None = None
    kinks: tuple[float, ...] = ()
    jumps: tuple[float, ...] = ()
    slope_jumps: tuple[float, ...] = ()
    degree: float | None = None
    dual: Dual | None = None
    derivative_dual: Dual | None = None
    mean: Function | None = None

    def __post_init__(self):
        if self.kinks and not (self.jumps or self.slope_jumps):
            raise ValueError(
                f"{self.name}: kinks={self.kinks} without their sizes; give jumps (of φ), "
                "slope_jumps (of φ′) or both."
            )
        if tuple(self.kinks) != tuple(sorted(set(self.kinks))):
            raise ValueError(f"{self.name}: kinks={self.kinks} must increase strictly.")
        for field in ("jumps", "slope_jumps"):
            sizes = tuple(getattr(self, field)) or (0.0,) * len(self.kinks)
            if len(sizes) != len(self.kinks):
                raise ValueError(
                    f"{self.name}: {field}={sizes} must have one entry for each of the "
                    f"kinks={self.kinks}."
                )
            object.__setattr__(self, field, sizes)

    def __call__(self, x: Values) -> Values:
        return self.fn(x)


def _above(x: Values, low: float = 0.0) -> Values:
    """1 for x > 0, ``low`` for x < 0 and their mean at 0."""
    return jnp.heaviside(x, 0.5) if low == 0 else (1 + low) / 2 + (1 - low) / 2 * jnp.sign(x)


def _constant_mean(value: float) -> Function:
    return lambda q: jnp.full_like(q, value)


@cache
def leaky_relu(slope: float = 0.01) -> Activation:
    r"""Leaky ReLU, max(x, 0) + a·min(x, 0).

    Args:
      slope: a, the slope on the negative side; any real number but 1 (that is ``linear``).

    Returns:
      The activation, with its duals in closed form.

    Raises:
      ValueError: slope = 1, where there is no kink.
    """
    if slope == 1:
        raise ValueError('slope=1 has no kink; use get("linear").')
    return Activation(
        name=f"leaky_relu({slope:g})",
        fn=lambda x: jnp.maximum(x, 0) + slope * jnp.minimum(x, 0),
        derivative=lambda x: _above(x, slope),
        second_derivative=jnp.zeros_like,
        kinks=(0.0,),
        slope_jumps=(1 - slope,),
        degree=1,
        dual=closed_forms.two_slopes(slope),
        derivative_dual=closed_forms.two_levels(slope),
        mean=lambda q: (1 - slope) * jnp.sqrt(q / (2 * pi)),
    )


@cache
def monomial(power: int) -> Activation:
    r"""The monomial x^p.

    Args:
      power: p ≥ 1.

    Returns:
      The activation, with its duals in closed form (Isserlis).

    Raises:
      ValueError: p < 1.
    """
    if power < 1:
        raise ValueError(f"power={power} must be an integer, at least 1.")
    half = power // 2
    moment = 0 if power % 2 else factorial(power) // (2**half * factorial(half))
    lower = closed_forms.monomial(power - 1) if power > 1 else lambda q1, q2, c: jnp.ones_like(c)
    return Activation(
        name=f"monomial({power})",
        fn=lambda x: x**power,
        derivative=lambda x: power * x ** (power - 1),
        second_derivative=lambda x: power * (power - 1) * x ** max(power - 2, 0),
        degree=power,
        dual=closed_forms.monomial(power),
        derivative_dual=closed_forms.scaled(power**2, lower),
        mean=lambda q: moment * q**half,
    )


def hermite_polynomials(x: Values, order: int) -> list[Values]:
    r"""The orthonormal Hermite polynomials he_0(x), …, he_order(x).

    .. math:: \sqrt{k+1}\, he_{k+1}(x) = x\, he_k(x) - \sqrt{k}\, he_{k-1}(x)

    Args:
      x: points, any shape.
      order: the highest degree, ≥ 0.

    Returns:
      A list of order + 1 arrays; E[he_j(z)·he_k(z)] = 1 if j = k, else 0, for z ~ N(0, 1).
    """
    values = [jnp.ones_like(x), x]
    for k in range(1, order):
        values.append((x * values[k] - sqrt(k) * values[k - 1]) / sqrt(k + 1))
    return values[: order + 1]


@cache
def hermite(degree: int) -> Activation:
    r"""The probabilists' Hermite polynomial, orthonormal: he_k = He_k/√k!, so E[he_k(z)²] = 1.

    Args:
      degree: k ≥ 1.

    Returns:
      The activation, with its duals in closed form at every variance.

    Raises:
      ValueError: k < 1.
    """
    if degree < 1:
        raise ValueError(f"degree={degree} must be an integer, at least 1.")

    def lowered(steps: int) -> Function:  # the derivative of he_k is √k·he_{k−1}
        if steps > degree:
            return jnp.zeros_like
        scale = sqrt(factorial(degree) / factorial(degree - steps))
        return lambda x: scale * hermite_polynomials(x, degree - steps)[-1]

    half = degree // 2
    weight = 0.0 if degree % 2 else sqrt(factorial(degree)) / (2**half * factorial(half))
    return Activation(
        name=f"hermite({degree})",
        fn=lowered(0),
        derivative=lowered(1),
        second_derivative=lowered(2),
        degree=1 if degree == 1 else None,
        dual=closed_forms.hermite(degree),
        derivative_dual=closed_forms.covariance_derivative(closed_forms.hermite(degree)),
        mean=lambda q: weight * (q - 1) ** half,
    )


def _normal_density(x: Values) -> Values:
    return jnp.exp(-(x**2) / 2) / sqrt(2 * pi)


def _sigmoid_slope(x: Values) -> Values:
    return jax.nn.sigmoid(x) * jax.nn.sigmoid(-x)


_REGISTRY = {
    "relu": Activation(
        name="relu",
        fn=lambda x: jnp.maximum(x, 0),
        derivative=_above,
        second_derivative=jnp.zeros_like,
        kinks=(0.0,),
        slope_jumps=(1.0,),
        degree=1,
        dual=closed_forms.relu,
        derivative_dual=closed_forms.step,
        mean=lambda q: jnp.sqrt(q / (2 * pi)),
    ),
    "leaky_relu": leaky_relu(),
    "abs": Activation(
        name="abs",
        fn=jnp.abs,
        derivative=jnp.sign,
        second_derivative=jnp.zeros_like,
        kinks=(0.0,),
        slope_jumps=(2.0,),
        degree=1,
        dual=closed_forms.two_slopes(-1.0),
        derivative_dual=closed_forms.two_levels(-1.0),
        mean=lambda q: jnp.sqrt(2 * q / pi),
    ),
    "step": Activation(
        name="step",
        fn=_above,
        derivative=jnp.zeros_like,
        second_derivative=jnp.zeros_like,
        kinks=(0.0,),
        jumps=(1.0,),
        degree=0,
        dual=closed_forms.step,
        derivative_dual=closed_forms.two_impulses(1.0),
        mean=_constant_mean(0.5),
    ),
    "sign": Activation(
        name="sign",
        fn=jnp.sign,
        derivative=jnp.zeros_like,
        second_derivative=jnp.zeros_like,
        kinks=(0.0,),
        jumps=(2.0,),
        degree=0,
        dual=closed_forms.two_levels(-1.0),
        derivative_dual=closed_forms.two_impulses(2.0),
        mean=jnp.zeros_like,
    ),
    "erf": Activation(
        name="erf",
        fn=_erf,
        derivative=lambda x: 2 / sqrt(pi) * jnp.exp(-(x**2)),
        second_derivative=lambda x: -4 / sqrt(pi) * x * jnp.exp(-(x**2)),
        dual=closed_forms.erf,
        derivative_dual=closed_forms.covariance_derivative(closed_forms.erf),
        mean=jnp.zeros_like,
    ),
    "tanh": Activation(
        name="tanh",
        fn=jnp.tanh,
        derivative=lambda x: 1 - jnp.tanh(x) ** 2,
        second_derivative=lambda x: -2 * jnp.tanh(x) * (1 - jnp.tanh(x) ** 2),
        mean=jnp.zeros_like,
    ),
    "gelu": Activation(
        name="gelu",
        fn=lambda x: x * _ndtr(x),
        derivative=lambda x: _ndtr(x) + x * _normal_density(x),
        second_derivative=lambda x: (2 - x**2) * _normal_density(x),
        dual=closed_forms.gelu,
        derivative_dual=closed_forms.covariance_derivative(closed_forms.gelu),
        mean=lambda q: q / jnp.sqrt(2 * pi * (1 + q)),
    ),
    "silu": Activation(
        name="silu",
        fn=lambda x: x * jax.nn.sigmoid(x),
        derivative=lambda x: jax.nn.sigmoid(x) + x * _sigmoid_slope(x),
        second_derivative=lambda x: _sigmoid_slope(x) * (2 - x * jnp.tanh(x / 2)),
    ),
    "sin": Activation(
        name="sin",
        fn=jnp.sin,
        derivative=jnp.cos,
        second_derivative=lambda x: -jnp.sin(x),
        dual=closed_forms.sine,
        derivative_dual=closed_forms.cosine,
        mean=jnp.zeros_like,
    ),
    "cos": Activation(
        name="cos",
        fn=jnp.cos,
        derivative=lambda x: -jnp.sin(x),
        second_derivative=lambda x: -jnp.cos(x),
        dual=closed_forms.cosine,
        derivative_dual=closed_forms.sine,
        mean=lambda q: jnp.exp(-q / 2),
    ),
    "exp": Activation(
        name="exp",
        fn=jnp.exp,
        derivative=jnp.exp,
        second_derivative=jnp.exp,
        dual=closed_forms.exponential,
        derivative_dual=closed_forms.exponential,
        mean=lambda q: jnp.exp(q / 2),
    ),
    "linear": Activation(
        name="linear",
        fn=lambda x: x,
        derivative=jnp.ones_like,
        second_derivative=jnp.zeros_like,
        degree=1,
        dual=lambda q1, q2, cov: cov,
        derivative_dual=lambda q1, q2, cov: jnp.ones_like(cov),
        mean=jnp.zeros_like,
    ),
    **{f"monomial{p}": monomial(p) for p in (2, 3)},
    **{f"hermite{k}": hermite(k) for k in (2, 3, 4)},
}


def names() -> tuple[str, ...]:
    """The names that :func:`get` knows, in the order of the registry."""
    return tuple(_REGISTRY)


def get(name: str) -> Activation:
    """The registered activation of that name.

    Args:
      name: one of :func:`names`. For another slope or degree see :func:`leaky_relu`,
        :func:`monomial` and :func:`hermite`.

    Returns:
      The activation; the same object at every call.

    Raises:
      ValueError: no activation has that name; the message suggests the nearest.
    """
    if name not in _REGISTRY:
        near = difflib.get_close_matches(str(name).lower(), _REGISTRY, n=1, cutoff=0.0)
        raise ValueError(
            f"name={name!r} is no registered activation; did you mean {near[0]!r}? "
            f"Known: {', '.join(_REGISTRY)}."
        )
    return _REGISTRY[name]
