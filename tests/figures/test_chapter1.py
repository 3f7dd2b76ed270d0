"""What each figure of chapter 1 shows, tested as data: computed once, at a key nobody has seen."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats
from shown import SIGMAS, TAIL, assert_drawn, assert_finite, assert_within, names_of

NAMES = names_of("01-neal")


def slope_of(x, replicates):
    slopes = np.polyfit(np.log(x), np.log(np.asarray(replicates, float)).T, 1)[0]
    return slopes.mean(), slopes.std(ddof=1) / np.sqrt(len(slopes))


def test_the_chapter_has_its_figures():
    assert len(NAMES) == 11


@pytest.mark.parametrize("name", NAMES)
def test_data_are_finite_arrays(name, data):
    assert_finite(data(name))


@pytest.mark.parametrize("name", NAMES)
def test_draws_labelled_axes_in_a_small_picture(name, data):
    assert_drawn(name, data(name))


def test_nothing_is_drawn_at_import():
    code = (
        "import jax\n"
        "from widelimit.figures import registry\n"
        "before = jax.config.jax_enable_x64\n"
        "assert registry.figures()\n"
        "from matplotlib import pyplot\n"
        "assert not pyplot.get_fignums()\n"
        "assert jax.config.jax_enable_x64 == before\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_joint_prior_has_one_covariance_and_tends_to_a_gaussian(data):
    joint = data("neal1994-fig2")
    covariance, p_values = joint["covariance"], {}
    for width in (1, 3, 10, 100):
        f = joint[f"width_{width}"].astype(float)
        assert f.shape == (600, 2)
        products = f[:, :, None] * f[:, None]
        error = products.std(0, ddof=1) / np.sqrt(600)
        assert np.all(np.abs(products.mean(0) - covariance) < SIGMAS * error)
        # Squared radius in units of the limit's ellipses.
        radii = np.einsum("di,ij,dj->d", f, np.linalg.inv(covariance), f)
        p_values[width] = stats.kstest(radii, stats.chi2(2).cdf).pvalue
    assert p_values[1] < 1e-6  # a star of thin rays
    assert p_values[100] > TAIL
    # The ellipses of the limit are tilted upwards, and are no line.
    assert 0.1 < covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]) < 0.9


@pytest.mark.parametrize(
    ("x", "paths", "units"), [("x", "few", 300), ("x", "many", 10_000), ("x_zoom", "zoom", 10_000)]
)
def test_step_paths_are_staircases(x, paths, units, data):
    steps = data("neal1994-step")
    # A unit steps at −a/u, a standard Cauchy variable: so often is a grid interval crossed.
    share = np.diff(stats.cauchy.cdf(steps[x]))
    moved = 1 - (1 - share) ** units
    jumps = np.abs(np.diff(steps[paths].astype(float))) > 1e-5
    count, paths = jumps.sum(), len(jumps)
    error = np.sqrt(paths * np.sum(moved * (1 - moved)))  # at most: intervals compete for units
    assert abs(count - paths * moved.sum()) < SIGMAS * error + 0.002 * jumps.size
    if x == "x_zoom":
        assert 8 < count < 80  # under the glass most of the path is flat


def test_step_paths_are_rough_near_zero_and_calm_far_out(data):
    steps = data("neal1994-step")
    increments = np.diff(steps["many"].astype(float)) ** 2
    middle = (steps["x"][1:] + steps["x"][:-1]) / 2
    near, far = increments[:, np.abs(middle) < 1].mean(), increments[:, np.abs(middle) > 4].mean()
    # The density of steps falls as 1/(1 + x²): about 0.79 against 0.039.
    assert near > 8 * far


def test_tanh_paths_are_smooth_and_wiggle_faster_at_the_larger_scale(data):
    paths = data("neal1994-tanh")
    slopes = {
        name: np.diff(paths[name].astype(float)) / np.diff(paths["x"])
        for name in ("few_5", "many_5", "few_20", "many_20")
    }
    # E f′² grows as σ_u²·(1/σ_u) = σ_u: a factor 4 between the columns, known to a third here.
    assert 1.5 < np.mean(slopes["many_20"] ** 2) / np.mean(slopes["many_5"] ** 2) < 10
    for name, slope in slopes.items():
        # Smooth: a neighbouring interval has nearly the same slope.
        turn = np.mean(np.diff(slope) ** 2) / np.mean(slope**2)
        assert turn < 0.1, name


def test_single_jumps_stand_out_of_cauchy_paths_only(data):
    paths = data("neal1994-stable")
    shares = {}
    for alpha in (2.0, 1.0):
        moves = np.diff(paths[f"many_{alpha}"].astype(float)) ** 2
        shares[alpha] = moves.max(axis=1) / moves.sum(axis=1)
    # Gaussian weights: the interval at 0 moves with variance 4·0.02/π of 4·0.895 in all, so at
    # five deviations it makes less than a fifth of the squared movement.
    assert shares[2.0].max() < 25 * 0.02 / np.pi / 0.895
    # Squared Cauchy jumps have index ½: the largest alone makes three quarters on average.
    assert shares[1.0].mean() > 2 * shares[2.0].max()


def test_erf_kernel_is_simulated_at_every_point(data):
    kernel = data("williams1997-erf-kernel")
    assert_within(kernel["measured"], kernel["theory"])
    # Williams's formula written out: σ_u = 2, σ_a = 1, one input.
    anchors, x = np.array([-1.0, 0.0, 1.5])[:, None], kernel["x"]
    cross, a, b = 1 + 4 * anchors * x, 3 + 8 * anchors**2, 3 + 8 * x**2
    williams = 2 / np.pi * np.arcsin(2 * cross / np.sqrt(a * b))
    np.testing.assert_allclose(kernel["theory"], williams, atol=1e-12)


def test_arc_cosine_kernels_are_simulated_at_every_point(data):
    kernels = data("cho2009-arc-cosine")
    assert_within(kernels["measured"], kernels["theory"])
    np.testing.assert_allclose(kernels["theory"][:, 0], [1, 1, 3], rtol=1e-12)
    np.testing.assert_allclose(kernels["theory"][:, -1], 0, atol=1e-12)
    assert np.all(np.diff(kernels["theory"]) < 0)


def test_increments_are_simulated_at_every_point(data):
    moves = data("neal1996-increments")
    delta, slopes = moves["separations"], {}
    for name in ("step", "tanh_5", "tanh_100"):
        theory = moves[f"{name}_theory"]
        assert_within(moves[name], theory)
        slopes[name] = np.diff(np.log(theory)) / np.diff(np.log(delta))
    # The next order of a step is (σ_u δ)²; of tanh units it is σ_u δ squared too, 2e-4 for 5.
    np.testing.assert_allclose(slopes["step"][0], 1, atol=1e-3)
    np.testing.assert_allclose(slopes["tanh_5"][0], 2, atol=0.02)
    # Well beyond 1/σ_u the larger scale moves as steps do.
    beyond = (delta > 0.05) & (delta < 0.5)
    ratio = moves["tanh_100_theory"][beyond] / moves["step_theory"][beyond]
    np.testing.assert_allclose(ratio, 1, atol=0.2)
    assert np.all(moves["tanh_100_theory"][:2] < 0.6 * moves["step_theory"][:2])


def test_convergence_is_simulated_at_every_point(data):
    rates = data("neal1996-convergence")
    for name in ("kurtosis", "kolmogorov", "mmd"):
        assert_within(rates[name], rates[f"{name}_theory"])
        slope, error = slope_of(rates["widths"], rates[name])
        # The next order is a relative 1/H: at widths from 8 on it moves the slope by 1/(8 ln 32).
        assert abs(slope + 1) < SIGMAS * error + 1 / (8 * np.log(32))
        assert slope + SIGMAS * error < -0.75  # not −½
    kurtosis = rates["kurtosis_theory"][0] * rates["widths"][0] / rates["sampled_widths"]
    assert_within(rates["sampled_kurtosis"], kurtosis)


def test_stable_sums_grow_as_one_over_the_index(data):
    sums = data("neal1996-stable-scaling")
    for alpha in (0.8, 1.0, 1.5):
        slope, error = slope_of(sums["widths"], sums[f"median_{alpha}"])
        # The limit is reached at a relative rate 1/H, from H = 16 on over a factor 16.
        assert abs(slope - 1 / alpha) < SIGMAS * error + 1 / (16 * np.log(16))
        assert slope - SIGMAS * error > 0.55  # not the Gaussian's ½
        limit = sums[f"median_{alpha}_theory"]
        np.testing.assert_allclose(np.log(limit[1:] / limit[:-1]) / np.log(4), 1 / alpha)
        # At the largest width, within its error and a relative 1/H.
        last = sums[f"median_{alpha}"][:, -1].astype(float)
        error = last.std(ddof=1) / np.sqrt(len(last))
        assert abs(last.mean() - limit[-1]) < SIGMAS * error + limit[-1] / sums["widths"][-1]


def test_posterior_follows_the_data_and_widens_away_from_them(data):
    posterior = data("neal1996-posterior")
    x, places = posterior["x"], np.array([-1.0, -0.35, 0.3, 0.9])
    values = np.array([-0.6, -0.9, 0.5, 1.0])
    for suffix in ("", "_limit"):
        mean, std = posterior[f"mean{suffix}"], posterior[f"std{suffix}"]
        near = np.interp(places, x, mean)
        assert np.all(np.abs(near - values) < 3 * 0.2)  # within three noise deviations
        assert np.all(np.interp(places, x, std) < 0.2)  # known better than one reading tells
        assert min(std[0], std[-1]) > 1.25 * np.interp(places, x, std).max()
    # Far from the data the network of four units is the surer one.
    assert posterior["std"][0] < posterior["std_limit"][0]
    assert posterior["std"][-1] < posterior["std_limit"][-1]
    assert 0 < posterior["effective_fraction"] <= 1
    # The two curves nearly agree.
    assert np.max(np.abs(posterior["mean"] - posterior["mean_limit"])) < 0.3


def test_data_move_the_units_less_than_they_vary(data):
    learned = data("neal1996-learning-shift")
    shift, spread = learned["shift"], learned["spread"]
    error = shift.std(0, ddof=1) / np.sqrt(len(shift))
    assert np.all(shift.mean(0) > SIGMAS * error)
    assert np.all(shift.mean(0) < spread.mean(0))
    widths = learned["widths"]
    slope, error = slope_of(widths, spread)
    assert abs(slope + 0.5) < SIGMAS * error  # exact: a mean of H independent units
    slope, error = slope_of(widths, shift)
    # The next order is a relative 1/H, from the first width on, its constant taken as 3.
    first, last = widths[0], widths[-1]
    assert abs(slope + 1) < SIGMAS * error + 3 / (first * np.log(last / first))
