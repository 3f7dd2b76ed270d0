"""What each figure of chapter 4 shows, tested as data: computed once, at a key nobody has seen."""

import jax.numpy as jnp
import numpy as np
import pytest
from first_order import expected
from shown import assert_drawn, assert_finite, assert_within, names_of

from widelimit.figures import (
    registry,
    schoenholz2017,
    schoenholz2017_dropout,
    schoenholz2017_gradients,
    schoenholz2017_training,
)

NAMES = names_of("04-propagation")
BIAS_VAR = 0.05
#: q*, c*, ξ_q and ξ_c of the facts sheet, by σ_w²; q* by the sum below.
SCALES = {
    1.0: (1.0, 1.75, 3.63),
    1.3: (1.0, 1.79, 7.83),
    1.5: (1.0, 1.68, 15.79),
    1.7: (1.0, 1.56, 74.9),
    2.0: (0.744, 1.39, 25.21),
    2.5: (0.447, 1.18, 11.80),
    4.0: (0.165, 0.87, 6.98),
}
each_weight_var = pytest.mark.parametrize("weight_var", SCALES)

#: A grid for integrals over a standard normal variable.
Z = np.arange(-8, 8.01, 1 / 16)
WEIGHTS = np.exp(-(Z**2) / 2) / np.exp(-(Z**2) / 2).sum()


def length(weight_var, rho=1.0):
    """q* by iteration."""
    q = 1.0
    for _ in range(2000):
        q = weight_var / rho * (WEIGHTS @ np.tanh(q**0.5 * Z) ** 2) + BIAS_VAR
    return q


def correlation(weight_var, rho):
    """c* by iteration, from 1/2."""
    q, c = length(weight_var, rho), 0.5
    u = q**0.5 * Z[:, None]
    for _ in range(300):
        v = q**0.5 * (c * Z[:, None] + (1 - c**2) ** 0.5 * Z[None])
        c = (weight_var * (WEIGHTS * np.tanh(u[:, 0])) @ np.tanh(v) @ WEIGHTS + BIAS_VAR) / q
    return c


@pytest.fixture
def of(data):
    """Data by the figure that computes them."""
    return lambda name: data(registry.get(name).data_of or name)


def test_the_chapter_has_its_figures():
    assert len(NAMES) == 7


@pytest.mark.parametrize("name", NAMES)
def test_data_are_finite_arrays(name, of):
    assert_finite(of(name))


@pytest.mark.parametrize("name", NAMES)
def test_draws_labelled_axes_in_a_small_picture(name, of):
    assert_drawn(name, of(name))


def test_one_depth_scale_diverges_at_the_edge(of):
    found = of("schoenholz2017-scales")
    w, xi = found["weight_vars"], found["xi_c"]
    edge = 1.76095
    # One peak, at the edge, near which ξ_c is the inverse of |χ₁ − 1| on both sides, as |ξ_∇| is.
    assert abs(w[np.argmax(xi)] - edge) < 2e-3
    assert np.all(np.diff(xi[w < edge]) > 0)
    assert np.all(np.diff(xi[w > edge]) < 0)
    close = np.abs(w - edge) < 5e-3
    np.testing.assert_allclose(xi[close], found["xi_grad"][close], rtol=0.02)
    # In order they are one line; in chaos correlations live longer.
    np.testing.assert_allclose(xi[w < edge], found["xi_grad"][w < edge], rtol=1e-9)
    assert np.all(xi[w > edge] > found["xi_grad"][w > edge])
    assert np.all(found["xi_q"] < 2)


# Correlations.


@each_weight_var
def test_fixed_points_are_those_of_the_facts_sheet(weight_var):
    row, point = schoenholz2017.WEIGHT_VARS.index(weight_var), schoenholz2017.fixed_points()
    c, xi_q, xi_c = SCALES[weight_var]
    np.testing.assert_allclose(point.var[row], length(weight_var), rtol=1e-9)
    np.testing.assert_allclose(point.correlation[row], c, atol=5e-4)
    np.testing.assert_allclose(point.xi_q[row], xi_q, atol=6e-3)
    np.testing.assert_allclose(point.xi_c[row], xi_c, rtol=2e-3)


@each_weight_var
def test_differences_fall_as_the_first_order_says(weight_var, of):
    data, q = of("schoenholz2017-fading"), length(weight_var)
    last = schoenholz2017.LAST[weight_var]
    low, high = schoenholz2017.STARTS[weight_var]

    def first_order(start, entry):
        """The limit and n times the distance of the mean from it: of Q (0) or of P (1)."""
        moments = q * np.array([[1, start], [start, 1]])
        fn = lambda s: s[entry]  # noqa: E731
        return expected("pair", moments, last, weight_var, BIAS_VAR, fn, sampled=False)[:2]

    # The other group, or where it is one input the length.
    other = first_order(high, 1) if high < 1 else first_order(low, 0)
    for name, top, bottom in zip(("theory", "drift"), other, first_order(low, 1), strict=True):
        difference = top - bottom
        kept = data[f"{weight_var}_difference_{name}"][:last]
        np.testing.assert_allclose(kept, difference, rtol=2e-3, atol=2e-4 * abs(difference).max())
    measured = data[f"{weight_var}_difference"][:, :last]
    shift = data[f"{weight_var}_difference_drift"][:last] / int(data["width"])
    limit = data[f"{weight_var}_difference_theory"][:last]
    assert_within(measured, limit + shift, allowance=3 * shift**2 / limit)


@each_weight_var
def test_starts_leave_little_transient(weight_var, of):
    limit, predicted, found = schoenholz2017.depth_scale(
        of("schoenholz2017-fading"), weight_var, "difference"
    )
    assert abs(limit / SCALES[weight_var][2] - 1) < 0.08
    rate = schoenholz2017.depth_scale(
        of("schoenholz2017-fading"), weight_var, "difference", rate=True
    )
    np.testing.assert_allclose([1 / rate[0], 1 / rate[1]], [limit, predicted], rtol=1e-12)
    assert found.shape == rate[2].shape == (20,)


def test_equally_correlated_inputs_are_so():
    x = schoenholz2017.equally_correlated(0.3, 5, 8)
    np.testing.assert_allclose(x @ x.T / 8, 0.7 * np.eye(5) + 0.3, atol=1e-12)


def test_group_moments_are_means_over_pairs():
    h = np.random.default_rng(2).normal(size=(16, 30))
    square, product = schoenholz2017.group_moments(jnp.asarray(h))
    for group, (one, other) in enumerate(zip(square, product, strict=True)):
        gram = h[8 * group : 8 * group + 8] @ h[8 * group : 8 * group + 8].T / 30
        np.testing.assert_allclose(one, np.trace(gram) / 8, rtol=1e-5)
        np.testing.assert_allclose(other, (gram.sum() - np.trace(gram)) / 56, rtol=1e-4)


# Gradients.


@pytest.mark.parametrize("weight_var", schoenholz2017_gradients.WEIGHT_VARS)
def test_gradients_grow_as_predicted(weight_var, of):
    data = of("schoenholz2017-gradients")
    chi_1 = weight_var * (WEIGHTS @ (1 - np.tanh(length(weight_var) ** 0.5 * Z) ** 2) ** 2)
    limit = data[f"{weight_var}_growth"][0]
    np.testing.assert_allclose(limit, np.log(chi_1), atol=1e-9)
    predicted = schoenholz2017_gradients.predicted(data, weight_var)
    growth = schoenholz2017_gradients.growth(data[f"{weight_var}_logarithm"])
    assert_within(growth, predicted, allowance=abs(predicted - limit) / 10)


def test_growth_is_a_slope_downwards():
    logarithm = -0.3 * np.arange(1, 61)[None] + np.zeros((4, 1))
    np.testing.assert_allclose(schoenholz2017_gradients.growth(logarithm), 0.3, rtol=1e-12)


# Training.


def test_trained_depth_is_where_a_line_crosses():
    depths = np.array([4, 8, 16])
    at = schoenholz2017_training.trained_depth
    np.testing.assert_allclose(at(depths, np.array([0.9, 0.5, 0.3])), 8 * 2**0.5)
    np.testing.assert_allclose(at(depths, np.array([0.9, 0.5, 0.3]), 0.7), 4 * 2**0.5)
    # The first crossing, from where the curve stands.
    np.testing.assert_allclose(at(depths, np.array([0.5, 0.3, 0.9])), 4 * 2**0.5)
    assert np.isnan(at(depths, np.array([0.3, 0.3, 0.1])))
    assert np.isnan(at(depths, np.array([0.9, 0.8, 0.7])))
    many = at(depths, np.array([[0.9, 0.5, 0.3], [0.9, 0.8, 0.7]]))
    assert many.shape == (2,)


def test_what_trains_has_the_shape_of_the_depth_scale(of):
    data = of("schoenholz2017-grid")
    mean = {
        w: data[f"{w}"].mean(axis=1)[:, 1] for w in schoenholz2017_training.WEIGHT_VARS
    }  # after the last step, by depth
    shallow, deep = 0, -1
    assert min(one[shallow] for one in mean.values()) > 0.7
    assert mean[0.75][deep] < 0.15
    assert mean[1.761][deep] > mean[0.75][deep] + 0.1
    assert mean[1.761][deep] > mean[6.0][deep]
    xi_c = data["xi_c"]
    assert np.argmax(xi_c) == schoenholz2017_training.WEIGHT_VARS.index(1.761)
    for kinds, runs, low, high in (
        (schoenholz2017_training.ORDERED, 48, 4.5, 6.5),
        (schoenholz2017_training.CHAOTIC, 16, 2.0, 3.5),
    ):
        accuracy = schoenholz2017_training.replicates(data, kinds)
        assert accuracy.shape == (runs, 2, len(kinds), len(data["depths"]))
        depth = schoenholz2017_training.trained_depth(data["depths"], accuracy.mean(axis=0)[1])
        multiple = depth / schoenholz2017_training.scales_of(data, "xi_c", kinds)
        assert np.all((low < multiple) & (multiple < high))


def test_more_steps_train_deeper_networks(of):
    for name in ("schoenholz2017-grid", "schoenholz2017-dropout-grid"):
        data = of(name)
        for w in schoenholz2017_training.WEIGHT_VARS:
            first, last = data[f"{w}"].mean(axis=(0, 1))
            assert last > first


def test_dropout_lowers_the_horizon(of):
    with_it, without = of("schoenholz2017-dropout-grid"), of("schoenholz2017-grid")
    assert with_it["xi_c"].max() < 5 < without["xi_c"].max()
    assert np.all(with_it["xi_c"] < without["xi_c"])


# Dropout.


@pytest.mark.parametrize("weight_var", schoenholz2017_dropout.WEIGHT_VARS)
def test_inputs_part_as_predicted(weight_var, of):
    data = of("schoenholz2017-dropout")
    limit, predicted, found = schoenholz2017_dropout.settled(data, 0.9, weight_var)
    np.testing.assert_allclose(limit, correlation(weight_var, 0.9), atol=1e-3)
    assert_within(found, predicted, allowance=abs(predicted - limit) / 10)
    _, predicted, found = schoenholz2017_dropout.depth_scale(data, 0.9, weight_var)
    assert_within(found, predicted)


@pytest.mark.parametrize("keep_prob", [0.98, 0.9, 0.8])
def test_no_scale_diverges_with_dropout(keep_prob, of):
    data = of("schoenholz2017-dropout")
    assert data[f"line_{keep_prob}_c"].max() < 1
    assert data[f"line_{keep_prob}_xi"].max() < 11
    assert data["line_1.0_xi"].max() > 100


def test_gradients_carry_one_over_rho(of):
    data = of("schoenholz2017-dropout")
    q = length(1.761, 0.9)
    chi_1 = 1.761 * (WEIGHTS @ (1 - np.tanh(q**0.5 * Z) ** 2) ** 2)
    limit, predicted = data["gradient_growth"]
    np.testing.assert_allclose(limit, np.log(chi_1 / 0.9), atol=1e-9)
    grown = schoenholz2017_dropout.GROWN
    growth = schoenholz2017_gradients.growth(data["gradient_logarithm"], grown)
    assert_within(growth, predicted, allowance=abs(predicted - limit) / 10)
