"""Susceptibilities, gradients and curvature, against derivatives of the maps they come from."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit import closed_forms
from widelimit.activations import get, names
from widelimit.theory import gaussian, geometry, signal

TANH, ERF, RELU, SIN, SIGN = (get(name) for name in ("tanh", "erf", "relu", "sin", "sign"))
CONTINUOUS = [get(name) for name in names() if not any(get(name).jumps)]
SMOOTH = [phi for phi in CONTINUOUS if not phi.kinks]


@pytest.mark.parametrize("phi", CONTINUOUS, ids=lambda phi: phi.name)
def test_chi_1_is_the_slope_of_the_covariance_map_at_equal_inputs(phi):
    q = np.array([0.3, 1.7])
    chi = geometry.chi_1(phi, q, 1.3)
    # The same number as a limit of pairs and as one integral.
    np.testing.assert_allclose(geometry.covariance_slope(phi, q, q, q, 1.3), chi, rtol=1e-12)
    # And as a chord: F(q) − F(q − δ) = χ₁·δ − ½·χ₂·δ², or χ₁·δ + O(δ^(3/2)) with kinks.
    delta = 1e-4
    ends = [signal.covariance_map(phi, q, q, q - d, 1.3, 0.2) for d in (0, delta)]
    order = np.sqrt(delta) if phi.kinks else delta
    chi_2 = 1 if phi.kinks else np.asarray(geometry.chi_2(phi, q, 1.3))
    bound = 1.3 * order * (1 + chi_2)
    assert (np.abs((np.asarray(ends[0]) - ends[1]) / delta - chi) <= bound).all()


@pytest.mark.parametrize("phi", SMOOTH, ids=lambda phi: phi.name)
def test_chi_2_is_the_curvature_of_the_covariance_map(phi):
    # F(q) − 2F(q − δ) + F(q − 2δ) = χ₂·δ² + O(δ³); extrapolated twice, the error is O(δ³).
    q, delta = 0.8, 0.005

    def second(delta):
        f = [float(signal.covariance_map(phi, q, q, q - k * delta, 1.3, 0.2)) for k in range(3)]
        return (f[0] - 2 * f[1] + f[2]) / delta**2

    d1, d2, d4 = (second(k * delta) for k in (1, 2, 4))
    expected = (8 * d1 - 6 * d2 + d4) / 3
    chi_2 = float(geometry.chi_2(phi, q, 1.3))
    scale = max(chi_2, float(geometry.chi_1(phi, q, 1.3)))
    assert abs(chi_2 - expected) <= 300 * delta**3 * scale


def test_jumps_and_kinks_are_infinite():
    assert np.isinf(geometry.chi_1(SIGN, 1.0, 0.5))
    assert np.isinf(geometry.chi_2(RELU, 1.0, 0.5))
    assert float(geometry.chi_1(SIGN, 1.0, 0.0)) == 0
    assert np.isinf(geometry.covariance_slope(SIGN, 1.0, 1.0, 1.0, 0.5))
    # arcsine: (2/π)/√(1 − c²)
    slope = geometry.covariance_slope(SIGN, 2.0, 2.0, 1.2, 0.5)
    np.testing.assert_allclose(slope, 0.5 * 2 / np.pi / np.sqrt(4 - 1.44), rtol=1e-13)


def test_backward_moments_multiply_from_the_end():
    w, b, keep_prob = 1.8, 0.1, 0.7
    q = signal.lengths(TANH, 3.0, 6, w, b, keep_prob)
    widths = [10, 20, 40, 5, 5, 30]
    moments = np.asarray(geometry.backward_moments(TANH, q, w, keep_prob, widths))
    assert moments[-1] == 1
    for layer, (here, above) in enumerate(pairwise(moments)):
        chi = float(geometry.chi_1(TANH, q[layer], w))
        factor = chi / keep_prob * widths[layer + 1] / widths[layer]
        np.testing.assert_allclose(here, factor * above, rtol=1e-12)


def test_backward_moments_broadcast():
    w = np.array([1.0, 2.0, 3.0])
    q = signal.lengths(RELU, 1.0, 5, w, 0.3)
    moments = np.asarray(geometry.backward_moments(RELU, q, w))
    np.testing.assert_allclose(moments, (w[:, None] / 2) ** np.arange(4, -1, -1), rtol=1e-13)


def test_gradient_of_one_layer_is_sampled():
    # δ = (p/ρ)·φ′(h)·(sum of n weights of variance σ_w²/n times gradients above): one Gaussian.
    generator = np.random.default_rng(3)
    n, q, w, keep_prob = 1_000_000, 1.4, 2.2, 0.6
    h, above = np.sqrt(q) * generator.standard_normal(n), generator.standard_normal(n)
    kept = generator.random(n) < keep_prob
    delta = kept / keep_prob * (1 - np.tanh(h) ** 2) * np.sqrt(w) * above
    value = float(geometry.backward_moments(TANH, np.array([q, q]), w, keep_prob)[0])
    error = (delta**2).std() / np.sqrt(n)
    assert abs((delta**2).mean() - value) <= 4.5 * error
    assert 4.5 * error < 0.03


@pytest.mark.parametrize(
    ("phi", "dual"), [(ERF, closed_forms.erf), (SIN, closed_forms.sine)], ids=["erf", "sin"]
)
def test_circle_is_differentiated(phi, dual):
    # The covariance along the circle, composed through three layers in closed form, and four
    # derivatives of it: g = −k″(0), A = k⁗(0), κ² = A/g². The lengths are not at a fixed point.
    w, b, q = 2.7, 0.2, 1.9
    variances = [float(x) for x in signal.lengths(phi, q, 4, w, b)]

    def covariance(layers):
        def k(angle):
            value = q * jnp.cos(angle)
            for var in variances[:layers]:
                value = w * dual(jnp.asarray(var), jnp.asarray(var), value) + b
            return value

        return k

    curve = geometry.circle(phi, np.array(variances), w)
    for layers in range(4):
        k = covariance(layers)
        second = jax.jacfwd(jax.jacfwd(k))
        fourth = jax.jacfwd(jax.jacfwd(second))
        metric = -float(second(0.0))
        np.testing.assert_allclose(curve.metric[layers], metric, rtol=1e-11)
        curvature = np.sqrt(float(fourth(0.0))) / metric
        np.testing.assert_allclose(curve.curvature[layers], curvature, rtol=1e-10)


def test_curve_of_tanh_is_sampled():
    # One unit of layer 1 and its derivatives: h = a·cos t + b·sin t at t = 0, over a, b ~ N(0, q).
    # Layer 2 has v′ = φ′v and a′ = φ″v² + φ′a before the weights.
    generator = np.random.default_rng(11)
    n, q, w = 1_000_000, 1.6, 3.0
    h, v = np.sqrt(q) * generator.standard_normal((2, n))
    acceleration = -h
    t = np.tanh(h)
    first, second = 1 - t**2, -2 * t * (1 - t**2)
    curve = geometry.circle(TANH, np.array([q, q]), w)
    metric, curvature = float(curve.metric[1]), float(curve.curvature[1])
    for terms, value in (
        (w * (first * v) ** 2, metric),
        (w * (second * v**2 + first * acceleration) ** 2, curvature**2 * metric**2),
    ):
        error = terms.std() / np.sqrt(n)
        assert abs(terms.mean() - value) <= 4.5 * error
        assert 4.5 * error < 0.03 * value


def test_layer_1_is_a_circle():
    curve = geometry.circle(TANH, np.full(3, 1.7), 2.0)
    np.testing.assert_allclose(curve.length[0], 2 * np.pi * np.sqrt(1.7), rtol=1e-14)
    np.testing.assert_allclose(curve.curvature[0], 1.7**-0.5, rtol=1e-14)
    np.testing.assert_allclose(curve.tangent_metric[0], 1.0, rtol=1e-14)
    np.testing.assert_allclose(curve.tangent_length[0], 2 * np.pi, rtol=1e-14)


def test_chaos_stretches_and_curls_at_a_constant_curvature():
    # At a fixed point g grows by χ₁ a layer, and κ² comes to 3χ₂/(χ₁(χ₁ − 1)) by 1/χ₁ a layer.
    q, w = 4.07912, 6.25
    chi_1, chi_2 = (float(chi(TANH, q, w)) for chi in (geometry.chi_1, geometry.chi_2))
    curve = geometry.circle(TANH, np.full(30, q), w)
    metric, curvature = np.asarray(curve.metric), np.asarray(curve.curvature)
    np.testing.assert_allclose(metric[1:] / metric[:-1], chi_1, rtol=1e-12)
    gap = curvature**2 - 3 * chi_2 / (chi_1 * (chi_1 - 1))
    np.testing.assert_allclose(gap[1:12] / gap[:11], 1 / chi_1, rtol=1e-9)
    tangents = np.asarray(curve.tangent_length)
    np.testing.assert_allclose(tangents[-1] / tangents[-2], np.sqrt(chi_1), rtol=1e-4)


def test_linear_layers_keep_the_shape_of_a_circle():
    curve = geometry.circle(get("linear"), np.full(5, 2.0), 0.8)
    np.testing.assert_allclose(curve.curvature**2 * curve.metric, 1, rtol=1e-13)


def test_curves_with_kinks():
    curve = geometry.circle(RELU, np.full((2, 3), 1.0), np.array([1.0, 2.0]))
    np.testing.assert_allclose(curve.metric, [[1, 0.5, 0.25], [1, 1, 1]], rtol=1e-12)
    assert np.isfinite(curve.curvature[:, 0]).all()
    assert np.isinf(curve.curvature[:, 1:]).all()


def test_widths_are_checked():
    q = np.full(4, 1.0)
    for widths in ([1, 2, 3], [1, 2, 0, 4]):
        with pytest.raises(ValueError, match="must be 4 positive numbers"):
            geometry.backward_moments(TANH, q, 1.0, 1.0, widths)
    with pytest.raises(ValueError, match="keep_prob contains 2"):
        geometry.backward_moments(TANH, q, 1.0, 2.0)
    with pytest.raises(ValueError, match="var contains -1"):
        geometry.circle(TANH, -q, 1.0)


def test_covariance_slope_is_that_of_two_lengths():
    pair = (1.5, 0.6, 0.4)
    by_quadrature = gaussian.covariance_derivative(TANH, TANH, *pair)
    np.testing.assert_allclose(geometry.covariance_slope(TANH, *pair, 1.7), 1.7 * by_quadrature)
    h = 1e-4
    up, down = (signal.covariance_map(TANH, 1.5, 0.6, 0.4 + s * h, 1.7, 0.1) for s in (1, -1))
    # h²/6·F‴ = 1e-9·F‴, and 1e-13/h from the quadrature
    np.testing.assert_allclose((up - down) / (2 * h), 1.7 * by_quadrature, atol=1e-8)
