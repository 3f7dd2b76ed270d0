"""The variance count against networks sampled in NumPy, so narrow that no limit could help it."""

import math
import re
from itertools import accumulate, pairwise

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom

from widelimit.activations import Activation, get, leaky_relu, names
from widelimit.parametrizations import FAN_AVG, FAN_OUT, NTK, STANDARD
from widelimit.theory import gaussian, initialization

RELU, LINEAR, ABS = (get(name) for name in ("relu", "linear", "abs"))
PARAMETRIZATIONS = {"fan_in": STANDARD, "fan_out": FAN_OUT, "fan_avg": FAN_AVG, "ntk": NTK}
# Slopes that no function of the registry makes.
BENT = Activation(
    name="bent",
    fn=lambda x: jnp.where(x > 0, 0.7 * x, -2.0 * x),
    derivative=lambda x: jnp.where(x > 0, 0.7, -2.0),
    kinks=(0.0,),
    slope_jumps=(2.7,),
    degree=1,
)
HOMOGENEOUS = [get(name) for name in names() if get(name).degree == 1]
HOMOGENEOUS += [leaky_relu(0.5), leaky_relu(-3.0), BENT]
# Some two thousand means are compared below: at 5σ an honest count fails once in a thousand runs.
SIGMAS = 5
SAMPLES = 60_000
# Small, and all different, so that n ± 1 or a neighbour's width in place of n is far off. A layer
# of two ReLU units is silent in a quarter of the networks.
WIDTHS = (3, 4, 2, 5, 2)
INPUT = np.array([0.5, 1.0, 1.5])


def gaussian_law(rng, count, out, into):
    return rng.standard_normal((count, out, into))


def uniform_law(rng, count, out, into):
    return rng.uniform(-np.sqrt(3), np.sqrt(3), (count, out, into))


def orthogonal_law(rng, count, out, into):
    large, small = max(out, into), min(out, into)
    q, r = np.linalg.qr(rng.standard_normal((count, large, small)))
    q = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None] * np.sqrt(large)
    return q if out == large else np.swapaxes(q, 1, 2)


def skewed_law(rng, count, out, into):
    """Mean 0 and variance 1, but not the same on both sides of 0."""
    return rng.exponential(size=(count, out, into)) - 1


LAWS = {"gaussian": gaussian_law, "uniform": uniform_law, "orthogonal": orthogonal_law}


def sampled(phi, law=gaussian_law, widths=WIDTHS, weight_var=1.3, samples=SAMPLES):
    """h^l, x^{l-1} and ∂f/∂h^l of many networks, f the sum of the outputs; variance σ_w²/fan_in."""
    rng = np.random.default_rng(0)
    x, h, weights = [np.broadcast_to(INPUT, (samples, len(INPUT)))], [], []
    for into, out in pairwise(widths):
        weights.append(np.sqrt(weight_var / into) * law(rng, samples, out, into))
        h.append(np.einsum("soi,si->so", weights[-1], x[-1]))
        x.append(np.asarray(phi(jnp.asarray(h[-1]))))
    delta = [np.ones_like(h[-1])]
    for matrix, below in zip(weights[:0:-1], h[-2::-1], strict=True):
        slope = np.asarray(phi.derivative(jnp.asarray(below)))
        delta.insert(0, slope * np.einsum("soi,so->si", matrix, delta[0]))
    return h, x[:-1], delta


def predicted(phi, widths=WIDTHS, weight_var=1.3):
    arguments = (phi, STANDARD, widths, weight_var)
    forward = initialization.forward_moments(*arguments, input_moment=np.mean(INPUT**2))
    return forward, initialization.backward_moments(*arguments)


def z_scores(samples, expected):
    """How many standard errors the means over the first axis are from where they should be."""
    error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    # δ of the output is no random number; the floor is a rounding error.
    return (samples.mean(0) - expected) / np.maximum(error, 1e-14)


def mean_within(samples, expected):
    assert np.max(np.abs(z_scores(samples, expected))) <= SIGMAS


@pytest.mark.parametrize("phi", HOMOGENEOUS, ids=lambda phi: phi.name)
def test_gain_is_both_gaussian_integrals(phi):
    gain, q = initialization.gain(phi), jnp.asarray([1.0, 7.0])
    forward = gaussian.expectation(lambda u: phi(u) ** 2, q, phi.kinks)
    backward = gaussian.expectation(lambda u: phi.derivative(u) ** 2, q, phi.kinks)
    np.testing.assert_allclose(forward, gain * q, rtol=1e-12)
    np.testing.assert_allclose(backward, [gain, gain], rtol=1e-12)


def test_gains_that_are_known():
    assert initialization.gain(LINEAR) == initialization.gain(ABS) == 1
    assert initialization.gain(RELU) == 0.5
    np.testing.assert_allclose(initialization.gain(leaky_relu(0.3)), 1.09 / 2, rtol=1e-15)


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_weights_act_with_the_variance_of_their_fan(name):
    widths = np.array([3, 8, 5, 5, 2])
    into, out = widths[:-1], widths[1:]
    fan = {"fan_in": into, "fan_out": out, "fan_avg": (into + out) / 2, "ntk": into}[name]
    parametrization = PARAMETRIZATIONS[name]
    found = initialization.weight_variances(parametrization, widths.tolist(), 1.7)
    np.testing.assert_allclose(found, 1.7 / fan, rtol=1e-14)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("phi", [RELU, LINEAR, BENT], ids=lambda phi: phi.name)
def test_moments_are_exact_at_small_widths(phi, law):
    h, x, delta = sampled(phi, LAWS[law])
    forward, backward = predicted(phi)
    read = [INPUT**2, *(np.full(n, q) for n, q in zip(WIDTHS[1:], forward, strict=True))]
    for level, values in enumerate(h):
        mean_within(values**2, forward[level])
        # Given that a signal arrives: in a ReLU network not every one does.
        arrives = np.any(values != 0, axis=1)
        mean_within(delta[level][arrives] ** 2, backward[level])
        # A weight's gradient needs no condition.
        squares = read[0] if level == 0 else initialization.gain(phi) * read[level]
        weights = (delta[level][:, :, None] * x[level][:, None]) ** 2
        mean_within(weights, backward[level] * squares)


@pytest.mark.parametrize("law", LAWS)
def test_silent_layers_lower_the_gradient_moments_of_relu(law):
    # Above a silent layer every h is 0, and ReLU′(0)² = ¼ where it would be ½ on average.
    h, _, delta = sampled(RELU, LAWS[law])
    _, backward = predicted(RELU)
    alive = np.cumprod([1, *(1 - 0.5**n for n in WIDTHS[1:-1])])
    above = np.arange(len(h))[::-1]  # hidden layers from here up
    for level, values in enumerate(h):
        mean_within(np.any(values != 0, axis=1, keepdims=True), alive[level])
        share = alive[level] + (1 - alive[level]) * 0.5 ** above[level]
        assert 1 - share <= sum(0.5**n for n in WIDTHS[1 : level + 1])
        mean_within(delta[level] ** 2, share * backward[level])
    # The samples tell the two apart.
    assert np.all(z_scores(delta[2] ** 2, backward[2]) < -2 * SIGMAS)


def test_a_skewed_law_has_other_moments():
    # Variance alone does not decide: with skewed weights the sides of the kink are not equal.
    h, _, _ = sampled(RELU, skewed_law, widths=(3, 4, 2), samples=4 * SAMPLES)
    forward, _ = predicted(RELU, (3, 4, 2))
    mean_within(h[0] ** 2, forward[0])
    assert np.all(np.abs(z_scores(h[1] ** 2, forward[1])) > 2 * SIGMAS)


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
@pytest.mark.parametrize("phi", [RELU, LINEAR, BENT], ids=lambda phi: phi.name)
def test_what_is_gained_forward_is_lost_backward(phi, name):
    # n_l·q^l·E(δ^l)² is the same in every layer: both recursions have the factor g·Var W.
    widths = (7, 3, 20, 4, 4, 2)
    arguments = (phi, PARAMETRIZATIONS[name], widths, 1.3)
    forward = initialization.forward_moments(*arguments, input_moment=0.4)
    backward = initialization.backward_moments(*arguments, output_moment=2.5)
    product = np.array(widths[1:]) * forward * backward
    np.testing.assert_allclose(product, product[0], rtol=1e-13)
    assert backward[-1] == 2.5
    variances = initialization.weight_variances(*arguments[1:])
    np.testing.assert_allclose(forward[0], 7 * variances[0] * 0.4, rtol=1e-14)


@pytest.mark.parametrize("phi", HOMOGENEOUS, ids=lambda phi: phi.name)
def test_one_fan_keeps_each_direction_and_the_other_telescopes(phi):
    widths = (7, 3, 20, 4, 4, 2)
    n, weight_var = np.array(widths[1:]), 1 / initialization.gain(phi)
    first = 7 * weight_var  # no activation passes between the input and h^1
    fan_in = initialization.forward_moments(phi, STANDARD, widths, weight_var)
    np.testing.assert_allclose(fan_in, weight_var, rtol=1e-13)
    fan_out = initialization.forward_moments(phi, FAN_OUT, widths, weight_var)
    np.testing.assert_allclose(fan_out, first / n, rtol=1e-13)
    fan_out = initialization.backward_moments(phi, FAN_OUT, widths, weight_var)
    np.testing.assert_allclose(fan_out, 1, rtol=1e-13)
    fan_in = initialization.backward_moments(phi, STANDARD, widths, weight_var)
    np.testing.assert_allclose(fan_in, 2 / n, rtol=1e-13)


def slopes(phi):
    """φ(z) = above·z for z > 0 and below·z for z < 0."""
    return float(phi(jnp.asarray(1.0))), -float(phi(jnp.asarray(-1.0)))


@pytest.mark.parametrize("width", [1, 2, 3, 10, 64])
@pytest.mark.parametrize("phi", HOMOGENEOUS, ids=lambda phi: phi.name)
def test_growth_is_that_of_two_chi_squares(phi, width):
    # With k of n units above 0, ‖φ(z)‖² = above²·χ²_k + below²·χ²_(n−k); k counts fair coins.
    above, below = (slope**2 for slope in slopes(phi))
    k = np.arange(width + 1)
    rest, chance = width - k, binom.pmf(k, width, 0.5)
    squares = chance @ (above * k + below * rest)
    fourths = chance @ (
        above**2 * k * (k + 2) + below**2 * rest * (rest + 2) + 2 * above * below * k * rest
    )
    growth = initialization.length_growth(phi, width)
    np.testing.assert_allclose(growth, fourths / squares**2, rtol=1e-12)


def test_growths_that_are_known():
    growth = initialization.length_growth
    for n in (1, 8, 100):
        np.testing.assert_allclose(growth(RELU, n), 1 + 5 / n, rtol=1e-15)
        np.testing.assert_allclose(growth(LINEAR, n), 1 + 2 / n, rtol=1e-15)
        np.testing.assert_allclose(growth(ABS, n), growth(LINEAR, n), rtol=1e-15)


@pytest.mark.parametrize("phi", [RELU, LINEAR, BENT], ids=lambda phi: phi.name)
def test_fourth_moments_of_lengths(phi):
    widths = (3, 6, 9, 7)
    h, x, _ = sampled(phi, widths=widths)
    forward, _ = predicted(phi, widths)
    growths = [initialization.length_growth(phi, n) for n in widths[1:]]
    ratios = list(accumulate(growths, np.multiply, initial=1.0))
    square = lambda values: np.sum(values**2, axis=1, keepdims=True)  # noqa: E731
    for level, (q, n) in enumerate(zip(forward, widths[1:], strict=True)):
        # What it reads, times χ²_n/n: E‖h^1‖⁴/(E‖h^1‖²)² = 1 + 2/n_1.
        expected = ratios[level] * (1 + 2 / n) * (n * q) ** 2
        mean_within(square(h[level]) ** 2, expected)
        if level > 0:
            read = widths[level] * initialization.gain(phi) * forward[level - 1]
            mean_within(square(x[level]) ** 2, ratios[level] * read**2)
            # The count without its correction is rejected.
            assert abs(z_scores(square(x[level]) ** 2, read**2)[0]) > 2 * SIGMAS


def test_neighbours_of_one_width_grow_alike():
    widths = (3, 5, 5, 5, 5)
    h, _, _ = sampled(RELU, widths=widths, weight_var=2.0, samples=2 * SAMPLES)
    forward, _ = predicted(RELU, widths, 2.0)
    growth = initialization.length_growth(RELU, 5)
    for level, (values, q) in enumerate(zip(h, forward, strict=True)):
        fourth = np.sum(values**2, axis=1, keepdims=True) ** 2
        mean_within(fourth, (1 + 2 / 5) * growth**level * (5 * q) ** 2)


CALLS = {
    "gain": lambda phi: initialization.gain(phi),
    "forward": lambda phi: initialization.forward_moments(phi, STANDARD, (3, 3, 1), 1.0),
    "backward": lambda phi: initialization.backward_moments(phi, STANDARD, (3, 3, 1), 1.0),
    "growth": lambda phi: initialization.length_growth(phi, 3),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ["tanh", "step", "monomial2", "gelu"])
def test_refuses_activations_that_are_not_homogeneous(name, call):
    phi = get(name)
    with pytest.raises(ValueError, match=rf"activation='{re.escape(phi.name)}'.*use theory\.sig"):
        CALLS[call](phi)


@pytest.mark.parametrize("function", ["forward_moments", "backward_moments"])
@pytest.mark.parametrize(
    ("widths", "weight_var", "message"),
    [
        ((3, 1), 1.0, r"widths=\(3, 1\): give"),
        ((3, 0, 1), 1.0, r"widths=\(3, 0, 1\): give"),
        ((3, 3, 1), -0.5, r"weight_var=-0\.5; a variance"),
        ((3, 3, 1), float("nan"), r"weight_var=nan; a variance"),
        ((3, 3, 1), float("inf"), r"weight_var=inf; a variance"),
    ],
)
def test_refuses_what_is_no_network(function, widths, weight_var, message):
    with pytest.raises(ValueError, match=message):
        getattr(initialization, function)(RELU, STANDARD, widths, weight_var)


@pytest.mark.parametrize("width", [0, -3])
def test_growth_refuses_no_units(width):
    with pytest.raises(ValueError, match=f"width={width}; a layer has"):
        initialization.length_growth(RELU, width)


@pytest.mark.parametrize("width", [1, 2, 7])
def test_length_growth_of_linear_units_is_that_of_chi_squared(width):
    for power in range(1, 9):
        expected = np.prod(1 + 2 * np.arange(power) / width)
        found = initialization.length_growth(LINEAR, width, power)
        np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("phi", [RELU, BENT], ids=lambda phi: phi.name)
def test_length_growth_of_two_units_is_a_binomial_sum(phi):
    sides = np.asarray(phi(jnp.array([-1.0, 1.0])), float)
    double = [np.prod(np.arange(1, 2 * k, 2)) for k in range(9)]
    moments = [np.mean(sides ** (2 * k)) * double[k] for k in range(9)]  # of one unit's square
    for power in range(1, 9):
        pairs = (math.comb(power, k) * moments[k] * moments[power - k] for k in range(power + 1))
        expected = sum(pairs) / (2 * moments[1]) ** power
        found = initialization.length_growth(phi, 2, power)
        np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("power", [0, 9])
def test_length_growth_refuses_other_powers(power):
    with pytest.raises(ValueError, match="power="):
        initialization.length_growth(RELU, 3, power)
