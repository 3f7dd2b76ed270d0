"""The catapult: the map against its normal form, and the normal form of a kink against its flow."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from widelimit.theory import catapult


def test_up_to_the_critical_value_nothing_happens():
    assert catapult.linear_units(1.3) == 1.3
    assert catapult.linear_units(2) == 2.0


def test_just_above_it_is_mirrored_up_to_the_square():
    excess = np.array([0.02, 0.04, 0.08])
    after = np.array([catapult.linear_units(2 + one) for one in excess])
    second = (2 - excess - after) / excess**2
    # The next order has one coefficient.
    np.testing.assert_allclose(second, second[0], rtol=0.08)
    assert 0.5 < second[0] < 1


def test_two_linear_layers_trained_by_hand_end_there():
    """Weights, not f and k: a wide network of linear units on one example."""
    n, sharpness = 200_000, 2.5
    generator = np.random.default_rng(0)
    w, h = generator.normal(size=(2, n))
    theta = lambda: np.sum(h**2 + w**2) / n  # noqa: E731
    rate = sharpness / theta()
    for _ in range(60):
        f = np.sum(w * h) / math.sqrt(n)
        w, h = w - rate * f * h / math.sqrt(n), h - rate * f * w / math.sqrt(n)
    assert rate * theta() == pytest.approx(catapult.linear_units(sharpness), abs=5e-3)


def test_the_kink_s_factor_is_that_of_its_flow():
    """On the rise the excess v falls by 2s/v + 2/π for each unit of s = √z, afterwards by 2s/v."""
    pull = 2 / math.pi

    def squared(s, v):
        return [-4 * s - 2 * pull * math.sqrt(max(v[0], 0))]

    turn = lambda s, v: v[0] - 1e-12  # noqa: E731
    turn.terminal = True
    found = solve_ivp(squared, (0, 1), [1.0], events=turn, rtol=1e-10, atol=1e-12)
    factor = math.sqrt(2) * found.t_events[0][0]
    assert (2 - catapult.relu_units(2.5)) / 0.5 == pytest.approx(factor, rel=1e-4)


@pytest.mark.parametrize("sharpness", [0.0, -1.0, 3.01, math.nan, math.inf])
def test_refused_by_linear_units(sharpness):
    with pytest.raises(ValueError, match="sharpness="):
        catapult.linear_units(sharpness)


def test_too_near_to_the_critical_value():
    with pytest.raises(ValueError, match="too near to 2"):
        catapult.linear_units(2.0001)


@pytest.mark.parametrize("sharpness", [1.99, math.nan, math.inf])
def test_refused_by_relu_units(sharpness):
    with pytest.raises(ValueError, match="sharpness="):
        catapult.relu_units(sharpness)
