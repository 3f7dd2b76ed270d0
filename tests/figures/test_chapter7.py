"""What each figure of chapter 7 shows, tested as data: computed once, at a key nobody has seen."""

import jax
import numpy as np
import pytest
from scipy.integrate import quad
from shown import assert_drawn, assert_finite, assert_within, names_of

from widelimit import ledger
from widelimit.architectures import fully_connected
from widelimit.figures import (
    deep_tangents,
    jacot2018,
    jacot2018_components,
    kernel_movement,
    spectral_bias,
)
from widelimit.theory import kernels
from widelimit.theory.kink import kernel_change

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
    narrow, wide = np.sqrt(np.mean((before - found["limit"]) ** 2, axis=(1, 2)))
    moved = np.sqrt(np.mean((after - before) ** 2, axis=(1, 2)))
    # Twice the width: 0.7 of the scatter and half of the movement, each known from five networks
    # to about a third.
    assert 0.2 < wide / narrow < 1.2
    assert 0.2 < moved[1] / moved[0] < 1
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
    narrow, wide = found["across"].max(axis=-1).mean(axis=0)
    assert wide < narrow


def test_the_component_falls_as_descent_says(data):
    found = data("jacot2018-fig3")
    rate = -np.log(found["limit"][1] / found["limit"][0]) / found["time"][1]
    # Steps of 0.7/λ₁ are longer than flow's by this factor.
    assert 1.02 < rate < 1.03
    wide = found["along"][:, -1]
    # The kernel's movement: P/n times the square of the half, of what falls.
    assert_within(wide, found["limit"], allowance=0.05 * jacot2018_components.MISSING)


def test_components_are_those_of_the_kernel():
    x = jacot2018_components.images(30)
    np.testing.assert_allclose(np.mean(x**2), 1)
    rates, modes = jacot2018_components.components(30, 0.04)
    theta = np.asarray(kernels.ntk(fully_connected(3, jacot2018.RELU, 1.0, 0.04), x))
    np.testing.assert_allclose(theta @ modes, modes * rates, atol=1e-9)
    assert np.all(np.diff(rates) <= 0)


def test_movement_has_the_powers_of_the_table(data):
    found, width = data("jacot2018-movement"), kernel_movement.WIDTHS
    powers = {"input": -0.5, "hidden": -1, "readout": -0.5, "operator": -0.5, "square": -1}
    for name, power in powers.items():
        slope = ledger.loglog_slope(width, found[name])
        # The next order, L/n at the least width.
        assert abs(slope.value - power) < slope.half_width() + 2 / width[0], name
    # An operator norm is at most the Frobenius norm; relative to 2√n and to n.
    assert np.all(found["operator"] * 2 * width**0.5 < found["hidden"] * width * 1.05)


def test_the_kink_is_where_an_example_is(data):
    found = data("jacot2018-kink")
    first = kernel_movement.SHALLOW_VAR
    limit = kernel_change(first, first, 2 * first, 1.0)
    beside = np.cos(np.radians(kernel_movement.BESIDE)) / 2
    scaled = found["relu"] * np.sqrt(kernel_movement.SHALLOW)[:, None]
    # The next order is n^(−1/2) relative: it cancels between widths that differ by four.
    measured = 2 * scaled[:, -1] - scaled[:, -2]
    assert_within(measured, limit * np.array([1, beside, 0]))
    smooth = found["erf"] * np.sqrt(kernel_movement.SHALLOW)[:, None]
    assert np.max(np.abs(smooth[:, -1].mean(axis=0))) < 0.05


def test_the_variance_of_one_layer_is_exact(data):
    found = data("jacot2018-kink")["relu_before"] * kernel_movement.SHALLOW
    assert_within(found.mean(axis=1), 3.0)


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
    np.testing.assert_allclose(found[3::2][:10], 0, atol=1e-12)
    assert found[1] > found[2] > 0


def test_without_biases_networks_learn_no_odd_harmonic_but_the_first():
    make = spectral_bias.maker(64, 0.0)
    left = jax.jit(lambda key: spectral_bias.lacking(make(key), 0.05, 300)[-1])(jax.random.key(4))
    missing = dict(zip(spectral_bias.HARMONICS.tolist(), np.asarray(left), strict=True))
    assert abs(missing[3] - 1) < 1e-3  # rounding of outputs of order 1, over the amplitude
    assert missing[1] < 0.01
    assert missing[2] < 0.1


def test_harmonics_are_learned_in_order_at_the_limit_s_rates(data):
    found = data("jacot2018-harmonics")
    np.testing.assert_allclose(found["missing"][:, 0], 1, atol=1e-3)
    step = found["time"][1]
    expected = (1 - found["rates"] * step) ** np.arange(len(found["time"]))[:, None]
    # Harmonics are mixed by the noise of the kernel, of order P/n.
    allowance = spectral_bias.EXAMPLES / int(found["width"])
    assert_within(found["missing"], expected, allowance=allowance)
    slopes = (
        np.log(found["ntk"][31] / found["ntk"][15]),
        np.log(found["nngp"][31] / found["nngp"][15]),
    )
    np.testing.assert_allclose(np.array(slopes) / np.log(2), [-2, -4], atol=0.02)


def test_deep_kernels_are_those_of_the_recursion(data):
    found = data("jacot2018-depth")
    shown = np.isin(deep_tangents.ALL_DEPTHS, deep_tangents.DEPTHS)
    limits = found["limits"][:, shown]
    # L/n, of each entry.
    allowance = deep_tangents.DEPTHS.max() / int(found["width"])
    size = limits[..., :1]
    assert_within(found["networks"] / size, limits / size, allowance=allowance)
    order, edge, chaos = found["limits"]
    q, chi = found["var"], found["chi_1"]
    np.testing.assert_allclose(order[-1, 0], q[0] / (1 - chi[0]), rtol=1e-3)
    np.testing.assert_allclose((edge[-1, 0] - edge[-2, 0]) / 64, q[1], rtol=1e-3)
    np.testing.assert_allclose(np.log(chaos[-1, 0] / chaos[-2, 0]) / 64, np.log(chi[2]), rtol=1e-3)
    np.testing.assert_allclose(edge[-1, 1] / edge[-1, 0], 1 / 3, atol=0.02)
    assert order[-1, 1] / order[-1, 0] > 0.999
    assert abs(chaos[-1, 1] / chaos[-1, 0]) < 1e-6
