r"""What each layer of an infinitely wide network does to its two kernels.

The units of a layer are alike and independent, so everything is said by two functions of a pair of
inputs: the covariance K of a unit, and the tangent kernel Θ, the sum of products of its derivatives
in the parameters so far. A layer maps both,

.. math::
    \text{dense:}\quad & K \to \sigma_w^2 K + \sigma_b^2, &
        \Theta &\to \sigma_w^2 \Theta + \sigma_w^2 K + \sigma_b^2, \\
    \text{elementwise:}\quad & K \to \mathrm E[\varphi(u)\varphi(v)], &
        \Theta &\to \mathrm E[\varphi'(u)\varphi'(v)]\, \Theta,

where u, v is a Gaussian pair with the covariance before the layer. Two passes compute it. The first
finds the variances of each input alone, in every layer; the second the covariances of pairs. Images
are walked offset by offset (:mod:`widelimit.theory.planes`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from widelimit.activations import Activation
from widelimit.architectures import (
    Chain,
    Convolution,
    Dense,
    Elementwise,
    LayerNorm,
    Repeat,
    Residual,
)
from widelimit.closed_forms import determinant, ratio
from widelimit.theory import gaussian, mehler, planes, signal
from widelimit.theory.structure import Layer, State, activations_of, after


class Units(NamedTuple):
    """The pre-activations that enter a nonlinearity or a normalization, input by input.

    Attributes:
      var: their variance.
      coefficients: Hermite coefficients of φ, along a first axis; or None.
    """

    var: Array
    coefficients: Array | None = None


class Pair(NamedTuple):
    """The kernels at pairs of inputs.

    Attributes:
      cov: K, of shape ``[*grid, *pairs]``.
      ntk: Θ, of the same shape; None where it is not asked for.
      offset: of the plane, for images.
    """

    cov: Array
    ntk: Array | None
    offset: planes.Offset = ()


class Rules(NamedTuple):
    """How the kernels are computed.

    Attributes:
      width: of the hidden layers in the standard parametrization; None for the neural tangent one.
      series: of activations whose duals are series; see :mod:`widelimit.theory.mehler`.
      first: brings what belongs to the first members of the pairs into the shape of the pairs.
      second: the same for the second members.
      same: which pairs consist of one input twice, of the shape of the pairs; None for none.
    """

    width: float | None
    series: Mapping[Activation, mehler.Series]
    first: Callable[[Array], Array] = lambda x: x[..., :, None]
    second: Callable[[Array], Array] = lambda x: x[..., None, :]
    same: Array | None = None


def check_finite(architecture: Layer, pair: Pair) -> None:
    """Refuse kernels that are no numbers, by name.

    Args:
      architecture: whose kernels.
      pair: the kernels, concrete.

    Raises:
      ValueError: one is infinite or NaN somewhere.
    """
    for name, values in (("NNGP kernel", pair.cov), ("NTK", pair.ntk)):
        if values is not None and not bool(jnp.all(jnp.isfinite(values))):
            names = ", ".join(sorted(phi.name for phi in activations_of(architecture)))
            raise ValueError(
                f"the {name} is not finite in {values.dtype}: {names} overflows at this depth and "
                "these variances; use fewer layers, a smaller weight_var or smaller inputs"
            )


def variances(
    layer: Layer, state: State, var: Array, rules: Rules
) -> tuple[State, Array, tuple | Units]:
    """The first pass: the variance of each input in every layer.

    Args:
      layer: one layer or a chain, without pooling.
      state: what enters.
      var: its variance, of shape ``[*grid, inputs]``.
      rules: how; only ``width`` and ``series`` count.

    Returns:
      What leaves, its variance, and :class:`Units` in a tree that mirrors the layers.
    """
    done = after(layer, state, rules.width)
    match layer:
        case Chain():
            found = []
            for inner in layer.layers:
                state, var, units = variances(inner, state, var, rules)
                found.append(units)
            return done, var, tuple(found)
        case Dense():
            return done, layer.weight_var * var + layer.bias_var, ()
        case Convolution():
            mean = planes.convolved(var, layer, state.size, (0, 0))
            return done, layer.weight_var * mean + layer.bias_var, ()
        case Elementwise():
            phi = layer.activation
            # Beyond what a float holds quadrature would give NaN.
            square = jnp.where(jnp.isfinite(var), signal.mean_square(phi, var), jnp.inf)
            if phi not in rules.series:
                return done, square, Units(var)
            return done, square, Units(var, mehler.coefficients(rules.series[phi], var))
        case LayerNorm():
            return done, jnp.where(var > 0, 1, var), Units(var)
        case Residual():
            _, more, units = variances(layer.branch, state, var, rules)
            return done, var + more, units
        case Repeat():

            def once(var, _):
                return variances(layer.block, state, var, rules)[1:]

            return done, *jax.lax.scan(once, var, length=layer.times)
    raise AssertionError(f"{layer!r} is pooling, which stands between chains")


def series_of(
    layer: Layer, units: tuple | Units, error: float
) -> tuple[tuple[Activation, ...], tuple[mehler.Series, ...]]:
    """Series for the activations that have no closed form, long enough for the second pass.

    Args:
      layer: one layer or a chain, without pooling.
      units: from :func:`variances`, concrete.
      error: allowed in the kernels, relative.

    Returns:
      The activations for which that is possible, and their series.
    """
    entering: dict[Activation, list] = {}

    def collect(layer, units):
        match layer:
            case Chain():
                for inner, one in zip(layer.layers, units, strict=True):
                    collect(inner, one)
            case Elementwise():
                entering.setdefault(layer.activation, []).append(np.ravel(units.var))
            case Residual():
                collect(layer.branch, units)
            case Repeat():
                collect(layer.block, units)

    collect(layer, units)
    found = {}
    for phi, var in entering.items():
        var = np.maximum(np.concatenate(var), mehler.SMALLEST)
        if phi.dual is None and np.all(np.isfinite(var)):
            # Wider than needed, so that similar inputs share one; an error of one layer is passed
            # on by those that follow; rounding leaves 3e-13.
            least, most = 1.1 ** np.floor(np.log(var.min()) / np.log(1.1)), var.max()
            most = least * 1.1 ** np.ceil(np.log(most / least) / np.log(1.1))
            one = mehler.series(phi, float(least), float(most), max(error / 5, 3e-13))
            found |= {} if one is None else {phi: one}
    return tuple(found), tuple(found.values())


def covariances(
    layer: Layer,
    state: State,
    pair: Pair,
    units: tuple | Units,
    others: tuple | Units,
    rules: Rules,
) -> tuple[State, Pair]:
    """The second pass: the kernels at pairs.

    Args:
      layer: one layer or a chain, without pooling.
      state: what enters.
      pair: its kernels.
      units: of the first members of the pairs, from :func:`variances`.
      others: of the second members.
      rules: how.

    Returns:
      What leaves, and its kernels.
    """
    done = after(layer, state, rules.width)
    cov, ntk, offset = pair
    match layer:
        case Chain():
            for inner, one, other in zip(layer.layers, units, others, strict=True):
                state, pair = covariances(inner, state, pair, one, other, rules)
            return done, pair
        case Dense() | Convolution():
            return done, _affine(layer, state, pair, rules)
        case Elementwise():
            value, slope = _duals(layer.activation, pair, units, others, rules)
            return done, Pair(value, None if ntk is None else slope() * ntk, offset)
        case LayerNorm():
            roots = [_root(one.var) for one in (units, others)]
            scale = rules.first(roots[0]) * _second(roots[1], offset, rules)
            return done, Pair(ratio(cov, scale), None if ntk is None else ratio(ntk, scale), offset)
        case Residual():
            _, more = covariances(layer.branch, state, pair, units, others, rules)
            return done, Pair(cov + more.cov, None if ntk is None else ntk + more.ntk, offset)
        case Repeat():

            def once(pair, units):
                return covariances(layer.block, state, pair, *units, rules)[1], None

            return done, jax.lax.scan(once, pair, (units, others))[0]


def _affine(layer, state, pair, rules):
    """Weights and biases add what their own motion contributes to Θ.

    In the neural tangent parametrization h = σ_w/√fan_in·Wx + σ_b·b; in the standard one h = Wx + b
    is differentiated in the weights as they are.
    """
    cov, ntk, offset = pair
    fan_in = state.fan
    if isinstance(layer, Convolution):
        fan_in *= math.prod(layer.filter_shape)
        cov = planes.convolved(cov, layer, state.size, offset)
        ntk = None if ntk is None else planes.convolved(ntk, layer, state.size, offset)
        offset = tuple(o // s for o, s in zip(offset, layer.strides, strict=True))
    image = layer.weight_var * cov + layer.bias_var
    if ntk is not None:
        ntk = layer.weight_var * ntk + (image if rules.width is None else fan_in * cov + 1)
    return Pair(image, ntk, offset)


def _root(x):
    """√x, with derivative 0 at 0."""
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1)), 0)


def itself(x: Array) -> Array:
    """What brings x into the shape of pairs where each input is paired with itself.

    Args:
      x: anything.

    Returns:
      The same.
    """
    return x


def _second(x, offset, rules):
    return rules.second(planes.moved(x, offset))


def _duals(phi, pair, units, others, rules):
    """E[φ(u)φ(v)], and a function that gives E[φ′(u)φ′(v)]."""
    cov, _, offset = pair
    q1, q2 = rules.first(units.var), _second(others.var, offset, rules)
    q1, q2 = (jnp.broadcast_to(q, cov.shape) for q in (q1, q2))
    same = rules.same
    if same is not None:  # a correlation must be just 1 there
        same = same.reshape((1,) * len(offset) + same.shape)
        for o in offset:
            same &= o == 0
        cov = jnp.where(same, q1, cov)
    if units.coefficients is not None:
        a = jax.vmap(rules.first)(units.coefficients)
        b = jax.vmap(lambda x: _second(x, offset, rules))(others.coefficients)
        value, slope = mehler.duals(rules.series[phi], a, b, _root(q1) * _root(q2), cov)
        return value, lambda: slope

    def slope():
        if not phi.kinks:
            return gaussian.derivative_dual(phi, q1, q2, cov)
        values = _kinked_slope(phi, q1, q2, cov)
        if same is None:
            return values
        own = rules.first(_own_slope(phi, units.var))
        return jnp.where(same, jnp.broadcast_to(own, cov.shape), values)

    return gaussian.dual(phi, q1, q2, cov), slope


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _kinked_slope(phi, q1, q2, cov):
    """E[φ′(u)φ′(v)] of a kinked φ: at correlations ±1 it has a cusp, and derivative 0 here."""
    return gaussian.derivative_dual(phi, q1, q2, cov)


@_kinked_slope.defjvp
def _kinked_slope_jvp(phi, primals, tangents):
    q1, q2, cov = primals
    edge = determinant(q1, q2, cov) <= 0
    apart = tuple(jnp.where(edge, other, x) for x, other in ((q1, 1), (q2, 1), (cov, 0)))
    slope = jax.jvp(partial(gaussian.derivative_dual, phi), apart, tangents)[1]
    return _kinked_slope(phi, *primals), jnp.where(edge, 0, slope)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _own_slope(phi, q):
    """E[φ′(u)²] for one input: along the diagonal Θ is smooth, though it has a cusp across."""
    return gaussian.derivative_dual(phi, q, q, q)


@_own_slope.defjvp
def _own_slope_jvp(phi, primals, tangents):
    mean = lambda q: gaussian.expectation(lambda u: phi.derivative(u) ** 2, q, phi.kinks)  # noqa: E731
    return _own_slope(phi, *primals), jax.jvp(mean, primals, tangents)[1]
