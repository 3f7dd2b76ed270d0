"""Curves and their derivatives: known ones, and those a network makes, by hand in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit.activations import get
from widelimit.lab import curves
from widelimit.lab.networks import FullyConnected

# Sums of some ten products, a few times over: about a hundred roundings of 2^-24.
ROUNDING = 1e-5
T = np.linspace(-2.0, 3.0, 11)


def ellipse(t, a=2.0, b=0.5):
    return jnp.stack([a * jnp.cos(t), b * jnp.sin(t)], axis=1)


def helix(t, radius=1.5, rise=0.4):
    return jnp.stack([radius * jnp.cos(t), radius * jnp.sin(t), rise * t], axis=1)


def test_derivatives_of_a_helix(assert_float32):
    found = curves.moving(helix, T)
    assert_float32(found)
    cos, sin, zero = np.cos(T), np.sin(T), np.zeros_like(T)
    position = np.stack([1.5 * cos, 1.5 * sin, 0.4 * T], axis=1)
    velocity = np.stack([-1.5 * sin, 1.5 * cos, zero + 0.4], axis=1)
    acceleration = np.stack([-1.5 * cos, -1.5 * sin, zero], axis=1)
    for one, other in zip(found, (position, velocity, acceleration), strict=True):
        np.testing.assert_allclose(one, other, atol=ROUNDING)


def test_a_helix_has_one_speed_and_one_curvature():
    # R/(R² + c²) in space; speed and curvature are per and times the root of the width, 3.
    _, v, a = curves.moving(helix, T)
    size = 1.5**2 + 0.4**2
    np.testing.assert_allclose(curves.speed(v), np.sqrt(size / 3), rtol=ROUNDING)
    np.testing.assert_allclose(curves.curvature(v, a), np.sqrt(3) * 1.5 / size, rtol=ROUNDING)


def test_an_ellipse_bends_most_at_its_ends():
    # ab/(a²·sin² + b²·cos²)^(3/2): from b/a² to a/b².
    t = np.concatenate([T, [0.0, np.pi / 2]])
    _, v, a = curves.moving(ellipse, t)
    bend = 2.0 * 0.5 / ((2.0 * np.sin(t)) ** 2 + (0.5 * np.cos(t)) ** 2) ** 1.5
    np.testing.assert_allclose(curves.curvature(v, a), np.sqrt(2) * bend, rtol=ROUNDING)
    np.testing.assert_allclose(bend[-2:], [8, 0.125], rtol=1e-12)


def test_curvature_is_the_curves_own():
    # Through another parameter t(s) the velocity changes by t′ and the acceleration gains a part
    # along it; the curvature at one place is the same, and speeds are in the ratio t′.
    def other(s):
        return helix_and_more(s + 0.6 * jnp.sin(s))

    def helix_and_more(t):
        return jnp.concatenate([helix(t), jnp.stack([jnp.sin(2 * t), t**2], axis=1)], axis=1)

    s = np.linspace(-1.5, 1.5, 9)
    _, v, a = curves.moving(helix_and_more, s + 0.6 * np.sin(s))
    _, w, b = curves.moving(other, s)
    assert np.abs(np.asarray(b - a * (1 + 0.6 * np.cos(s))[:, None] ** 2)).max() > 0.5
    np.testing.assert_allclose(curves.curvature(w, b), curves.curvature(v, a), rtol=3 * ROUNDING)
    ratio = 1 + 0.6 * np.cos(s)
    np.testing.assert_allclose(curves.speed(w), ratio * np.asarray(curves.speed(v)), rtol=ROUNDING)


def test_curvature_scales_as_one_over_a_length():
    _, v, a = curves.moving(ellipse, T)
    expected = np.asarray(curves.curvature(v, a)) / 3
    np.testing.assert_allclose(curves.curvature(3 * v, 3 * a), expected, rtol=ROUNDING)


def test_a_straight_line_run_through_at_changing_speed_does_not_bend():
    # |a|²|v|² − (v·a)² is 0 up to rounding, of either sign; its root is the root of a rounding.
    direction = jnp.asarray([[0.3, -1.2, 0.7, 2.0]])
    _, v, a = curves.moving(lambda t: jnp.exp(t)[:, None] * direction, T)
    bend, size = np.asarray(curves.curvature(v, a)), np.asarray(curves.speed(v))
    assert (bend >= 0).all()
    assert (bend * size < np.sqrt(ROUNDING)).all()


# A network.

WIDTHS = (2, 7, 7, 7, 3, 2)
NETWORK = FullyConnected(jax.random.key(3), WIDTHS, get("tanh"), weight_var=2.1, bias_var=0.3)


def by_hand(t):
    """Value, velocity and acceleration of every layer along the ellipse, float64, by layer.

    h′ = W x and x = φ(h): x′ = φ′·v, x″ = φ″·v² + φ′·a.
    """
    x = np.stack([2.0 * np.cos(t), 0.5 * np.sin(t)], axis=1)
    v = np.stack([-2.0 * np.sin(t), 0.5 * np.cos(t)], axis=1)
    a, found = -x, []
    for layers in NETWORK.layers:
        matrices, offsets = (
            np.asarray(one, float) for one in (layers.matrices(), layers.offsets())
        )
        for matrix, offset in zip(matrices, offsets, strict=True):
            h, v, a = x @ matrix + offset, v @ matrix, a @ matrix
            found.append((h, v, a))
            x = np.tanh(h)
            slope = 1 - x**2
            v, a = slope * v, -2 * x * slope * v**2 + slope * a
    return found


@pytest.fixture(scope="module")
def through_the_network():
    return jax.jit(lambda t: curves.moving(lambda t: NETWORK.preactivations(ellipse(t)), t))(T)


def test_by_hand_is_a_difference():
    # Central differences of h over 2e-4 err by 1e-8 times its derivatives, and 1e-16/1e-8 of it.
    step = 1e-4
    places = zip(by_hand(T), by_hand(T + step), by_hand(T - step), strict=True)
    for (h, v, a), (ahead, *_), (back, *_) in places:
        scale = 1 + np.abs(a).max()
        np.testing.assert_allclose((ahead - back) / (2 * step), v, atol=1e-6 * scale)
        np.testing.assert_allclose((ahead - 2 * h + back) / step**2, a, atol=1e-6 * scale)


def test_curves_pass_a_network_as_by_hand(through_the_network, assert_float32):
    assert_float32(through_the_network)
    expected = by_hand(T)
    for which, stacks in enumerate(through_the_network):
        layers = [layer for stack in stacks for layer in np.asarray(stack, float)]
        assert len(layers) == len(WIDTHS) - 1
        for one, other in zip(layers, expected, strict=True):
            scale = max(1.0, np.abs(other[which]).max())
            np.testing.assert_allclose(one, other[which], atol=ROUNDING * scale)


def test_speed_and_curvature_of_every_layer(through_the_network):
    _, velocities, accelerations = through_the_network
    found = [
        (np.asarray(curves.speed(v)), np.asarray(curves.curvature(v, a)))
        for stack in zip(velocities, accelerations, strict=True)
        for v, a in zip(*stack, strict=True)
    ]
    for (speed, bend), (_, v, a) in zip(found, by_hand(T), strict=True):
        n, size = v.shape[1], np.linalg.norm(v, axis=1)
        np.testing.assert_allclose(speed, size / np.sqrt(n), rtol=3 * ROUNDING)
        # What of the acceleration is perpendicular to the curve, over the speed squared.
        across = a - v * (np.sum(v * a, axis=1) / size**2)[:, None]
        expected = np.sqrt(n) * np.linalg.norm(across, axis=1) / size**2
        # Where the curve hardly bends its curvature is a small difference of squares.
        least = np.sqrt(n) * np.linalg.norm(a, axis=1) / size**2
        np.testing.assert_array_less(np.abs(bend - expected), 30 * ROUNDING * least)


def test_trees_are_curves_too():
    def curve(t):
        return {"line": 2 * t[:, None], "wave": [jnp.sin(t)]}

    found = curves.moving(curve, T)
    np.testing.assert_allclose(found.position["line"][:, 0], 2 * T, rtol=1e-6)
    np.testing.assert_allclose(found.velocity["line"], 2)
    np.testing.assert_array_equal(found.acceleration["line"], 0)
    np.testing.assert_allclose(found.velocity["wave"][0], np.cos(T), atol=ROUNDING)
    np.testing.assert_allclose(found.acceleration["wave"][0], -np.sin(T), atol=ROUNDING)
