"""The maps of one layer, against closed forms, differences, sampling and their known rates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit.activations import Activation, get, names
from widelimit.theory import signal

ALL = [get(name) for name in names()]
TANH, ERF, RELU, SIGN = (get(name) for name in ("tanh", "erf", "relu", "sign"))

# Kinks away from 0, and a smooth activation without a closed form whose φ″ nobody gave.
HARD_TANH = Activation(
    name="hard_tanh",
    fn=lambda x: jnp.clip(x, -1, 1),
    derivative=lambda x: (jnp.sign(x + 1) - jnp.sign(x - 1)) / 2,
    second_derivative=jnp.zeros_like,
    kinks=(-1.0, 1.0),
    slope_jumps=(1.0, -1.0),
)
BARE_TANH = Activation("bare_tanh", jnp.tanh, lambda x: 1 - jnp.tanh(x) ** 2)
# It jumps by 1/2 at 1, where its slope falls from 1 to 0: all three terms of a kink count.
CLIFF = Activation(
    name="cliff",
    fn=lambda x: jnp.where(x == 1, 1.25, jnp.where(x < 1, x, 1.5)),
    derivative=lambda x: jnp.where(x == 1, 0.5, jnp.where(x < 1, 1.0, 0.0)),
    second_derivative=jnp.zeros_like,
    kinks=(1.0,),
    jumps=(0.5,),
    slope_jumps=(-1.0,),
)


@pytest.mark.parametrize("phi", [*ALL, HARD_TANH, BARE_TANH, CLIFF], ids=lambda phi: phi.name)
@pytest.mark.parametrize("var", [0.3, 1.7])
def test_slope_of_the_length_map(phi, var):
    # Differences over 2h and h, extrapolated: the error is of order h⁴ ≈ 1e-10 of the scale, and
    # rounding adds 1e-15/h = 1e-12 of it.
    def difference(h):
        up, down = (signal.length_map(phi, var + s * h, 1.3, 0.2, 0.8) for s in (1, -1))
        return (up - down) / (2 * h)

    h = 1e-3 * var
    expected = (4 * difference(h) - difference(2 * h)) / 3
    slope = signal.length_slope(phi, var, 1.3, 0.8)
    scale = float(signal.length_map(phi, var, 1.3, 0.0, 0.8)) / var
    np.testing.assert_allclose(slope, expected, rtol=0, atol=1e-9 * scale)


@pytest.mark.parametrize("phi", ALL, ids=lambda phi: phi.name)
def test_correlation_map_is_increasing_and_convex(phi):
    c = np.linspace(0, 1, 41)
    image = np.asarray(signal.correlation_map(phi, c, 0.8, 1.3, 0.2))
    first = np.diff(image)
    assert (first >= -1e-13).all()
    assert (np.diff(first) >= -1e-13).all()
    np.testing.assert_allclose(image[-1], 1, rtol=0, atol=1e-15)
    # Independent masks part two equal inputs, all the more the more units are dropped.
    ends = signal.correlation_map(phi, 1.0, 0.8, 1.3, 0.2, np.array([0.3, 0.6, 0.9]))
    assert (np.diff(np.asarray(ends)) > 0).all()
    assert float(ends[-1]) < 1 - 1e-3


def test_erf_is_an_arcsine():
    q, weight_var, bias_var, keep_prob = np.array([0.0, 0.4, 3.0, 1e3]), 1.9, 0.07, 0.85
    arcsine = 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q))
    expected = weight_var / keep_prob * arcsine + bias_var
    value = signal.length_map(ERF, q, weight_var, bias_var, keep_prob)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    # d/dq arcsin(2q/(1 + 2q)) = 2/((1 + 2q)·√(1 + 4q))
    slope = weight_var / keep_prob * 4 / np.pi / ((1 + 2 * q) * np.sqrt(1 + 4 * q))
    value = signal.length_slope(ERF, q, weight_var, keep_prob)
    np.testing.assert_allclose(value, slope, rtol=1e-12)
    # E[exp(−2u²)] = (1 + 4q)^(−1/2), and E[u²·exp(−2u²)] = q·(1 + 4q)^(−3/2).
    means = (arcsine, 4 / np.pi / np.sqrt(1 + 4 * q), 16 * q / np.pi / (1 + 4 * q) ** 1.5)
    for order, mean in enumerate(means):
        np.testing.assert_allclose(signal.mean_square(ERF, q, order), mean, rtol=1e-12, atol=1e-16)


def test_relu_is_an_arc_cosine():
    angle = np.linspace(0, np.pi, 9)
    c = np.cos(angle)
    expected = (np.sin(angle) + (np.pi - angle) * c) / np.pi
    # Bias-free ReLU keeps no trace of the length or of σ_w².
    for var, weight_var in ((1e-3, 0.4), (5.0, 7.0)):
        image = signal.correlation_map(RELU, c, var, weight_var, 0.0)
        np.testing.assert_allclose(image, expected, rtol=0, atol=1e-15)
    np.testing.assert_allclose(signal.lengths(RELU, 0.3, 20, 2.5, 0.0), 0.3 * 1.25 ** np.arange(20))


def test_relu_at_criticality_forgets_as_the_square_of_depth():
    # ε = 1 − c obeys ε′ = ε − (2ε)^(3/2)/3π + O(ε²), so ε^(−1/2) grows by √2/3π a layer and by
    # O(1/l) besides: l²·ε = 9π²/2·(1 + O(log l/l)).
    depths = np.array([250, 1000, 4000])
    c = signal.correlations(RELU, 1.0, 1.0, 0.3, 4000, 2.0, 0.0)
    ratio = depths**2 * (1 - np.asarray(c)[depths - 1]) / (9 * np.pi**2 / 2)
    assert (np.abs(1 - ratio) < 8 * np.log(depths) / depths).all()
    assert abs(1 - ratio[-1]) < abs(1 - ratio[-2]) / 2.5


def test_smooth_activation_at_criticality_forgets_as_depth():
    # ε′ = ε − ½·q·χ₂·ε² + O(ε³): l·ε = 2/(q·χ₂)·(1 + O(log l/l)), for erf in closed form.
    q = 0.6
    weight_var = np.pi / 4 * np.sqrt(1 + 4 * q)
    bias_var = q - weight_var * 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q))
    chi_2 = weight_var * 16 * q / np.pi / (1 + 4 * q) ** 1.5
    depths = np.array([250, 1000, 4000])
    c = signal.correlations(ERF, q, q, 0.3, 4000, weight_var, bias_var)
    ratio = depths * (1 - np.asarray(c)[depths - 1]) * q * chi_2 / 2
    assert (np.abs(1 - ratio) < 8 * np.log(depths) / depths).all()
    assert abs(1 - ratio[-1]) < abs(1 - ratio[-2]) / 2.5


@pytest.mark.parametrize("phi", [TANH, get("silu"), HARD_TANH, SIGN], ids=lambda phi: phi.name)
def test_maps_with_dropout_are_sampled(phi):
    # A fan-in of one is enough: the maps are means over independent units.
    generator = np.random.default_rng(7)
    n, q1, q2, c, keep_prob, weight_var, bias_var = 1_000_000, 1.5, 0.6, 0.7, 0.8, 1.7, 0.3
    z = generator.standard_normal((2, n))
    u, v = np.sqrt(q1) * z[0], np.sqrt(q2) * (c * z[0] + np.sqrt(1 - c**2) * z[1])
    masks = generator.random((2, n)) < keep_prob
    x, y = (
        np.asarray(phi(jnp.asarray(h))) * m / keep_prob for h, m in zip((u, v), masks, strict=True)
    )
    cov = signal.covariance_map(phi, q1, q2, c * np.sqrt(q1 * q2), weight_var, bias_var)
    length = signal.length_map(phi, q1, weight_var, bias_var, keep_prob)
    for terms, value in ((x * x, length), (x * y, cov)):
        error = weight_var * terms.std() / np.sqrt(n)
        assert abs(weight_var * terms.mean() + bias_var - value) <= 4.5 * error
        assert 4.5 * error < 0.02


def test_trajectories_are_iterated_maps():
    q1, q2, c = 0.4, 2.5, -0.3
    chain = signal.correlations(TANH, q1, q2, c, 4, 1.7, 0.3, 0.9)
    lengths = [signal.lengths(TANH, q, 4, 1.7, 0.3, 0.9) for q in (q1, q2)]
    for layer in range(4):
        np.testing.assert_allclose([x[layer] for x in lengths], [q1, q2], rtol=1e-13)
        np.testing.assert_allclose(chain[layer], c, rtol=1e-12)
        cov = signal.covariance_map(TANH, q1, q2, c * np.sqrt(q1 * q2), 1.7, 0.3)
        q1, q2 = (float(signal.length_map(TANH, q, 1.7, 0.3, 0.9)) for q in (q1, q2))
        c = float(cov) / np.sqrt(q1 * q2)


def test_equal_inputs_stay_equal_in_chaos():
    for phi in (TANH, ERF):
        c = signal.correlations(phi, 12.6, 12.6, 1.0, 60, 16.0, 0.09)
        np.testing.assert_array_equal(c, 1)
    # Not quite equal ones part by χ₁ a layer: 2.4^60 is far beyond what 1e-15 survives.
    assert float(signal.correlations(ERF, 12.6, 12.6, 1 - 1e-15, 120, 16.0, 0.09)[-1]) < 0.1


def test_zero_variance_is_the_limit():
    zero = jnp.asarray(0.0)
    for name, slope in (("relu", 0.5), ("leaky_relu", 0.50005), ("abs", 1.0), ("tanh", 1.0)):
        phi = get(name)
        assert float(signal.length_map(phi, zero, 1.0, 0.0)) < 1e-100
        np.testing.assert_allclose(signal.length_slope(phi, zero, 1.0), slope, rtol=1e-12)
        np.testing.assert_allclose(signal.mean_square(phi, zero, 1), slope, rtol=1e-12)
    np.testing.assert_allclose(signal.length_map(SIGN, zero, 3.0, 0.5), 3.5, rtol=1e-13)
    np.testing.assert_allclose(signal.length_slope(SIGN, zero, 3.0), 0.0, atol=1e-13)


def test_diverging_lengths_end_at_infinity():
    for name, weight_var, layers in (("exp", 2.0, 6), ("gelu", 5.0, 900), ("silu", 9.0, 700)):
        q = np.asarray(signal.lengths(get(name), 1.0, layers, weight_var, 0.1))
        assert (np.diff(q[np.isfinite(q)]) > 0).all()
        assert q[-1] == np.inf


def test_mean_square_of_a_delta_is_infinite():
    assert np.isinf(signal.mean_square(SIGN, 1.0, 1))
    assert np.isinf(signal.mean_square(RELU, 1.0, 2))
    assert np.isfinite(signal.mean_square(RELU, 1.0, 1))


def test_depth_scale():
    slopes = np.array([np.exp(-0.1), -np.exp(-0.1), np.exp(0.5), 1, 1 + 1e-11, 0, np.inf])
    expected = [10, 10, -2, np.inf, np.inf, 0, 0]
    np.testing.assert_allclose(signal.depth_scale(slopes), expected, rtol=1e-13)


def test_arguments_broadcast_and_keep_their_dtype():
    w, b = jnp.linspace(0.5, 2, 3)[:, None], jnp.linspace(0, 1, 4)[None]
    q = signal.lengths(TANH, 1.0, 5, w, b)
    assert q.shape == (3, 4, 5)
    np.testing.assert_allclose(q[2, 1], signal.lengths(TANH, 1, 5, 2, 1 / 3), rtol=1e-13)
    single = [jnp.float32(x) for x in (0.7, 1.3, 0.2)]
    for phi in (TANH, RELU, ERF):
        value = signal.length_map(phi, *single)
        assert value.dtype == jnp.float32
        double = signal.length_map(phi, *(float(x) for x in single))
        np.testing.assert_allclose(value, double, rtol=1e-5)


def test_maps_are_traced():
    def image(q):
        return signal.length_map(TANH, q, 1.3, 0.2)

    np.testing.assert_allclose(jax.jit(image)(0.8), image(0.8), rtol=1e-14)
    np.testing.assert_allclose(
        jax.grad(image)(0.8), signal.length_slope(TANH, 0.8, 1.3), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: signal.length_map(TANH, -1.0, 1.0, 0.0), r"var contains -1\.0; variances must"),
        (lambda: signal.length_map(TANH, 1.0, np.nan, 0.0), "weight_var contains nan"),
        (lambda: signal.lengths(TANH, 1.0, 3, 1.0, np.inf), "bias_var contains inf"),
        (lambda: signal.lengths(TANH, 1.0, 0, 1.0, 0.0), "depth=0 must be"),
        (
            lambda: signal.length_slope(TANH, 1.0, 1.0, 0.0),
            r"keep_prob contains 0\.0; a probability",
        ),
        (lambda: signal.correlation_map(TANH, 1.1, 1.0, 1.0, 0.0), r"correlation contains 1\.1"),
        (lambda: signal.covariance_map(TANH, 1.0, 1.0, 1.1, 1.0, 0.0), r"cov contains 1\.1"),
        (lambda: signal.covariance_map(TANH, 1.0, 1.0, np.nan, 1.0, 0.0), "cov contains nan"),
        (lambda: signal.mean_square(TANH, 1.0, 3), "order=3 must be 0, 1 or 2"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
