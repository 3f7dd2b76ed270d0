"""What each figure of chapter 7 shows, tested as data: computed once, at a key nobody has seen."""

import numpy as np
import pytest
from scipy.integrate import quad
from shown import assert_drawn, assert_finite, assert_within, names_of

from widelimit.architectures import fully_connected
from widelimit.figures import (
    deep_tangents,
    jacot2018,
    jacot2018_components,
    kernel_movement,
    spectral_bias,
)
from widelimit.theory import kernels

NAMES = names_of("07-ntk")


@pytest.mark.parametrize("name", NAMES)
def test_data_are_finite_and_drawn(name, data):
    assert_finite(data(name))
    assert_drawn(name, data(name))


def test_the_chapter_has_its_figures():
    assert NAMES == [
        "jacot2018-depth",
        "jacot2018-fig1",
        "jacot2018-fig2",
        "jacot2018-fig3",
        "jacot2018-movement",
        "jacot2018-kink",
        "jacot2018-harmonics",
    ]


def test_the_wider_kernel_scatters_less_and_moves_less(data):
    found = data("jacot2018-fig1")
    before, after = found["kernels"][:, :, 0], found["kernels"][:, :, 1]
    scatter = np.sqrt(np.mean((before - found["limit"]) ** 2, axis=(1, 2)))
    moved = np.sqrt(np.mean((after - before) ** 2, axis=(1, 2)))
    assert scatter[1] < scatter[0] < 0.15 * found["limit"].max()
    assert moved[1] < 0.7 * moved[0]
    assert np.argmax(found["limit"]) == len(jacot2018.ANGLES) // 2


def test_trained_networks_go_through_their_examples(data):
    found = data("jacot2018-fig2")
    at = [np.argmin(np.abs(jacot2018.ANGLES - angle)) for angle in jacot2018.TRAIN_AT]
    # The nearest angle drawn is within a twentieth.
    for name in ("narrow", "wide"):
        gap = found[name][..., at] - jacot2018.TARGETS
        assert np.max(np.abs(gap.mean(axis=(0, 1)))) < 0.06
    assert np.all(found["posterior_std"] > found["std"])


def test_the_spread_is_the_limit_s(data):
    found = data("jacot2018-fig2")
    known = found["std"] > 0.02
    z = (found["wide"] - found["mean"])[..., known] / found["std"][known]
    assert_within(np.mean(z**2, axis=(1, 2)), 1.0, allowance=0.15)


def test_what_is_lacking_starts_at_a_half_and_nothing_across(data):
    found = data("jacot2018-fig3")
    np.testing.assert_allclose(found["along"][..., 0], jacot2018_components.MISSING, atol=1e-4)
    np.testing.assert_allclose(found["across"][..., 0], 0, atol=1e-4)
    narrow, wide = found["across"].max(axis=-1).mean(axis=(0, 1))
    assert wide < narrow


def test_components_are_those_of_the_kernel():
    x = jacot2018_components.images(30)
    np.testing.assert_allclose(np.mean(x**2), 1)
    rates, modes = jacot2018_components.components(30, 0.04)
    theta = np.asarray(kernels.ntk(fully_connected(3, jacot2018.RELU, 1.0, 0.04), x))
    np.testing.assert_allclose(theta @ modes, modes * rates, atol=1e-9)
    assert np.all(np.diff(rates) <= 0)


def test_movement_has_the_powers_of_the_table(data):
    found = data("jacot2018-movement")
    for name, power in (("input", -0.5), ("hidden", -1), ("readout", -0.5), ("operator", -0.5)):
        scaled = found[name] * kernel_movement.WIDTHS**-power
        assert_within(scaled[:, -1] / scaled[:, 0].mean(), 1.0, allowance=0.2)
    # An operator norm is at most the Frobenius norm; relative to 2√n and to n.
    width = kernel_movement.WIDTHS
    assert np.all(found["operator"] * 2 * width**0.5 < found["hidden"] * width * 1.05)


def test_the_kink_is_as_predicted_and_the_smooth_one_has_none(data):
    found = data("jacot2018-kink")
    first = kernel_movement.SHALLOW_VAR
    limit = kernel_movement.kink(first, first, 2 * first, 1.0)
    scaled = found["relu"] * np.sqrt(kernel_movement.SHALLOW)
    # The next order is n^(−1/2) relative, with a coefficient of about 6.
    assert_within(scaled[:, -1], limit, allowance=0.08)
    assert np.all(np.abs(found["erf"].mean(0) * np.sqrt(kernel_movement.SHALLOW)) < 0.1)


def test_the_kink_by_quadrature():
    weight_var, first, theta, missing = 1.7, 0.9, 2.3, 0.6
    # Pushed down by s·w: units between 0 and s·w are lost, and with each w² q σ_w² of the kernel.
    push = weight_var**0.5 * first * missing / theta  # times n^(−1/2)

    def normal(w):
        return np.exp(-(w**2) / 2) / np.sqrt(2 * np.pi)

    lost = quad(lambda w: w**2 * push * w * normal(w) / np.sqrt(2 * np.pi * first), 0, np.inf)[0]
    found = kernel_movement.kink(weight_var, first, theta, missing)
    np.testing.assert_allclose(found, -weight_var * first * lost, rtol=1e-7)


def test_spectra_are_eigenvalues_and_fourier_coefficients():
    points = 12
    x = jacot2018.on_circle(spectral_bias.turns(points))
    network = fully_connected(1, spectral_bias.RELU, spectral_bias.WEIGHT_VAR, 0.5)
    values = np.sort(np.linalg.eigvalsh(np.asarray(kernels.ntk(network, x))))
    found = spectral_bias.limits(points, 0.5).ntk * points
    twice = np.sort(np.concatenate([found, found[1:-1]]))
    np.testing.assert_allclose(twice, values, atol=1e-9)

    def theta(angle):
        at = jacot2018.on_circle(np.array([0.0, angle]))
        return float(kernels.ntk(network, at)[0, 1])

    third = quad(lambda a: theta(a) * np.cos(3 * a), 0, np.pi, limit=30, epsabs=1e-5)[0] / np.pi
    np.testing.assert_allclose(spectral_bias.limits(4096, 0.5).ntk[3], third, rtol=1e-3)


def test_without_biases_odd_harmonics_are_not_in_the_kernel():
    found = spectral_bias.limits(64, 0.0).ntk
    assert np.all(np.abs(found[3::2][:10]) < 1e-3 * found[2])
    assert found[1] > found[2] > 0


def test_harmonics_are_learned_in_order_at_the_limit_s_rates(data):
    found = data("jacot2018-harmonics")
    np.testing.assert_allclose(found["missing"][:, 0], 1, atol=1e-3)
    step = found["time"][1]
    expected = (1 - found["rates"] * step) ** np.arange(len(found["time"]))[:, None]
    assert_within(found["missing"], expected, allowance=0.04)
    slopes = (
        np.log(found["ntk"][31] / found["ntk"][15]),
        np.log(found["nngp"][31] / found["nngp"][15]),
    )
    np.testing.assert_allclose(np.array(slopes) / np.log(2), [-2, -4], atol=0.02)


def test_deep_kernels_are_those_of_the_recursion(data):
    found = data("jacot2018-depth")
    limits = found["limits"][:, : len(deep_tangents.DEPTHS)]
    assert_within(found["networks"][..., 0] / limits[..., 0], 1.0, allowance=0.1)
    order, edge, chaos = found["limits"]
    q, chi = found["var"], found["chi_1"]
    np.testing.assert_allclose(order[-1, 0], q[0] / (1 - chi[0]), rtol=1e-3)
    np.testing.assert_allclose((edge[-1, 0] - edge[-2, 0]) / 64, q[1], rtol=1e-3)
    np.testing.assert_allclose(np.log(chaos[-1, 0] / chaos[-2, 0]) / 64, np.log(chi[2]), rtol=1e-3)
    np.testing.assert_allclose(edge[-1, 1] / edge[-1, 0], 1 / 3, atol=0.02)
    assert order[-1, 1] / order[-1, 0] > 0.999
    assert abs(chaos[-1, 1] / chaos[-1, 0]) < 1e-6
