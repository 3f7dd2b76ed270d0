"""A circle in every layer, against derivatives and Fourier sums of covariances, and sampled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit import closed_forms
from widelimit.activations import get
from widelimit.theory import curves, phases, signal, susceptibility

TANH, ERF, RELU, SIN, GELU, LINEAR = (
    get(name) for name in ("tanh", "erf", "relu", "sin", "gelu", "linear")
)


@pytest.mark.parametrize("metric", [None, 0.8])
@pytest.mark.parametrize(
    ("phi", "dual"), [(ERF, closed_forms.erf), (SIN, closed_forms.sine)], ids=["erf", "sin"]
)
def test_circle_is_differentiated(phi, dual, metric):
    # The covariance along the circle, composed through three layers in closed form, and four
    # derivatives of it: g = −k″(0), A = k⁗(0), κ² = A/g². The lengths are not at a fixed point. A
    # circle in the input has a metric below q: biases make a part of k that does not move.
    w, b, q = 2.7, 0.2, 1.9
    radius = q if metric is None else metric
    variances = [float(x) for x in signal.lengths(phi, q, 4, w, b)]

    def covariance(layers):
        def k(angle):
            value = radius * jnp.cos(angle) + (q - radius)
            for var in variances[:layers]:
                value = w * dual(jnp.asarray(var), jnp.asarray(var), value) + b
            return value

        return k

    curve = curves.circle(phi, np.array(variances), w, metric)
    for layers in range(4):
        k = covariance(layers)
        second = jax.jacfwd(jax.jacfwd(k))
        fourth = jax.jacfwd(jax.jacfwd(second))
        speed = -float(second(0.0))
        np.testing.assert_allclose(curve.metric[layers], speed, rtol=1e-11)
        curvature = np.sqrt(float(fourth(0.0))) / speed
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
    curve = curves.circle(TANH, np.array([q, q]), w)
    metric, curvature = float(curve.metric[1]), float(curve.curvature[1])
    for terms, value in (
        (w * (first * v) ** 2, metric),
        (w * (second * v**2 + first * acceleration) ** 2, curvature**2 * metric**2),
    ):
        error = terms.std() / np.sqrt(n)
        assert abs(terms.mean() - value) <= 4.5 * error
        assert 4.5 * error < 0.03 * value


def test_layer_1_is_a_circle():
    curve = curves.circle(TANH, np.full(3, 1.7), 2.0)
    np.testing.assert_allclose(curve.length[0], 2 * np.pi * np.sqrt(1.7), rtol=1e-14)
    np.testing.assert_allclose(curve.curvature[0], 1.7**-0.5, rtol=1e-14)
    np.testing.assert_allclose(curve.tangent_metric[0], 1.0, rtol=1e-14)
    np.testing.assert_allclose(curve.tangent_length[0], 2 * np.pi, rtol=1e-14)
    in_the_input = curves.circle(TANH, np.full(3, 1.7), 2.0, 1.1)
    np.testing.assert_allclose(in_the_input.metric[0], 1.1, rtol=1e-14)
    np.testing.assert_allclose(in_the_input.curvature[0], 1.1**-0.5, rtol=1e-14)


def test_chaos_stretches_and_curls_at_a_constant_curvature():
    # At a fixed point g grows by χ₁ a layer, and κ² comes to 3χ₂/(χ₁(χ₁ − 1)) by 1/χ₁ a layer.
    q, w = 4.07912, 6.25
    chi_1, chi_2 = (float(chi(TANH, q, w)) for chi in (susceptibility.chi_1, susceptibility.chi_2))
    curve = curves.circle(TANH, np.full(30, q), w)
    metric, curvature = np.asarray(curve.metric), np.asarray(curve.curvature)
    np.testing.assert_allclose(metric[1:] / metric[:-1], chi_1, rtol=1e-12)
    gap = curvature**2 - 3 * chi_2 / (chi_1 * (chi_1 - 1))
    np.testing.assert_allclose(gap[1:12] / gap[:11], 1 / chi_1, rtol=1e-9)
    tangents = np.asarray(curve.tangent_length)
    np.testing.assert_allclose(tangents[-1] / tangents[-2], np.sqrt(chi_1), rtol=1e-4)


def test_linear_layers_keep_the_shape_of_a_circle():
    curve = curves.circle(LINEAR, np.full(5, 2.0), 0.8)
    np.testing.assert_allclose(curve.curvature**2 * curve.metric, 1, rtol=1e-13)


def test_curves_with_kinks():
    curve = curves.circle(RELU, np.full((2, 3), 1.0), np.array([1.0, 2.0]))
    np.testing.assert_allclose(curve.metric, [[1, 0.5, 0.25], [1, 1, 1]], rtol=1e-12)
    assert np.isfinite(curve.curvature[:, 0]).all()
    assert np.isinf(curve.curvature[:, 1:]).all()


def test_circles_broadcast():
    var, w, metric = np.array([[1.0, 1.3, 1.2], [2.0, 1.9, 2.1]]), np.array([1.5, 3.0]), [0.8, 1.9]
    both = curves.circle(TANH, var, w, np.array(metric))
    for row in range(2):
        one = curves.circle(TANH, var[row], w[row], metric[row])
        np.testing.assert_allclose(both.metric[row], one.metric, rtol=1e-13)
        np.testing.assert_allclose(both.curvature[row], one.curvature, rtol=1e-13)
    # One radius for all rows, and one row of lengths for all weights.
    shared = curves.circle(TANH, var[0], w, 0.8)
    assert shared.metric.shape == shared.curvature.shape == (2, 3)
    np.testing.assert_allclose(shared.metric[0], both.metric[0], rtol=1e-13)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"var": np.array([1.0, -1.0])}, "var contains -1"),
        ({"var": np.array([-1.0, 1.0])}, "var contains -1"),
        ({"weight_var": -0.5}, "weight_var contains -0.5"),
        ({"metric": -0.5}, "metric contains -0.5"),
    ],
)
def test_circle_refuses(changes, message):
    arguments = {"var": np.ones(2), "weight_var": 1.0, **changes}
    with pytest.raises(ValueError, match=message):
        curves.circle(TANH, **arguments)


# Harmonics.

#: σ_w = 2.5 and σ_b = 0.3.
CHAOS = (6.25, 0.09)
#: Of the two covariances that are compared each errs by 1e-12 of q, and a sum over 256 points with
#: weights that add up to 1 or 2 does not enlarge that.
QUADRATURE = 4e-12


@pytest.fixture(scope="module")
def chaos():
    """q*, and the metric of a circle in the input."""
    q = float(phases.phase_diagram(TANH, *CHAOS).var)
    return q, q - CHAOS[1]


@pytest.mark.parametrize(
    ("phi", "q", "w", "metric"),
    [(TANH, 4.07912, 6.25, 3.9), (GELU, 1.0, 1.5, None), (ERF, 1.9, 2.7, 1.2)],
    ids=["tanh", "gelu", "erf"],
)
def test_harmonics_are_sums_over_angles(phi, q, w, metric):
    # The covariance at 256 equal angles, by quadrature pair by pair and layer by layer, and its
    # Fourier sums. What lies beyond frequency 127 is folded back: nothing in three layers.
    metric_of_1 = q if metric is None else metric
    angles = 2 * np.pi * np.arange(256) / 256
    covariance = metric_of_1 * np.cos(angles) + q - metric_of_1
    bias_var = q - float(signal.length_map(phi, q, w, 0.0))
    found = np.asarray(curves.harmonics(phi, q, 3, w, metric))
    assert found.shape == (3, curves.POINTS // 2)
    for layer in range(3):
        expected = np.fft.rfft(covariance).real / 256
        expected[1:] *= 2
        np.testing.assert_array_less(
            np.abs(found[layer, :128] - expected[:128]), (layer + 1) * QUADRATURE * q
        )
        np.testing.assert_array_less(np.abs(found[layer, 128:]), QUADRATURE * q)
        covariance = np.clip(covariance, -q, q)
        covariance = np.asarray(signal.covariance_map(phi, q, q, covariance, w, bias_var))


def test_harmonics_are_variances_that_add_up(chaos):
    q, metric = chaos
    for radius in (None, metric):
        found = np.asarray(curves.harmonics(TANH, q, 6, CHAOS[0], radius))
        np.testing.assert_allclose(found.sum(axis=1), q, rtol=1e-9)
        assert found.min() > -1e-9 * q
    # In layer 1 there is the circle, and the bias, which does not move.
    expected = np.zeros(found.shape[1])
    expected[:2] = CHAOS[1], metric
    np.testing.assert_allclose(found[0], expected, atol=1e-14 * q)


@pytest.mark.parametrize("power", [2, 4])
def test_moments_of_the_frequencies_are_the_metric_and_the_acceleration(power, chaos):
    # k(τ) = Σ v_m cos mτ, so that g = −k″(0) = Σ m² v_m and A = κ²g² = k⁗(0) = Σ m⁴ v_m. Rounding
    # leaves 1e-14·q or so in each v_m, as in any transform of 4096 points, and is enlarged by
    # powers of m: what is beyond the band is left out, and what is in it allowed for.
    q, metric = chaos
    depth, band = 4, np.arange(150)
    curve = curves.circle(TANH, np.full(depth, q), CHAOS[0], metric)
    found = np.asarray(curves.harmonics(TANH, q, depth, CHAOS[0], metric))[:, band]
    expected = curve.metric if power == 2 else (curve.curvature * curve.metric) ** 2
    allowed = 3e-14 * q * np.sqrt(np.sum(band ** (2.0 * power)))
    assert allowed < 1e-4 * float(expected[1])
    # Between frequencies 100 and 150 the harmonics fall by more than a factor e every ten.
    beyond = 10 * np.abs(found[:, 140:]).max(axis=1) * band[-1] ** power
    np.testing.assert_array_less(np.abs(found @ band**power - expected), allowed + beyond)


def test_linear_layers_keep_one_frequency():
    q, w, metric = 2.0, 0.8, 1.5
    found = np.asarray(curves.harmonics(LINEAR, q, 5, w, metric))
    moving = metric * w ** np.arange(5)
    np.testing.assert_allclose(found[:, 1], moving, rtol=1e-12)
    np.testing.assert_allclose(found[:, 0], q - moving, rtol=1e-12)
    np.testing.assert_allclose(found[:, 2:], 0, atol=1e-13)


def test_an_odd_activation_without_biases_makes_odd_frequencies():
    q = 3.0
    w = q / float(signal.mean_square(TANH, q))
    found = np.asarray(curves.harmonics(TANH, q, 6, w))
    np.testing.assert_allclose(found[:, ::2], 0, atol=1e-12 * q)
    assert (found[1:, 3] > 0.01 * q).all()


def test_what_does_not_move_has_no_frequency():
    found = np.asarray(curves.harmonics(TANH, 3.0, 4, 1.2, 0.0))
    np.testing.assert_allclose(found[:, 0], 3.0, rtol=1e-12)
    np.testing.assert_allclose(found[:, 1:], 0, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": -0.1}, r"metric=-0\.1 must lie between 0 and var=2\.0"),
        ({"metric": 2.1}, r"metric=2\.1 must lie between 0 and var=2\.0, the part that moves"),
        ({"metric": float("nan")}, "metric=nan must lie between"),
        ({"depth": 0}, "depth=0 must be an integer, at least 1"),
        ({"weight_var": -1.0}, r"weight_var contains -1\.0"),
        ({"var": float("inf"), "metric": 1.0}, "var contains inf"),
    ],
)
def test_harmonics_refuse(changes, message):
    arguments = {"var": 2.0, "depth": 3, "weight_var": 1.0, **changes}
    with pytest.raises(ValueError, match=message):
        curves.harmonics(TANH, **arguments)
