"""What each figure of chapter 2 shows, tested as data: computed once, at a key nobody has seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from shown import assert_drawn, assert_finite, assert_within, names_of

from widelimit.figures import glorot2010, he2015, variance_count
from widelimit.lab import networks

NAMES = names_of("02-initialization")


def test_the_chapter_has_its_figures():
    assert len(NAMES) == 8


@pytest.mark.parametrize("name", NAMES)
def test_data_are_finite_arrays(name, data):
    assert_finite(data(name))


@pytest.mark.parametrize("name", NAMES)
def test_draws_labelled_axes_in_a_small_picture(name, data):
    assert_drawn(name, data(name))


def test_digits_are_enlarged_centred_and_of_mean_square_one():
    x, labels = glorot2010.enlarged_digits(1797)
    assert x.shape == (1797, 1024)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(np.mean(x**2), 1, rtol=1e-5)
    image = x[7].reshape(32, 32)
    np.testing.assert_array_equal(image, np.kron(image[::4, ::4], np.ones((4, 4))))
    assert set(labels) == set(range(10))


@pytest.mark.parametrize("start", glorot2010.INITIALIZATIONS)
@pytest.mark.parametrize("what", ["activations", "gradients"])
def test_histograms_are_densities_around_their_limit(start, what, data):
    signals = data("glorot2010-fig6")
    edges, theory = signals[f"{start}_{what}_edges"], signals[f"{start}_{what}_theory"]
    measured = signals[f"{start}_{what}"]
    np.testing.assert_allclose(measured @ np.diff(edges), 1, rtol=1e-5)
    np.testing.assert_allclose(theory @ np.diff(edges), 1, rtol=1e-9)
    # The share of all mass that lies elsewhere than the limit says. The bins' own errors add up to
    # a share too, and a law at width n differs from its limit by a few times 1/n.
    moved = np.abs(measured.mean(axis=0) - theory) @ np.diff(edges) / 2
    noise = measured.std(axis=0, ddof=1) @ np.diff(edges) / np.sqrt(len(measured)) / 2
    if what == "gradients":  # layer 5 sums over ten outputs, not a thousand, and is no Gaussian
        assert moved[4] > 10 * noise[4]
        moved, noise = moved[:4], noise[:4]
    np.testing.assert_array_less(moved, 2 * noise + 5 / 1000)


@pytest.mark.parametrize("start", glorot2010.INITIALIZATIONS)
@pytest.mark.parametrize("what", ["signal", "gradient"])
def test_mean_squares_of_tanh_networks_are_those_of_the_maps_to_order_1_over_n(start, what, data):
    signals = data("glorot2010-fig6")
    measured, theory = signals[f"{start}_{what}"], signals[f"{start}_{what}_theory"]
    assert_within(measured / theory, np.ones(5), allowance=5 / 1000)  # 1/n for each layer


def test_standard_weights_lose_what_normalized_ones_keep(data):
    signals = data("glorot2010-fig6")
    for what, near, far in (("signal", 0, 4), ("gradient", 4, 0)):
        kept = {
            start: np.mean(signals[f"{start}_{what}"][:, far] / signals[f"{start}_{what}"][:, near])
            for start in glorot2010.INITIALIZATIONS
        }
        assert kept["standard"] < 0.01 < 0.1 < kept["normalized"] < 1


@pytest.mark.parametrize("scaling", variance_count.SCALINGS)
@pytest.mark.parametrize("what", ["forward", "backward", "weights"])
def test_mean_squares_by_layer_are_the_count(scaling, what, data):
    by_layer = data("he2015-moments")
    assert_within(
        by_layer[f"{scaling}_{what}"] / by_layer[f"{scaling}_{what}_theory"],
        np.ones(len(by_layer["layers"])),
    )


@pytest.mark.parametrize("fan", ["fan_in", "fan_avg", "fan_out"])
@pytest.mark.parametrize("what", ["forward", "backward"])
def test_halved_widths_follow_the_count_of_their_fan(fan, what, data):
    halved = data("glorot2010-tapered")
    theory = halved[f"{fan}_{what}_theory"]
    assert_within(halved[f"{fan}_{what}"] / theory, np.ones(len(theory)))
    step = {"fan_in": (1, 2), "fan_avg": (4 / 3, 3 / 2), "fan_out": (2, 1)}[fan]
    expected = step[what == "backward"]
    np.testing.assert_allclose(theory[1:] / theory[:-1], expected, rtol=1e-12)


@pytest.mark.parametrize("width", variance_count.NARROW)
def test_lengths_spread_by_the_exact_factor(width, data):
    narrow = data("hanin2018-lengths")
    np.testing.assert_allclose(
        narrow[f"ratio_{width}_theory"], (1 + 2 / width) * (1 + 5 / width) ** np.arange(4)
    )
    # A ratio of means is biased by about the relative variance of each, here of |h|² below.
    growth = (1 + 2 / width) * (1 + 5 / width) ** np.arange(4)
    bias = 3 * growth.max() / narrow[f"networks_{width}"]
    assert_within(
        narrow[f"ratio_{width}"] / narrow[f"ratio_{width}_theory"], np.ones(4), allowance=bias
    )


def test_both_depths_train_from_2_over_n_and_sooner_than_from_1_over_n(data):
    shallower, deeper = data("he2015-22-layers"), data("he2015-30-layers")
    for trained, he, count in ((shallower, 4, 4), (deeper, 3, 16)):
        assert trained["he_loss"].shape == (he, 600)
        assert trained["lecun_test"].shape == (count, len(trained["at"])) == (count, 7)
        assert np.median(trained["he_train"][:, -1]) < 1.2
        assert 2.2 < trained["entropy"] < np.log(10)
    assert shallower["he_train"][:, 3].max() < shallower["lecun_train"][:, 3].min() - 0.5
    # At 30 layers the plateau is longer: nothing has begun when 22 layers have.
    assert np.median(deeper["lecun_train"][:, -1]) > np.median(shallower["lecun_train"][:, -1])
    assert np.all(np.abs(deeper["lecun_train"][:, 2] - np.log(10)) < 0.01)


def test_without_hidden_biases_the_plateau_does_not_end(data):
    frozen = data("he2015-22-layers")["frozen_train"]
    assert np.all(np.abs(frozen - np.log(10)) < 0.01)


def test_adam_needs_no_variance(data):
    adam = data("he2015-adam")
    assert adam["lecun_train"].shape == (16, 3)
    np.testing.assert_allclose(adam["lecun_loss"][:, 0], np.log(10), rtol=1e-3)
    assert np.all(adam["lecun_train"][:, -1] < 2)


def test_hidden_biases_that_are_not_trained_stay_zero_and_the_others_move():
    network = networks.FullyConnected(jax.random.key(1), (4, 4, 4, 2), he2015.RELU, weight_var=2.0)
    params = nnx.state(network, nnx.Param)
    ones = jax.tree.map(jnp.ones_like, params)
    for kept in (0.0, 1.0):
        made = he2015._optimizer("sgd")(network, {"hidden_biases": jnp.float32(kept)})
        updates, _ = made.update(ones, made.init(params), params)
        flat = jax.tree_util.tree_flatten_with_path(updates)[0]
        for path, update in flat:
            hidden_bias = path[2].key == "bias" and path[1].key < len(network.layers) - 1
            expected = -he2015.RATES["sgd"] * (kept if hidden_bias else 1)
            np.testing.assert_allclose(update, expected, rtol=1e-6)


def test_training_and_test_digits_are_all_digits_apart():

    sets = he2015.digits_split(jax.random.key(5))
    assert sets["x"].shape == (1500, 64)
    assert sets["test_x"].shape == (297, 64)
    both = np.concatenate([sets["x"], sets["test_x"]])
    np.testing.assert_allclose(np.mean(both**2), 1, rtol=1e-5)
    np.testing.assert_allclose(both.mean(axis=0), 0, atol=1e-6)
    assert not {row.tobytes() for row in sets["x"]} & {row.tobytes() for row in sets["test_x"]}
