"""What each figure of chapter 6 shows, tested as data: computed once, at a key nobody has seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from shown import assert_drawn, assert_finite, assert_within, names_of

from widelimit.architectures import fully_connected
from widelimit.figures import (
    deep_angles,
    digit_kernels,
    lee2018,
    lee2018_networks,
    lee2018_uncertainty,
    matthews2018,
    trained_readouts,
)
from widelimit.figures.tanh_networks import TANH
from widelimit.theory import kernels, regression

NAMES = names_of("06-nngp")


@pytest.mark.parametrize("name", NAMES)
def test_data_are_finite_and_drawn(name, data):
    assert_finite(data(name))
    assert_drawn(name, data(name))


def test_the_chapter_has_its_figures():
    assert NAMES == [
        "lee2018-angles",
        "lee2018-maps",
        "lee2018-fading",
        "lee2018-width",
        "lee2018-uncertainty",
        "matthews2018-kernels",
        "matthews2018-mmd",
        "lee2018-readouts",
    ]


@pytest.mark.parametrize("network", range(3))
@pytest.mark.parametrize("depth", [1, 10, 30])
def test_interpolated_kernels_are_the_kernels(network, depth):
    weight_var = lee2018.three_networks()[network]
    split = digit_kernels.problem(jax.random.key(1), 20, 30)
    table = lee2018.deep_kernels()
    found = table.correlations(digit_kernels.basis(split), [depth], slice(-3, None))[0, network]
    x = digit_kernels.digits().x[np.concatenate([split.train, split.test])]
    architecture = fully_connected(depth, TANH, weight_var, lee2018.BIAS_VARS[0])
    exact = np.asarray(kernels.nngp(architecture, x[:20], x, error=0))
    # What a layer's series may lack, and what later layers make of it.
    np.testing.assert_allclose(found * table.var[depth, network - 3], exact, atol=5e-6)


def test_posterior_means_are_those_of_regression():
    split = digit_kernels.problem(jax.random.key(2), 30, 20)
    correlation = np.exp(-np.abs(np.subtract.outer(np.arange(30), np.arange(50) * 1.01)))
    correlation[:, :30] = np.exp(-np.abs(np.subtract.outer(np.arange(30), np.arange(30))))
    found = digit_kernels.posterior_means(correlation, np.array(0.7), split, 0.01)
    blocks = 0.7 * correlation[:, :30], 0.7 * correlation[:, 30:], 0.7 * np.eye(20)
    expected = regression.condition(*map(jnp.asarray, blocks), jnp.asarray(split.targets), 0.01)
    np.testing.assert_allclose(found, expected.mean, atol=1e-12)


def test_angles_are_on_their_curves(data):
    found = data("lee2018-angles")
    rows = [deep_angles.DEPTHS.index(depth) for depth in deep_angles.MEASURED]
    for column, name in enumerate(deep_angles.NAMES):
        curves = found["curves"][rows, column]
        at = [np.interp(deep_angles.AT, lee2018.ANGLES, one) for one in curves]
        # 1/n, with a coefficient that near the edge is some tens at these depths; and the polygon.
        assert_within(found[name], np.array(at), allowance=0.05)


def test_kernel_errors_are_predicted(data):
    found = data("matthews2018-kernels")
    squares = found["error"] ** 2 * matthews2018.WIDTHS
    expected = np.broadcast_to(found["predicted"][:, None] ** 2, squares.shape[1:])
    assert_within(squares, expected, allowance=0.1 * expected)


def test_discrepancies_fall_as_the_square(data):
    found = data("matthews2018-mmd")["mmd2"].mean(axis=0)
    slopes = np.polyfit(np.log(matthews2018.MMD_WIDTHS), np.log(found).T, 1)[0]
    np.testing.assert_allclose(slopes, -2, atol=0.25)
    assert np.all(np.diff(found, axis=0) > 0)  # the deeper the further


def test_the_floor_is_the_spread_of_an_estimate():
    # The unbiased estimate from samples of two equal Gaussians, many times.
    rng, count = np.random.default_rng(5), 60
    a = rng.standard_normal((matthews2018.INPUTS, matthews2018.INPUTS))
    kernel = 0.05 * a @ a.T / matthews2018.INPUTS + 0.2
    root = np.linalg.cholesky(kernel + 1e-12 * np.eye(len(kernel)))

    def similarity(f, g):
        squares = np.sum((f[:, None] - g[None]) ** 2, axis=2)
        return np.exp(-squares / (2 * matthews2018.LENGTHSCALE**2))

    def estimate():
        f, g = (rng.standard_normal((count, len(kernel))) @ root.T for _ in range(2))
        own = [similarity(one, one) for one in (f, g)]
        pairs = count * (count - 1)
        inside = sum((one.sum() - np.trace(one)) / pairs for one in own)
        cross = similarity(f, g)
        # Without pairs of one index, as in the formula for equal numbers of samples.
        return inside - 2 * (cross.sum() - np.trace(cross)) / pairs

    spread = np.std([estimate() for _ in range(400)])
    expected = matthews2018._floor(kernel[None])[0] * matthews2018.SAMPLES / count
    assert spread == pytest.approx(expected, rel=0.2)


def test_trained_readouts_are_the_posterior(data):
    found = data("lee2018-readouts")
    means = found["outputs"].mean(axis=1)
    share = 5 / float(found["width"])
    assert_within(means, found["mean"], allowance=2 * share * (1 + np.abs(found["mean"])))
    variances = found["outputs"].var(axis=1, ddof=1)
    expected = found["std"] ** 2
    # Per angle the samples of a variance have long tails.
    assert_within(variances.mean(axis=1), expected.mean(), allowance=2 * share * expected.mean())
    # At the training inputs all networks agree with the targets.
    at = np.isin(trained_readouts.TEST_AT, trained_readouts.TRAIN_AT)
    assert np.all(variances[:, at] < 1e-6)


def test_the_map_has_a_strip_along_the_edge(data):
    found = data("lee2018-maps")
    accuracy, critical = found["accuracy"], found["critical"]
    assert accuracy[:, 0].min() > 0.9  # one layer: all settings do
    deepest = accuracy[1, -1]  # with noise
    for row, edge in zip(deepest, critical, strict=True):
        near = np.argmin(np.abs(lee2018.WEIGHT_VARS - edge))
        assert row[near] > row[0] + 0.02
    # Without noise the good strip lies mostly in order.
    good = accuracy[0, -1] > 0.93
    ordered = lee2018.WEIGHT_VARS[None] < critical[:, None]
    assert np.sum(good & ordered) > 2 * np.sum(good & ~ordered)


def test_means_fade_as_predicted(data):
    found, depths = data("lee2018-fading"), lee2018.DEPTHS
    deep = np.isin(depths, lee2018.CHAOS_FIT)
    for row, network in ((0, 2), (3, 0)):
        slopes = [np.polyfit(depths[deep], np.log(one[row, deep]), 1)[0] for one in found["size"]]
        assert np.mean(slopes) == pytest.approx(-found["rate"][network], abs=1e-3)
    slopes = [np.polyfit(lee2018.ORDER_FIT, np.log(one), 1)[0] for one in found["half_noise"]]
    assert np.mean(slopes) == pytest.approx(-found["rate"][0], abs=1e-3)
    assert found["agreement"].mean() > 0.999
    # Almost without noise order loses nothing in 60 layers.
    at = list(depths).index(60)
    assert found["size"][:, 2, at].mean() == pytest.approx(found["size"][:, 2, 3].mean(), rel=0.02)


def test_networks_come_near_the_process(data):
    found = data("lee2018-width")
    tanh = found["tanh"].mean(axis=1)
    assert tanh[0] < tanh[-1] < found["tanh_gp"]
    assert found["relu_gp"] > 0.9
    assert len(lee2018_networks.TABLE) == 6


def test_uncertainty_is_right_for_networks_and_wrong_for_digits(data):
    found = data("lee2018-uncertainty")
    assert_within(found["networks"] - found["variance"], 0.0, allowance=0.005)
    assert found["networks"].shape[1] == lee2018_uncertainty.TEST // lee2018_uncertainty.BIN
    scaled = found["digits"].mean(0) / (found["scale"].mean() * found["variance"].mean(0))
    assert scaled[0] < 0.5
    assert scaled[-1] > 1.3
