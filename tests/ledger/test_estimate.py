"""An estimate's interval covers as often as it says, and a fitted exponent knows its error."""

import numpy as np
import pytest
from scipy import stats

from widelimit.ledger import (
    Estimate,
    estimate,
    exact_loglog_slope,
    exact_semilog_slope,
    loglog_slope,
    mean,
    pseudo_values,
    semilog_slope,
)

SIGMAS = 4.5


@pytest.mark.parametrize("replicates", [16, 60])
@pytest.mark.parametrize("tail", [0.3, 0.05])
def test_the_interval_misses_the_truth_as_often_as_its_tail_says(monkeypatch, replicates, tail):
    monkeypatch.setattr(estimate, "TAIL", tail)
    rng = np.random.default_rng(1)
    trials, truth = 6000, -3.0
    samples = truth + 2.0 * rng.standard_normal((trials, replicates))
    missed = np.array(
        [abs(one.value - truth) > one.half_width() for one in map(mean, samples)], float
    )
    assert abs(missed.mean() - tail) < SIGMAS * np.sqrt(tail * (1 - tail) / trials)


def test_a_wrong_prediction_falls_outside(monkeypatch):
    # Off by δ, the statistic is noncentral t: at the book's own tail, and far above it.
    rng = np.random.default_rng(2)
    trials, replicates = 3000, 20
    for shift in (0.5, 1.5, 3.0):
        samples = rng.standard_normal((trials, replicates))
        outside = [abs(one.value - shift) > one.half_width() for one in map(mean, samples)]
        cut = stats.t.isf(estimate.TAIL / 2, replicates - 1)
        power = stats.nct.sf(cut, replicates - 1, shift * np.sqrt(replicates))
        error = np.sqrt(power * (1 - power) / trials)
        assert abs(np.mean(outside) - power) < SIGMAS * error + 1 / trials
    assert power > 0.999


@pytest.mark.parametrize("dof", [15, 19, 63, 1000])
def test_the_half_width_holds_the_tail_of_four_sigma(dof):
    in_errors = Estimate(1.0, 0.25, dof).half_width() / 0.25
    np.testing.assert_allclose(2 * stats.t.sf(in_errors, dof), 2 * stats.norm.sf(4), rtol=1e-9)
    assert in_errors > 4
    # t_ν lies above the Gaussian quantile z by (z³ + z)/(4ν) to first order (Cornish–Fisher).
    assert in_errors - 4 > (4**3 + 4) / (4 * dof)


def test_the_half_width_tends_to_four_errors_as_one_over_dof():
    dofs = np.array([500, 1000, 2000, 4000])
    excess = [Estimate(0.0, 1.0, int(dof)).half_width() - 4 for dof in dofs]
    np.testing.assert_allclose(np.polyfit(np.log(dofs), np.log(excess), 1)[0], -1, atol=0.02)
    np.testing.assert_allclose(excess[-1] * 4000, (4**3 + 4) / 4, rtol=0.01)


def test_mean_is_the_mean_with_its_standard_error():
    x = np.random.default_rng(3).standard_normal(37) + 5
    measured = mean(x)
    assert measured == Estimate(float(np.mean(x)), float(stats.sem(x)), 36)
    assert mean(list(x)) == measured
    assert all(type(number) is float for number in (measured.value, measured.stderr))


def test_mean_takes_float32_in_double_precision():
    # In float32 the spread of numbers this close would be lost to rounding the mean.
    x = (1 + 2.0**-23 * np.arange(16)).astype(np.float32)
    np.testing.assert_allclose(mean(x).stderr, stats.sem(np.asarray(x, float)), rtol=1e-6)


@pytest.mark.parametrize(
    ("replicates", "message"),
    [
        (np.zeros(15), r"holds 15 numbers; at least 16"),
        ([], r"holds 0 numbers"),
        (np.zeros((16, 1)), r"shape \(16, 1\)"),
        (3.0, r"shape \(\)"),
        ([*np.zeros(16), np.nan], r"replicates\[16\] is nan"),
        ([np.inf, *np.zeros(16)], r"replicates\[0\] is inf"),
        (np.full(16, 2.0), r"stderr is 0.0; replicates that all agree"),
    ],
)
def test_mean_refuses(replicates, message):
    with pytest.raises(ValueError, match=message):
        mean(replicates)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((np.nan, 0.1, 31), "not finite"),
        ((1.0, np.inf, 31), "not finite"),
        ((1.0, 0.0, 31), "stderr is 0.0"),
        ((1.0, -0.1, 31), "stderr is -0.1"),
        ((1.0, 0.1, 14), "dof is 14"),
    ],
)
def test_an_estimate_needs_an_error(numbers, message):
    with pytest.raises(ValueError, match=message):
        Estimate(*numbers)


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 1 / 3, 2.5])
def test_slopes_are_exact_on_a_power_law(exponent):
    x = np.array([8, 16, 100, 1024])
    law = 7.0 * x**exponent
    np.testing.assert_allclose(exact_loglog_slope(x, law), exponent, rtol=0, atol=1e-13)
    rng = np.random.default_rng(4)
    # Scatter at rounding level: replicates that all agree would be refused.
    factors = np.exp(rng.standard_normal((20, 1)) + 1e-14 * rng.standard_normal((20, 4)))
    fitted = loglog_slope(x, factors * law)
    np.testing.assert_allclose(fitted.value, exponent, rtol=0, atol=1e-13)
    # A factor of its own for each replicate moves no slope, so there is no error.
    assert fitted.stderr < 1e-13
    assert fitted.dof == 19


def test_slope_of_noisy_data_has_the_error_of_least_squares():
    rng = np.random.default_rng(5)
    x, noise, replicates = np.logspace(0, 2, 7), 0.3, 1000
    y = x**-0.5 * np.exp(noise * rng.standard_normal((replicates, len(x))))
    fitted = loglog_slope(x, y)
    logs = np.log(x) - np.log(x).mean()
    error = noise / np.sqrt(logs @ logs * replicates)
    assert abs(fitted.value + 0.5) < SIGMAS * error
    # A standard error from R replicates has relative error 1/√(2(R − 1)).
    assert abs(fitted.stderr / error - 1) < SIGMAS / np.sqrt(2 * (replicates - 1))


def test_slope_covers_the_truth_whatever_correlates_the_points(monkeypatch):
    # Points of one replicate share their noise as a random walk does: the error must not care.
    monkeypatch.setattr(estimate, "TAIL", 0.1)
    rng = np.random.default_rng(6)
    x, trials = np.array([1.0, 2.0, 4.0, 8.0]), 3000
    walks = 0.1 * rng.standard_normal((trials, 20, len(x))).cumsum(axis=2)
    fits = [loglog_slope(x, x**0.75 * np.exp(walk)) for walk in walks]
    missed = np.mean([abs(one.value - 0.75) > one.half_width() for one in fits])
    assert abs(missed - 0.1) < SIGMAS * np.sqrt(0.1 * 0.9 / trials)


def test_exact_slope_is_the_fit_of_a_law_with_a_correction():
    # y = x^−1 (1 + c/x): the fitted slope differs from −1 by O(c/x), here with the exact sum.
    x = np.array([16.0, 64.0, 256.0])
    slopes = [
        exact_loglog_slope(scale * x, (1 + 3 / (scale * x)) / (scale * x)) for scale in (1, 8)
    ]
    np.testing.assert_allclose(
        slopes[0], np.polyfit(np.log(x), np.log((1 + 3 / x) / x), 1)[0], rtol=1e-12
    )
    np.testing.assert_allclose((slopes[0] + 1) / (slopes[1] + 1), 8, rtol=0.1)


X, Y = np.array([1.0, 2.0, 4.0]), np.ones((16, 3))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X[None], Y, r"x has shape \(1, 3\)"),
        (X, Y[0], r"y \(3,\)"),
        (X, Y[:, :2], r"y \(16, 2\)"),
        (np.ones(3), Y, "two different values"),
        (X - 1, Y, "x holds 0.0"),
        (X, Y - 2, "y holds -1.0"),
        (X, Y * np.nan, "y holds nan"),
        (X, Y[:15], "holds 15 numbers"),
        (X, Y * np.inf, "y holds inf"),
    ],
)
def test_slope_refuses(x, y, message):
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=message):
        loglog_slope(x, y)


@pytest.mark.parametrize(("x", "y"), [(X, Y), (X, Y[0, :2]), (X * 0 + 1, Y[0]), (-X, Y[0])])
def test_exact_slope_refuses(x, y):
    with pytest.raises(ValueError, match=r"shape|different|positive"):
        exact_loglog_slope(x, y)


@pytest.mark.parametrize("rate", [-np.log(2), 0.0, 1.5])
def test_semilog_slopes_are_exact_on_an_exponential_law(rate):
    layers = np.array([-1, 0, 3, 20])
    law = 7.0 * np.exp(rate * layers)
    np.testing.assert_allclose(exact_semilog_slope(layers, law), rate, rtol=0, atol=1e-13)
    factors = np.exp(np.random.default_rng(7).standard_normal((20, 1)))
    wiggle = 1 + 1e-14 * np.random.default_rng(8).standard_normal((20, 4))
    fitted = semilog_slope(layers, factors * law * wiggle)
    np.testing.assert_allclose(fitted.value, rate, rtol=0, atol=1e-13)


def test_semilog_and_loglog_fit_the_same_line_to_logarithms():
    x, y = X * 3, np.exp(np.random.default_rng(9).standard_normal((16, 3)))
    assert loglog_slope(x, y) == semilog_slope(np.log(x), y)
    assert exact_loglog_slope(x, y[0]) == exact_semilog_slope(np.log(x), y[0])


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X[None], Y, r"x has shape \(1, 3\)"),
        (X * 0, Y, "two different values"),
        (X * np.inf, Y, "x holds inf"),
        (X, -Y, "y holds -1.0"),
        (X, Y * 0, "y holds 0.0"),
    ],
)
def test_semilog_slope_refuses(x, y, message):
    with pytest.raises(ValueError, match=message):
        semilog_slope(x, y)


def test_pseudo_values_of_a_linear_statistic_are_the_replicates():
    x = np.random.default_rng(3).normal(size=(20, 2))
    found = pseudo_values(lambda mean: mean @ [2.0, -1.0], x)
    np.testing.assert_allclose(found, x @ [2.0, -1.0], rtol=1e-12)


def test_pseudo_values_remove_the_bias_of_a_square():
    # The square of a mean is too large by the variance over R; the jackknife's is not, exactly.
    x = np.random.default_rng(4).normal(1.0, 3.0, size=16)
    found = pseudo_values(lambda mean: mean**2, x).mean()
    np.testing.assert_allclose(found, x.mean() ** 2 - x.var(ddof=1) / 16, rtol=1e-12)


def test_pseudo_values_give_the_error_of_a_curved_statistic():
    x = np.random.default_rng(5).normal(2.0, 0.1, size=2000)
    found = pseudo_values(np.log, x)
    np.testing.assert_allclose(found.std(ddof=1), 0.1 / 2.0, rtol=0.05)


@pytest.mark.parametrize("replicates", [3.0, [], [1.0]])
def test_pseudo_values_need_replicates(replicates):
    with pytest.raises(ValueError, match="the jackknife needs at least two"):
        pseudo_values(float, replicates)
