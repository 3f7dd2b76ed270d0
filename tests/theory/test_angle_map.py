"""One layer as a function of the angle, against the maps it interpolates."""

import numpy as np
import pytest

from widelimit.activations import get
from widelimit.theory import angle_map, gaussian, phases, signal

TANH, ERF, RELU = get("tanh"), get("erf"), get("relu")


@pytest.mark.parametrize(("phi", "weight_var"), [(TANH, 16.0), (ERF, 9.0), (TANH, 1.69)])
def test_it_is_the_correlation_map(phi, weight_var):
    q = float(phases.phase_diagram(phi, weight_var, 0.09).var)
    layer = angle_map.at_fixed_point(phi, q, weight_var)
    # Everywhere, the ends among it, where the arc cosine is steepest.
    c = np.array([-1.0, -0.999, -0.3, 0.0, 0.4, 0.98, 1 - 1e-6, 1 - 1e-9, 1.0])
    exact = signal.correlation_map(phi, c, q, weight_var, 0.09)
    np.testing.assert_allclose(layer(c), exact, rtol=0, atol=1e-9)


def test_relu_without_biases_is_known():
    # Chapter 1: C(cos θ) = (sin θ + (π − θ) cos θ)/π at σ_w² = 2, where every length is fixed.
    theta = np.linspace(0, np.pi, 50)
    layer = angle_map.at_fixed_point(RELU, 3.0, 2.0)
    exact = (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / np.pi
    np.testing.assert_allclose(layer(np.cos(theta)), exact, rtol=0, atol=1e-12)


def test_layers_are_the_map_again_and_again():
    q = float(phases.phase_diagram(TANH, 6.25, 0.09).var)
    layer = angle_map.at_fixed_point(TANH, q, 6.25)
    c = np.array([[-0.7, 0.2], [0.8, 1.0]])
    found = layer.layers(c, 6)
    assert found.shape == (6, 2, 2)
    exact = np.moveaxis(np.asarray(signal.correlations(TANH, q, q, c, 6, 6.25, 0.09)), -1, 0)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found[:, 1, 1], 1, rtol=0, atol=1e-9)


def test_biases_follow_from_the_fixed_point():
    # The covariance that it takes q* to is q*: E[φ²]·σ_w² + σ_b² with the σ_b² of the start.
    point = phases.phase_diagram(TANH, 4.0, 0.3)
    q = float(point.var)
    layer = angle_map.at_fixed_point(TANH, q, 4.0)
    mean = float(gaussian.expectation(TANH, q)) ** 2
    np.testing.assert_allclose(float(layer(0.0)) * q, 4.0 * mean + 0.3, rtol=1e-8)


def test_equal_inputs_stay_equal_where_that_repels():
    # Rounding at c = 1 would grow by χ₁ = 2.37 a layer, beyond 1 in 40 layers.
    q = float(phases.phase_diagram(TANH, 16.0, 0.09).var)
    layer = angle_map.at_fixed_point(TANH, q, 16.0)
    np.testing.assert_array_equal(layer.layers(np.ones(2), 60), 1)


def test_bad_input():
    with pytest.raises(ValueError, match=r"var=5.0 is no fixed point at weight_var=16.0"):
        angle_map.at_fixed_point(TANH, 5.0, 16.0)
    with pytest.raises(ValueError, match="var contains -1"):
        angle_map.at_fixed_point(TANH, -1.0, 1.0)
    with pytest.raises(ValueError, match="depth=0"):
        angle_map.at_fixed_point(TANH, 3.0, 1.0).layers(0.5, 0)
