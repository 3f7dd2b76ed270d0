"""What each figure of chapter 8 shows, tested as data: computed once, at a key nobody has seen."""

import jax.numpy as jnp
import numpy as np
import pytest
from shown import assert_drawn, assert_finite, assert_within, names_of

from widelimit import ledger
from widelimit.architectures import fully_connected
from widelimit.figures import critical_rate, lee2019, lee2019_ensemble, lee2019_trajectories
from widelimit.theory import catapult, dynamics, kernels

NAMES = names_of("08-linear")


@pytest.mark.parametrize("name", NAMES)
def test_data_are_finite_and_drawn(name, data):
    assert_finite(data(name))
    assert_drawn(name, data(name))


def test_the_chapter_has_its_figures():
    assert NAMES == [
        "lee2019-critical",
        "lewkowycz2020-catapult",
        "lee2019-fig1",
        "lee2019-distances",
        "lee2019-fig2",
        "lee2019-fig3",
    ]


def test_images_are_centred_scaled_and_the_same_in_every_run():
    x, y = lee2019.images(1797)  # all of them: then the mean before scaling is 0
    np.testing.assert_allclose(np.mean(x**2, axis=1), 1)
    few, targets = lee2019.images(20)
    np.testing.assert_array_equal(few, x[:20])
    np.testing.assert_array_equal(targets, y[:20])
    assert set(y) == {-1.0, 1.0}


@pytest.mark.parametrize(
    ("name", "power"),
    [
        ("input", -0.5),
        ("readout", -0.5),
        ("operator", -0.5),
        ("hidden", -1),
        ("nngp", -1),
        ("limit", -0.5),
        ("limit_test", -0.5),
        ("own_test", -1),
    ],
)
def test_movement_and_distance_have_their_powers(name, power, data):
    found, widths = data("lee2019-fig1"), lee2019.WIDTHS
    # A relative next order of P/n at the least width, over the range of the fit.
    allowance = lee2019.EXAMPLES / widths[0] / np.log(widths[-1] / widths[0])
    slope = ledger.loglog_slope(widths, found[f"erf_{name}"])
    assert abs(slope.value - power) < slope.half_width() + allowance


def test_the_own_tangent_is_nearer_than_the_limit(data):
    found = data("lee2019-fig1")
    for kind in lee2019.ACTIVATIONS:
        for where in ("", "_test"):
            own, limit = (found[f"{kind}_{name}{where}"].mean(0) for name in ("own", "limit"))
            assert np.all(own < limit / 2)


def test_the_kink_moves_the_tangent_kernel_and_not_the_other(data):
    found = data("lee2019-fig1")
    slopes = {
        name: ledger.loglog_slope(lee2019.WIDTHS, found[f"relu_{name}"]) for name in ("ntk", "nngp")
    }
    gap = slopes["ntk"].value - slopes["nngp"].value
    assert gap > 4 * np.hypot(slopes["ntk"].stderr, slopes["nngp"].stderr)


def test_the_ensemble_follows_the_limit_at_all_times(data):
    found = data("lee2019-fig2")
    outputs, next_order = found["outputs"], lee2019.EXAMPLES / int(found["width"])
    for index in range(len(found["steps"])):
        mean, std = found["mean"][index], found["std"][index]
        assert_within(outputs[:, :, index].mean(axis=1), mean, np.abs(mean).max() * next_order)
        variance = outputs[:, :, index].var(axis=1, ddof=1)
        assert_within(variance, std**2, std.max() ** 2 * next_order)


def test_at_the_end_the_limit_goes_through_the_images_and_is_less_certain_than_the_posterior(data):
    found = data("lee2019-fig2")
    at = [np.argmin(np.abs(lee2019_ensemble.ALPHAS - one)) for one in (0, 1)]
    np.testing.assert_allclose(found["mean"][-1, at], [-1, 1], atol=0.02)
    np.testing.assert_allclose(found["readout_mean"][-1, at], [-1, 1], atol=1e-8)
    np.testing.assert_allclose(found["readout_std"][-1, at], 0, atol=1e-6)
    assert np.all(found["std"][-1] >= found["readout_std"][-1])
    assert np.all(found["readout_std"][:-1] > found["readout_std"][-1] - 1e-9)


def test_the_line_goes_through_an_odd_and_an_even_image():
    x, y = lee2019.images(16)
    line = lee2019_ensemble.line(x, y)
    at = [np.argmin(np.abs(lee2019_ensemble.ALPHAS - one)) for one in (0, 1)]
    np.testing.assert_allclose(line[at[0]], x[np.argmax(y < 0)], atol=1e-12)
    np.testing.assert_allclose(line[at[1]], x[np.argmax(y > 0)], atol=1e-12)


def test_the_linearization_is_its_closed_form_and_the_network_is_near(data):
    found = data("lee2019-fig3")
    np.testing.assert_allclose(found["linearized"], found["own"], atol=2e-3)
    np.testing.assert_array_equal(found["network"][0], found["own"][0])
    half = found["network"].shape[1] // 2
    own, limit = (
        np.sqrt(np.mean((found["network"] - found[name])[-1, half:] ** 2))
        for name in ("own", "limit")
    )
    assert own < limit
    assert found["weights"].shape == (lee2019_trajectories.STEPS, lee2019_trajectories.FOLLOWED)
    np.testing.assert_allclose(found["weights"][0], 0)
    gap = np.abs(found["weights"] - found["linearized_weights"])[-1]
    assert np.all(gap < np.abs(found["linearized_weights"][-1]))


def test_tangents_converge_below_and_diverge_above_two_over_the_first_eigenvalue(data):
    found = data("lee2019-critical")
    rates, (largest, smallest) = critical_rate.RATES, found["limit"]
    # The mean of the networks' own eigenvalue is off by the next order, P/n.
    allowance = 2 * rates / (2 * rates - 1) * lee2019.EXAMPLES / int(found["width"])
    assert_within(found["growth"], np.log(2 * rates - 1), allowance=allowance)
    # The lower rate is one at which the paper's sufficient condition says nothing.
    assert largest / (largest + smallest) < rates[0] < 1
    assert found["linear"][1, -1] > 1e3 * found["network"][1].max()
    assert found["network"][1, -1] < 1e-3


def test_the_limits_are_those_of_the_kernel(data):
    largest, smallest = data("lee2019-critical")["limit"]
    x, _ = lee2019.images(lee2019.EXAMPLES)
    activation, weight_var, bias_var = lee2019.ACTIVATIONS["relu"]
    theta = kernels.ntk(fully_connected(1, activation, weight_var, bias_var), x)
    gram = dynamics.Gram.cut(theta, len(x))
    training = dynamics.of(gram, gram, jnp.zeros(len(x)))
    np.testing.assert_allclose(2 / largest, training.critical_rate)
    np.testing.assert_allclose(smallest, training.rates[0])


def test_kernels_end_where_theory_says_and_losses_rise_with_the_width(data):
    found = data("lewkowycz2020-catapult")
    start, width = critical_rate.SHARPNESS, int(found["width"])
    below, just_above = start < 2, np.isclose(start, 2.1)
    square = 0.1**2  # of the excess
    for kind in critical_rate.UNITS:
        after = found[f"{kind}_after"]
        # Below, the kernel moves by 1/n, with a kink by n^(−1/2), much amplified near 2.
        assert_within(after[:, below], start[below], allowance=2 / np.sqrt(width))
        assert np.all(after[:, start > 2] < 2)
    relu = catapult.relu_units(2.1)
    assert_within(found["relu_after"][:, just_above], relu, allowance=square)
    assert_within(found["erf_after"][:, just_above], 1.9, allowance=square)
    far = np.isclose(start, 2.6)
    limit = catapult.linear_units(2.6)
    assert_within(found["linear_after"][:, far], limit, allowance=10 / width)
    slope = ledger.loglog_slope(critical_rate.WIDTHS, found["peak"])
    allowance = critical_rate.WIDTHS[0] ** -0.5 / np.log(16)
    assert abs(slope.value - 1) < slope.half_width() + allowance
