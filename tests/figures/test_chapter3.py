"""What each figure of chapter 3 shows, tested as data: computed once, at a key nobody has seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from first_order import expected
from shown import assert_drawn, assert_finite, assert_within, names_of

from widelimit.figures import (
    layer_answers,
    poole2016,
    poole2016_boundary,
    poole2016_curves,
    poole2016_phases,
    poole2016_readouts,
    registry,
    scatter_of_lengths,
    tanh_networks,
)

NAMES = names_of("03-chaos")
STDS, BIAS_VAR = (1.3, 2.5, 4.0), 0.09
#: q*, χ₁ and c* of the three networks.
FIXED = {
    1.3: (0.60705, 0.93981, 1.0),
    2.5: (4.07912, 1.58522, 0.1221),
    4.0: (12.60415, 2.36726, 0.0297),
}
each_network = pytest.mark.parametrize("std", STDS)

#: A grid for integrals over a standard normal variable; tanh² of width 1/5 is exact on it to 1e-12.
Z = np.arange(-8, 8.01, 1 / 32)
WEIGHTS = np.exp(-(Z**2) / 2) / np.exp(-(Z**2) / 2).sum()


def normal_mean(fn, q):
    """E[f(u)], u ~ N(0, q), for an array of variances."""
    return fn(np.sqrt(np.asarray(q, float))[..., None] * Z) @ WEIGHTS


def slope_of_tanh(u):
    return 1 - np.tanh(u) ** 2


def errors_off(replicates, theory):
    """By how many standard errors replicates are off."""
    error = replicates.std(axis=0, ddof=1) / np.sqrt(len(replicates))
    return (replicates.mean(axis=0) - theory) / error


def assert_within_first_order(replicates, theory, drift, width):
    """Every point, around the limit and its 1/n term. The next order is as large as its square."""
    shift = drift / width
    assert_within(replicates, theory + shift, allowance=3 * shift**2 / np.abs(theory))


@pytest.fixture
def of(data):
    """Data by the figure that computes them."""
    return lambda name: data(registry.get(name).data_of or name)


def test_the_chapter_has_its_figures():
    assert len(NAMES) == 10


@pytest.mark.parametrize("name", NAMES)
def test_data_are_finite_arrays(name, of):
    assert_finite(of(name))


@pytest.mark.parametrize("name", NAMES)
def test_draws_labelled_axes_in_a_small_picture(name, of):
    assert_drawn(name, of(name))


# Lengths.


@each_network
def test_lengths_are_those_of_the_map_to_order_1_over_n(std, of):
    lengths, width = of("poole2016-fig1ab"), 300
    theory, measured = lengths[f"{std}_lengths_theory"], lengths[f"{std}_lengths"]
    assert measured.shape == (20, 8, 6)
    for start, q in enumerate(poole2016.STARTS):
        limit, drift, _ = expected("one", [[q]], 8, std**2, BIAS_VAR, lambda s: s[0])
        np.testing.assert_allclose(theory[:, start], limit, rtol=1e-6)
        assert_within_first_order(measured[:, :, start], theory[:, start], drift, width)
    # From every start to one length: in each layer the distance shrinks at least by half.
    assert np.ptp(theory[-1]) < np.ptp(theory[0]) / 2**7
    np.testing.assert_allclose(theory[-1], FIXED[std][0], rtol=0.02)


@each_network
def test_the_length_map_crosses_the_diagonal_once(std, of):
    lengths = of("poole2016-fig1ab")
    q, image = lengths["q"], lengths[f"{std}_map"]
    np.testing.assert_allclose(
        image, std**2 * normal_mean(lambda u: np.tanh(u) ** 2, q) + BIAS_VAR, rtol=1e-9
    )
    (crossing,) = np.flatnonzero(np.diff(np.sign(image - q)))
    assert q[crossing] <= FIXED[std][0] <= q[crossing + 1]
    # It rises and flattens, as every point of the figure's left panel lies on it.
    assert (np.diff(image) > 0).all()
    assert (np.diff(image, 2) < 0).all()


def test_scatter_falls_as_1_over_n_and_is_more_than_one_layers(of):
    scatter = of("poole2016-scatter")
    widths, variance = scatter["widths"], scatter["variance"]
    q = FIXED[1.3][0]
    _, _, amplitude = expected(
        "one", [[q]], scatter_of_lengths.LAYER, 1.3**2, BIAS_VAR, lambda s: s[0]
    )
    np.testing.assert_allclose(scatter["variance_theory"], amplitude[-1] / widths, rtol=1e-4)
    np.testing.assert_allclose(scatter["alone"], 2 * q**2 / widths, rtol=1e-4)
    # The next order is smaller by 1/n, and tilts the slope by as much over a factor 4 in n.
    assert_within(variance, scatter["variance_theory"], scatter["variance_theory"] / widths)
    slopes = np.polyfit(np.log(widths), np.log(variance).T, 1)[0]
    assert_within(slopes, -1.0, allowance=1 / widths[0])
    found = (variance * widths).mean(axis=1)
    assert_within(found, amplitude[-1], allowance=amplitude[-1] / widths[0])
    # What one layer alone would make lies far below.
    assert errors_off(found, 2 * q**2 * (1 + 1 / widths[0])) > 5


# The plane.


@pytest.fixture
def plane(of):
    return of("poole2016-fig1cd")


def parameters(plane):
    return plane["weight_stds"] ** 2, plane["bias_stds"][:, None] ** 2


def test_fixed_points_of_the_plane_are_fixed(plane):
    weight_var, bias_var = parameters(plane)
    q = plane["length"]
    assert q.shape == (41, 41)
    np.testing.assert_allclose(
        weight_var * normal_mean(lambda u: np.tanh(u) ** 2, q) + bias_var, q, rtol=1e-8, atol=1e-8
    )
    np.testing.assert_allclose(
        plane["chi_1"], weight_var * normal_mean(lambda u: slope_of_tanh(u) ** 2, q), rtol=1e-8
    )
    # More weight or more bias makes longer signals.
    assert (np.diff(q, axis=0) >= 0).all()
    assert (np.diff(q, axis=1) > 0)[1:].all()


@each_network
def test_the_stars_are_the_papers_networks(std, plane):
    row = np.flatnonzero(np.isclose(plane["bias_stds"], 0.3)).item()
    column = np.flatnonzero(np.isclose(plane["weight_stds"], std)).item()
    q, chi_1, c = FIXED[std]
    assert abs(plane["length"][row, column] - q) < 5e-6
    assert abs(plane["chi_1"][row, column] - chi_1) < 5e-6
    assert abs(plane["correlation"][row, column] - c) < 5e-5


def test_the_critical_line_parts_order_from_chaos(plane):
    chaotic = plane["weight_stds"] > plane["critical_stds"][:, None]
    chi_1, c = plane["chi_1"], plane["correlation"]
    # Where σ_b = 0 the line begins, at a node of the grid.
    np.testing.assert_allclose(plane["critical_stds"][0], 1, rtol=1e-10)
    np.testing.assert_allclose(chi_1[0, 0], 1, rtol=1e-9)
    inside = np.ones_like(chaotic)
    inside[0, 0] = False
    assert (chi_1 > 1)[chaotic].all()
    assert (chi_1 < 1)[~chaotic & inside].all()
    assert (c < 1)[chaotic].all()
    assert (c == 1)[~chaotic & inside].all()
    # Both phases are there, and the line climbs to the right: more bias, later chaos.
    assert 0.1 < chaotic.mean() < 0.9
    assert (np.diff(plane["critical_stds"]) > 0).all()


def test_layers_are_counted_until_lengths_stay(plane):
    # The same count, from lengths iterated in NumPy.
    weight_var, bias_var = parameters(plane)
    target, counted = plane["length"], np.zeros(plane["layers"].shape, int)
    lengths = np.stack([np.broadcast_to(bias_var, target.shape), np.full(target.shape, 15.0)])
    for layer in range(1, poole2016_phases.LAST_COUNTED + 1):
        off = (np.abs(lengths - target) > 0.01 * target).any(axis=0)
        counted = np.where(off, layer, counted)
        lengths = weight_var * normal_mean(lambda u: np.tanh(u) ** 2, lengths) + bias_var
    np.testing.assert_array_equal(plane["layers"], counted)


def test_slow_lengths_take_more_layers(plane):
    # A distance shrinks by V′(q*) a layer in the end: the slower, the more layers.
    weight_var, _ = parameters(plane)
    layers, q = plane["layers"], plane["length"]

    def half_of_second_derivative(u):  # of tanh²
        return slope_of_tanh(u) ** 2 - 2 * np.tanh(u) ** 2 * slope_of_tanh(u)

    slope = weight_var * normal_mean(half_of_second_derivative, q)
    with_bias = np.s_[1:]  # without, the length 0 stays 0
    slope, layers = slope[with_bias].ravel(), layers[with_bias].ravel()
    assert layers[slope > 0.6].min() > layers[slope < 0.1].max()
    bands = [layers[(slope >= low) & (slope < low + 0.1)] for low in np.arange(0.0, 0.7, 0.1)]
    means = [band.mean() for band in bands if len(band)]
    assert (np.diff(means) > 0).all()
    # A few layers are enough nearly everywhere.
    assert (layers <= 10).mean() > 0.9
    assert (plane["layers"][0] == poole2016_phases.LAST_COUNTED).all()


# Correlations.


def test_inputs_have_the_correlations_asked_for():
    wanted = np.array([-1.0, 0.0, 0.3, 1.0])
    x = poole2016.at_correlations(wanted, 8, 2.5)
    np.testing.assert_allclose(np.mean(x**2, axis=1), 2.5)
    np.testing.assert_allclose(np.mean(x[0] * x[1:], axis=1), 2.5 * wanted, atol=1e-15)


def correlation(s):
    return s[1] / jnp.sqrt(s[0] * s[2])


@each_network
def test_correlations_are_those_of_the_map_to_order_1_over_n(std, of):
    found, width = of("poole2016-fig2ab"), 300
    theory, measured = found[f"{std}_correlations_theory"], found[f"{std}_correlations"]
    q = FIXED[std][0]
    assert measured.shape == (20, 16, len(poole2016.CORRELATIONS))
    for start, c in enumerate(poole2016.CORRELATIONS):
        first = (q - BIAS_VAR) * c + BIAS_VAR
        moments = [[q, first], [first, q]]
        limit, drift, _ = expected("pair", moments, 16, std**2, BIAS_VAR, correlation)
        np.testing.assert_allclose(theory[:, start], limit, atol=1e-4)
        assert_within(measured[:, :, start], limit + drift / width, np.abs(drift) / width)
    if std == 1.3:  # equal in the end: where the map is less steep than χ₁, all the sooner
        assert (np.diff(theory, axis=0) > 0).all()
        assert (1 - theory[-1] < FIXED[std][1] ** 15 * (1 - theory[0])).all()
    else:  # to c* < 1, and from inputs that are almost equal too
        assert (np.diff(theory[:, -1]) < 0).all()
        np.testing.assert_allclose(theory[-1], FIXED[std][2], atol=0.1)


@each_network
def test_the_correlation_map_has_the_slope_chi_1_at_its_end(std, of):
    found = of("poole2016-fig2ab")
    c, image = found["c"], found[f"{std}_map"]
    _, chi_1, fixed = FIXED[std]
    assert abs(image[-1] - 1) < 1e-9
    assert (np.diff(image, 2) > 0).all()
    # Mehler's coefficients are positive, so that a chord of length δ lies between χ₁ and what is
    # left when the next term is taken off, ½·q*·χ₂·δ with χ₂ = σ_w²·E[φ″²] and φ″ = −2φφ′.
    length, q = 1 - c[-2], FIXED[std][0]
    chi_2 = std**2 * normal_mean(lambda u: (2 * np.tanh(u) * slope_of_tanh(u)) ** 2, q)
    assert chi_1 - q * chi_2 * length / 2 < (1 - image[-2]) / length < chi_1
    inside = np.flatnonzero(np.diff(np.sign(image - c))[:-1])
    if std == 1.3:
        assert not len(inside)
    else:
        assert c[inside.item()] <= fixed <= c[inside.item() + 1]


# Answers to small pushes.


@each_network
@pytest.mark.parametrize(
    "number", ["length", "chi_1", "chi_2", "length_slope", "correlation_slope"]
)
def test_numbers_are_answered_to_order_1_over_n(std, number, of):
    answers = of("poole2016-answers")
    name = f"{std}_{number}"
    theory, drift = float(answers[f"{name}_theory"]), float(answers[f"{name}_drift"])
    assert_within_first_order(answers[name], theory, drift, int(answers["width"]))


@each_network
def test_the_correlation_is_answered(std, of):
    answers = of("poole2016-answers")
    found, theory = answers[f"{std}_correlation"], float(answers[f"{std}_correlation_theory"])
    assert abs(theory - FIXED[std][2]) < 5e-5
    if std == 1.3:
        # What is left of a difference after so many layers: less than 1 to begin with.
        left = FIXED[std][1] ** (layer_answers.LAST - 1)
        assert (found <= 1 + 1e-6).all()
        assert_within(found, 1.0, allowance=left)
        assert left < 1e-3
    else:
        drift = float(answers[f"{std}_correlation_drift"])
        assert_within_first_order(found, theory, drift, int(answers["width"]))


@each_network
def test_depth_scales_are_those_of_the_slopes(std, of):
    answers = of("poole2016-answers")
    for number in layer_answers.NUMBERS:
        name = layer_answers.MEASURED_AS.get(number, number)
        limit, predicted, found, allowed = layer_answers.compared(answers, std, number)
        theory, drift = (
            float(answers[f"{std}_{name}_theory"]),
            float(answers[f"{std}_{name}_drift"]),
        )
        near = theory + drift / int(answers["width"])
        if number.startswith("xi"):
            theory, near = -1 / np.log(theory), -1 / np.log(near)
        np.testing.assert_allclose([limit, predicted], [theory, near], rtol=1e-12)
        # Far less than would let the scale of distances pass for that of their squares, twice it.
        assert allowed < 0.2 * limit
        assert_within(found, predicted, allowed)


@pytest.mark.parametrize("std", STDS[1:])
def test_the_slope_of_the_correlation_map_is_seen_to_drift(std, of):
    # Without its 1/n term the prediction is wrong.
    answers = of("poole2016-answers")
    found = answers[f"{std}_correlation_slope"]
    theory = float(answers[f"{std}_correlation_slope_theory"])
    assert errors_off(found, theory) < -4


@each_network
def test_predictions_of_the_answers_are_those_of_a_network_in_its_late_layers(std):
    # By a recursion of its own, from any start: limits and 1/n terms of what one signal decides,
    # as functions of its variance, and the correlation of two.
    q, _, c = FIXED[std]
    predicted = layer_answers.predicted(std)
    moved, bent = (
        lambda s, fn=fn: std**2 * jnp.sum(fn(jnp.sqrt(s[0]) * Z) ** 2 * WEIGHTS)
        for fn in (
            lambda u: 1 - jnp.tanh(u) ** 2,
            lambda u: -2 * jnp.tanh(u) * (1 - jnp.tanh(u) ** 2),
        )
    )
    cases = {"length": lambda s: s[0], "chi_1": moved, "chi_2": bent}
    for name, fn in cases.items():
        limit, drift = conditional("one", [[q]], 60, std, fn)
        np.testing.assert_allclose(predicted[name][0], limit, rtol=2e-5)
        np.testing.assert_allclose(predicted[name][1], drift, rtol=2e-3)
    if c < 1:
        moments = [[q, c * q], [c * q, q]]
        limit, drift = conditional("pair", moments, 60, std, lambda s: s[1])
        _, of_square = conditional("pair", moments, 60, std, lambda s: s[0])
        np.testing.assert_allclose(predicted["correlation"][0], limit / q, atol=5e-5)
        # A ratio of means.
        ratio = drift / q - c / q * of_square
        np.testing.assert_allclose(predicted["correlation"][1], ratio, rtol=5e-3)


def conditional(unit, moments, depth, std, fn):
    """Limit and 1/n term, in the last layer, of a function of the true moments of its units."""
    arguments = unit, moments, depth, std**2, BIAS_VAR
    limit, drift, _ = expected(*arguments, fn, sampled=False)
    return limit[-1], drift[-1]


# Circles.


@each_network
def test_the_circle_has_the_length_of_the_fixed_point(std):
    q = FIXED[std][0]
    x = np.asarray(tanh_networks.circle(np.linspace(0, 6, 7), std, q))
    np.testing.assert_allclose(std**2 * np.mean(x**2, axis=1) + BIAS_VAR, q, rtol=1e-6)


def at_angle(q, angle):
    """Second moments of a unit at two points of a circle in the input."""
    product = (q - BIAS_VAR) * np.cos(angle) + BIAS_VAR
    return [[q, product], [product, q]]


def squared_bend(s):
    """κ²·g², from the moments of (h, v, a): row by row, so that s[3:] are E v², E va and E a²."""
    return (s[3] * s[5] - s[4] ** 2) / s[3] ** 2


CURVE = {
    "length": lambda s: 2 * jnp.pi * jnp.sqrt(s[3]),
    "curvature": lambda s: jnp.sqrt(squared_bend(s) / s[3]),
    "tangent_length": lambda s: 2 * jnp.pi * jnp.sqrt(squared_bend(s)),
}


@each_network
@pytest.mark.parametrize("what", CURVE)
def test_curves_are_as_long_and_as_bent_as_predicted(std, what, of):
    circles, q = of("poole2016-fig3"), FIXED[std][0]
    g = q - BIAS_VAR
    moments = [[q, 0, -g], [0, g, 0], [-g, 0, g]]
    theory, measured = circles[f"{std}_{what}_theory"], circles[f"{std}_{what}"]
    assert measured.shape == (20, 12)
    limit, drift, _ = expected("curve", moments, 12, std**2, BIAS_VAR, CURVE[what])
    np.testing.assert_allclose(theory, limit, rtol=1e-5)
    assert_within_first_order(measured, theory, drift, int(circles["width"]))
    if what == "length":
        # The mean of √g loses an eighth of the relative variance of g: in layer l that is l − 1
        # times 3E[φ′⁴]/E[φ′²]² − 1, and 2 of the units that are averaged; and g itself drifts, by
        # what χ₁ of a fluctuating q does.
        fourth, second = (normal_mean(lambda u, k=k: slope_of_tanh(u) ** k, q) for k in (4, 2))
        loss = (3 * fourth / second**2 - 1) / 8
        chi_drift = layer_answers.predicted(std)["chi_1"][1] / FIXED[std][1] / 2
        per_layer = np.diff(drift / limit)[5:]
        # Less the correlation of q with φ′², of the size of the drift of χ₁.
        assert (np.abs(per_layer + loss - chi_drift) < 0.25 * loss + abs(chi_drift)).all()


def test_a_planar_curve_turns_once(of):
    for std in STDS:
        turned = of("poole2016-fig3")[f"{std}_tangent_length"][:, 0]
        np.testing.assert_allclose(turned, 2 * np.pi, rtol=1e-5)


@each_network
def test_polygons_are_as_long_as_their_sides(std, of):
    circles, q = of("poole2016-fig3"), FIXED[std][0]
    around = poole2016_curves.AROUND
    moments = at_angle(q, 2 * np.pi / around)
    limit, drift, _ = expected(
        "pair",
        moments,
        12,
        std**2,
        BIAS_VAR,
        lambda s: around * jnp.sqrt(s[0] + s[2] - 2 * s[1]),
    )
    theory = circles[f"{std}_polygon_theory"]
    np.testing.assert_allclose(theory, limit, rtol=2e-3)
    assert_within_first_order(circles[f"{std}_polygon"], theory, drift, int(circles["width"]))
    # A polygon is shorter than its curve, and the shorter the more this bends.
    short = 1 - theory / circles[f"{std}_length_theory"]
    assert (short > 0).all()
    assert (np.diff(short) > 0).all()


@each_network
def test_harmonics_are_those_of_the_covariance_to_order_1_over_n(std, of):
    circles, q = of("poole2016-fig3"), FIXED[std][0]
    theory, measured = circles[f"{std}_harmonics_theory"], circles[f"{std}_harmonics"]
    # The 1/n term of the covariance at 16 angles between 0 and π, and its Fourier sums.
    angles = np.pi * (np.arange(16) + 0.5) / 16
    drifts = [
        expected("pair", at_angle(q, a), 12, std**2, BIAS_VAR, lambda s: s[1])[1] for a in angles
    ]
    frequency = np.arange(theory.shape[1])
    waves = np.cos(np.outer(frequency, angles)) * np.where(frequency == 0, 1, 2)[:, None] / 16
    drift = (waves @ np.array(drifts)).T
    shift = np.abs(drift) / int(circles["width"])
    assert_within(measured, theory, allowance=shift)
    np.testing.assert_allclose(theory[0], [BIAS_VAR, q - BIAS_VAR, *[0] * 6], atol=5e-6)
    # Chaos hands on from low to high frequencies; order hands on to none at all.
    beyond = 1 - theory.sum(axis=1) / q
    if std == 1.3:
        assert beyond.max() < 1e-3
    else:
        assert (np.diff(beyond) > 0).all()
        assert (np.diff(theory[:, 1]) < 0).all()


@each_network
def test_components_share_what_moves(std, of):
    circles = of("poole2016-fig3")
    shares, theory = circles[f"{std}_shares"], circles[f"{std}_shares_theory"]
    assert shares.shape == (20, 2, 5)
    assert (np.diff(shares, axis=2) <= 0).all()
    assert (shares.sum(axis=2) < 1).all()
    # A sine and a cosine have one variance, and a sample of them has a larger and a smaller.
    np.testing.assert_allclose(theory[:, 0], theory[:, 1])
    np.testing.assert_allclose(theory[:, 2], theory[:, 3])
    assert (errors_off(shares[:, :, 0], theory[:, 0]) > 4).all()
    # The plane that is drawn is that of the first network's first two.
    points = circles[f"{std}_plane"]
    np.testing.assert_allclose(points.mean(axis=1), 0, atol=1e-5)
    squares = np.sum(points**2, axis=1)
    np.testing.assert_allclose(squares[:, 1] / squares[:, 0], shares[0, :, 1] / shares[0, :, 0])
    np.testing.assert_allclose(np.sum(points[..., 0] * points[..., 1], axis=1), 0, atol=1e-4)


def test_chaos_needs_more_components(of):
    circles = of("poole2016-fig3")
    covered = [circles[f"{std}_shares"].sum(axis=2).mean(axis=0) for std in STDS]
    assert (np.diff(covered, axis=0) < -0.05).all()
    deeper = [layers[1] - layers[0] for layers in covered]
    assert max(deeper) < 0


# A boundary.


def test_boundaries_bend_as_predicted_to_order_1_over_n(of):
    boundary, (q, _, _) = of("poole2016-fig4g"), FIXED[4.0]
    width = round(float(boundary["radius"]) ** 2 / q)
    assert width == 200

    def mean(*powers):  # E[tanh^i · (1 − tanh²)^j]
        i, j = powers
        return float(normal_mean(lambda u: np.tanh(u) ** i * slope_of_tanh(u) ** j, q))

    # In the last layer the sum is A/B, A = Σφ″²u² and B = Σφ′²u² over weights u, less the normal
    # direction's part. Its 1/n term: of a ratio, of that part, of f = 0 (u has no part along φ),
    # and of a crossing (u has twice the square along the way). With φ″² = 4φ²φ′².
    a, b = 4 * mean(2, 2), mean(0, 2)
    ratio = 3 * mean(0, 4) / b**2 - 3 * 4 * mean(2, 4) / (a * b)
    normal = -6 * 4 * mean(2, 4) / (a * b)
    zero = (mean(2, 2) / b - 4 * mean(4, 2) / a) / mean(2, 0)
    crossing = 4 * mean(2, 4) / (a * b) - mean(0, 4) / b**2
    drift = ratio + normal + zero + crossing
    theory = boundary["total_theory"]
    np.testing.assert_allclose(theory[-1], a / b, rtol=1e-5)
    assert_within(boundary["total"][:, -1], theory[-1] * (1 + drift / width))
    # Below, sums of many layers: their drifts are no larger than the last one's.
    assert_within(boundary["total"], theory, allowance=np.abs(drift) / width * theory)
    # The nearer to the input, the more it bends, by √χ₁ a layer in the end.
    np.testing.assert_allclose(theory[0] / theory[1], FIXED[4.0][1], rtol=0.001)
    assert (np.diff(boundary["total"].mean(axis=0)[::2]) < 0).all()


def test_the_largest_curvatures_come_in_both_signs(of):
    boundary = of("poole2016-fig4g")
    extremes, count = boundary["extremes"], poole2016_boundary.EXTREMES
    assert extremes.shape == (20, 10, 2 * count)
    assert (np.diff(extremes, axis=2) >= 0).all()
    assert (extremes.mean(axis=0)[:, :count] < 0).all()
    assert (extremes.mean(axis=0)[:, count:] > 0).all()
    # −f has the same zeros: the smallest and the largest have one law but for their signs.
    assert_within(extremes + extremes[..., ::-1], np.zeros(extremes.shape[1:]))
    # Eight of the squares are not more than all of them.
    assert ((extremes**2).sum(axis=2) <= boundary["total"] * (1 + 1e-6)).all()


# What readouts can fit.


def test_targets_are_orthogonal_waves_of_length_1():
    waves = poole2016_readouts.targets().reshape(poole2016_readouts.HALF, -1)
    np.testing.assert_allclose(waves.T @ waves, np.eye(waves.shape[1]), atol=1e-12)


def test_losses_are_shares(of):
    fits = of("poole2016-fig5")
    names = [f"deep_{d}{end}" for d in poole2016_readouts.DEPTHS for end in ("", "_theory")]
    names += [f"shallow_{n}" for n in poole2016_readouts.SHALLOW_WIDTHS]
    for name in names:
        assert fits[name].shape[-1] == len(fits["frequencies"]) == 50
        assert fits[name].min() > 0
        assert fits[name].max() < 1


def test_outputs_have_so_many_dimensions_and_depth_adds_none(of):
    fits, outputs = of("poole2016-fig5"), poole2016_readouts.OUTPUTS
    names = [f"deep_{d}" for d in poole2016_readouts.DEPTHS]
    names += [f"shallow_{n}" for n in poole2016_readouts.SHALLOW_WIDTHS]
    for name in names:
        gained = fits[f"{name}_dimensions"]
        assert (gained < outputs).all()
        # A sine and a cosine of each frequency are a half of the basis.
        assert (2 * np.sum(1 - fits[name], axis=1) < gained).all()
    # Without a ridge all would have sixty; with it the directions of one layer are too weak.
    np.testing.assert_allclose(fits["deep_10_dimensions"], outputs, rtol=1e-4)
    assert (fits["deep_1_dimensions"] < 0.7 * outputs).all()


def test_ten_layers_fit_as_the_limit_of_many_features(of):
    fits = of("poole2016-fig5")
    theory = fits["deep_10_theory"]
    # The limit of many features errs by 1/D of itself.
    assert_within(fits["deep_10"], theory, allowance=theory / poole2016_readouts.OUTPUTS)
    # Sixty features and a small ridge cannot fit more than sixty directions of two hundred.
    assert theory.mean() > 0.3


def test_depth_moves_what_is_fitted_from_low_to_high_frequencies(of):
    fits = of("poole2016-fig5")
    shallow, middle, deep = (fits[f"deep_{depth}"] for depth in poole2016_readouts.DEPTHS)
    low, high = 4, 39  # of 5 and of 40 periods
    for less, more in ((shallow, middle), (middle, deep)):
        assert (errors_off((more - less)[:, [low]], 0) > 4).all()
        assert (errors_off((less - more)[:, [high]], 0) > 4).all()
    changes = [
        np.count_nonzero(np.diff(np.sign(fits[f"output_{depth}"])))
        for depth in poole2016_readouts.DEPTHS
    ]
    # Zeros on the half circle: √(g/q) = √χ₁^L of them, less what the grid does not resolve.
    assert changes[0] < 10 < 20 < changes[2]


def test_width_helps_one_hidden_layer_towards_its_limit(of):
    fits = of("poole2016-fig5")
    middle = slice(14, 25)
    narrow, wide = (fits[f"shallow_{n}"][:, middle] for n in poole2016_readouts.SHALLOW_WIDTHS)
    assert (errors_off(narrow - wide, 0) > 4).all()
    # With 200 units in between, as everything tends to the limit.
    between, limit = fits["deep_1"][:, middle], fits["deep_1_theory"][middle]
    order = [one.mean(axis=0) for one in (narrow, between, wide)] + [limit]
    assert (np.diff(order, axis=0) < 0).all()


def test_data_do_not_depend_on_the_key_where_there_is_theory_alone():
    computed = [poole2016_phases.diagram(jax.random.key(k), "chapter") for k in (1, 2)]
    for name, values in computed[0].items():
        np.testing.assert_array_equal(values, computed[1][name])
