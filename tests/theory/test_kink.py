"""The kink's part in the kernel's change: by quadrature, and by following units."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from widelimit.theory import kink

SETTING = (1.7, 0.9, 2.3, 0.6)


def test_by_quadrature_over_readout_weights():
    weight_var, first, theta, missing = SETTING
    push = weight_var**0.5 * first * missing / theta  # of a unit, over its w, times n^(1/2)

    def lost(w):  # units between 0 and push·w, each with w² of the kernel
        return w**2 * push * w * norm.pdf(w) * norm.pdf(0, scale=first**0.5)

    expected = -weight_var * first * quad(lost, 0, np.inf)[0]
    np.testing.assert_allclose(kink.kernel_change(*SETTING), expected, rtol=1e-7)


def test_by_following_units():
    weight_var, first, theta, missing = SETTING
    rng, n, networks = np.random.default_rng(0), 10**5, 300
    lost = []
    for _ in range(networks):
        h, w = first**0.5 * rng.standard_normal(n), rng.standard_normal(n)
        moved = h - (weight_var / n) ** 0.5 * w * first * missing / theta
        lost.append(-np.sum(w**2 * ((h > 0) & (moved <= 0))) * weight_var * first / n * n**0.5)
    scatter = np.std(lost, ddof=1)
    assert abs(np.mean(lost) - kink.kernel_change(*SETTING)) < 5 * scatter / networks**0.5
    # The relative error of a standard deviation is (2N)^(−1/2) for a Gaussian, here not much more.
    np.testing.assert_allclose(scatter * n**0.25, kink.kernel_scatter(*SETTING), rtol=0.2)


def test_it_is_homogeneous():
    weight_var, first, theta, missing = SETTING
    # Inputs a times as long: K¹ and Θ grow by a², outputs by a.
    longer = kink.kernel_change(weight_var, 4 * first, 4 * theta, 2 * missing)
    np.testing.assert_allclose(longer, 4 * kink.kernel_change(*SETTING))
    assert kink.kernel_change(weight_var, first, theta, 0.0) == 0
    scattered = kink.kernel_scatter(weight_var, 4 * first, 4 * theta, 2 * missing)
    np.testing.assert_allclose(scattered, 4 * kink.kernel_scatter(*SETTING))


@pytest.mark.parametrize(
    ("place", "value"), [(0, -1.0), (1, np.inf), (2, 0.0), (2, np.nan), (3, -0.1)]
)
def test_numbers_out_of_range(place, value):
    numbers = list(SETTING)
    numbers[place] = value
    name = ("weight_var", "first", "theta", "missing")[place]
    for function in (kink.kernel_change, kink.kernel_scatter):
        with pytest.raises(ValueError, match=f"{name}="):
            function(*numbers)
