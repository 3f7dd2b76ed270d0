"""Fixed points and phases, against the maps iterated, Brent's method, and the papers' tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from widelimit.activations import Activation, get, leaky_relu, names
from widelimit.theory import fixed_points, gaussian, phases, polar, signal, susceptibility

ALL = [get(name) for name in names()]
TANH, ERF, RELU, SIGN, SIN = (get(name) for name in ("tanh", "erf", "relu", "sign", "sin"))

HARD_TANH = Activation(
    name="hard_tanh",
    fn=lambda x: jnp.clip(x, -1, 1),
    derivative=lambda x: (jnp.sign(x + 1) - jnp.sign(x - 1)) / 2,
    second_derivative=jnp.zeros_like,
    kinks=(-1.0, 1.0),
    slope_jumps=(1.0, -1.0),
)


# ---- The contract: what is found is fixed under the maps of theory.signal, and attracts ----


@pytest.mark.parametrize("phi", ALL, ids=lambda phi: phi.name)
def test_attractors_are_fixed_points_that_attract(phi):
    start = 0.1
    w, b, keep_prob = np.meshgrid([0.02, 0.3, 1.0, 1.9, 4.0], [0.0, 0.06, 0.7], [1.0, 0.8])
    point = phases.phase_diagram(phi, w, b, keep_prob, start)

    # The maps, by the integrals of theory.gaussian, which share no code with theory.polar.
    fixed = (point.fate == phases.CONVERGES) & (point.var < 10)
    assert fixed.any()
    q = np.where(fixed, point.var, 1.0)
    c = np.where(fixed, point.correlation, 0.5)

    def agree(value, expected, bound):
        assert (np.abs(np.asarray(value) - expected) <= bound)[fixed].all()

    agree(signal.length_map(phi, q, w, b, keep_prob), q, 1e-12 * q)
    agree(signal.correlation_map(phi, c, q, w, b, keep_prob), c, 1e-11)
    # Slopes inherit the error of q*, times how fast they vary with it: less than 10 times their
    # size by a factor e of q. With jumps the slope of the correlation map varies faster near c = 1.
    inherited = 1e-11 / (1 - np.where(fixed, point.length_slope, 0))
    size = point.chi_1 + np.abs(point.length_slope)
    agree(signal.length_slope(phi, q, w, keep_prob), point.length_slope, inherited * size)
    if not any(phi.jumps):
        agree(susceptibility.chi_1(phi, q, w), point.chi_1, inherited * point.chi_1)
    slope = susceptibility.covariance_slope(phi, q, q, c * q, w)
    agree(slope, point.correlation_slope, 10 * inherited * (1 + point.correlation_slope))
    # They attract.
    assert (point.length_slope[fixed] < 1).all()
    assert (point.length_slope[fixed] >= -0.5).all()
    assert (point.correlation_slope[fixed] < 1 + 1e-10).all()

    # The fate of lengths, iterated.
    q = np.asarray(signal.lengths(phi, start, 1000, w, b, keep_prob))
    last, before = q[..., -1], q[..., -11]
    for fate, holds in {
        phases.CONVERGES: np.isclose(last, point.var, rtol=1e-8, atol=0),
        phases.VANISHES: last < 1e-3,
        phases.PRESERVED: np.abs(last - start) <= 1e-9,
        phases.GROWS_POLYNOMIALLY: (last > before) & (last < 1e5),
        phases.GROWS_EXPONENTIALLY: last > 1e50,
        phases.GROWS_FASTER: last == np.inf,
    }.items():
        assert holds[point.fate == fate].all(), fate


@pytest.mark.parametrize("name", ["tanh", "erf", "relu", "sign", "step", "sin", "cos", "gelu"])
def test_depth_scales_are_rates_of_approach(name):
    phi = get(name)
    for w, b, keep_prob in ((1.3, 0.2, 1.0), (3.0, 0.2, 1.0), (1.5, 0.1, 0.9)):
        point = phases.phase_diagram(phi, w, b, keep_prob)
        if point.fate != phases.CONVERGES:
            continue
        layers = 14
        q = np.asarray(signal.lengths(phi, 1.05 * point.var, layers, w, b, keep_prob))
        c = np.asarray(
            signal.correlations(
                phi, point.var, point.var, 0.98 * point.correlation, layers, w, b, keep_prob
            )
        )
        for series, limit, xi in ((q, point.var, point.xi_q), (c, point.correlation, point.xi_c)):
            gap = np.abs(series - limit)
            # While the gap is far above rounding; its ratio then differs from the slope by O(gap).
            seen = gap[1:] > 1e-9
            if seen.sum() < 2:
                continue
            ratio = (gap[1:] / gap[:-1])[seen]
            assert (np.abs(ratio - np.exp(-1 / xi)) <= 8 * np.sqrt(gap[:-1][seen])).all()


# ---- Reference values ----


def test_table_of_poole():
    sigma_w = np.array([1.3, 2.5, 4.0])
    point = phases.phase_diagram(TANH, sigma_w**2, 0.3**2)
    np.testing.assert_allclose(point.var, [0.60705, 4.07912, 12.60415], atol=5e-6)
    np.testing.assert_allclose(point.chi_1, [0.93981, 1.58522, 2.36726], atol=5e-6)
    chi_2 = susceptibility.chi_2(TANH, point.var, sigma_w**2)
    np.testing.assert_allclose(chi_2, [0.54347, 1.19604, 1.85718], atol=5e-6)
    np.testing.assert_allclose(point.correlation, [1, 0.1221, 0.0297], atol=5e-5)
    np.testing.assert_allclose(point.xi_q, [1.338, 0.688, 0.490], atol=5e-4)
    np.testing.assert_allclose(point.xi_c, [16.11, 5.109, 3.639], atol=5e-3)
    assert point.phase.tolist() == [phases.ORDERED, phases.CHAOTIC, phases.CHAOTIC]


def test_table_of_schoenholz():
    w = np.array([1.0, 1.3, 1.5, 1.7, 2.0, 2.5, 4.0])
    point = phases.phase_diagram(TANH, w, 0.05)
    chi_1 = [0.759, 0.880, 0.939, 0.987, 1.048, 1.134, 1.342]
    np.testing.assert_allclose(point.chi_1, chi_1, atol=5e-4)
    np.testing.assert_allclose(point.correlation, [1, 1, 1, 1, 0.744, 0.447, 0.165], atol=5e-4)
    np.testing.assert_allclose(point.xi_q, [1.75, 1.79, 1.68, 1.56, 1.39, 1.18, 0.87], atol=6e-3)
    xi_c = [3.63, 7.83, 15.79, 74.9, 25.21, 11.80, 6.98]
    np.testing.assert_allclose(point.xi_c, xi_c, rtol=1e-3)
    # Ordered: ξ_c = ξ_∇. Chaotic: two different slopes.
    np.testing.assert_array_equal(point.xi_c[:4], point.xi_grad[:4])
    np.testing.assert_allclose(point.xi_grad[4], -21.5, atol=0.05)


def test_critical_line_of_tanh():
    bias_var = np.array([0.0, 0.001, 0.01, 0.05, 0.1, 0.2])
    expected = [1, 1.18919, 1.42421, 1.76095, 1.98607, 2.28515]
    weight_var = phases.critical_weight_var(TANH, bias_var)
    np.testing.assert_allclose(weight_var, expected, atol=5e-6)
    # The isometry papers quote q* = 0.0259 for (1.05, 2.01e-5), and 0.8214 for (2, 0.104).
    line = phases.critical_line(TANH, np.array([0.025921, 0.821354]))
    np.testing.assert_allclose(line.weight_var, [1.05, 2], atol=1e-6)
    np.testing.assert_allclose(line.bias_var, [2.0105e-5, 0.10378], rtol=1e-4)


# ---- Accuracy ----


def reference(phi, w, b):
    """q* and c* by Brent's method on the integrals of theory.gaussian."""

    def length(q):
        return float(signal.length_map(phi, q, w, b)) - q

    q = brentq(length, 1e-6, 200, xtol=1e-15, rtol=1e-14)

    def correlation(c):  # the chord, so that the root at c = 1 is divided out
        return (1 - float(signal.correlation_map(phi, c, q, w, b))) / (1 - c) - 1

    return q, brentq(correlation, 0, 1 - 1e-4, xtol=1e-15, rtol=1e-14)


@pytest.mark.parametrize(
    ("phi", "w", "b", "error"),
    [
        (TANH, 1.8, 0.05, 1e-10),
        (TANH, 6.25, 0.09, 1e-11),
        (TANH, 16.0, 9.0, 1e-11),
        (TANH, 25.0, 16.0, 1e-10),
        (TANH, 80.0, 20.0, 1e-8),
        (ERF, 12.0, 6.0, 1e-11),
        (SIN, 5.0, 0.1, 1e-10),
        (SIGN, 2.0, 0.3, 1e-11),
        (HARD_TANH, 2.5, 0.05, 1e-6),
    ],
    ids=lambda x: getattr(x, "name", None),
)
def test_chaotic_fixed_points_are_brents(phi, w, b, error):
    q, c = reference(phi, w, b)
    point = phases.phase_diagram(phi, w, b)
    assert point.phase == phases.CHAOTIC
    np.testing.assert_allclose(point.var, q, rtol=1e-11)
    np.testing.assert_allclose(point.correlation, c, rtol=0, atol=error)


@pytest.mark.parametrize("phi", [TANH, ERF, HARD_TANH], ids=lambda phi: phi.name)
def test_chord_is_the_difference_quotient_of_the_dual(phi):
    profile = polar.profile(phi)
    var, angle = (x.ravel() for x in np.meshgrid([1e-6, 0.3, 3.0, 20.0, 100.0], [0.3, 0.9, 1.5]))

    def one(var, angle):
        return polar.chord(profile, polar.chord_coefficients(profile, var), angle)

    chord = jax.jit(jax.vmap(one))(jnp.asarray(var), jnp.asarray(angle))
    c = np.cos(angle)
    dual = np.asarray(gaussian.product(phi, phi, var, var, var * c))
    expected = (np.asarray(signal.mean_square(phi, var)) - dual) / (var * (1 - c))
    stated = np.where(var <= 20, 1e-11, 1e-8) if not phi.kinks else 1e-6
    assert (np.abs(np.asarray(chord) / expected - 1) <= stated).all()


def test_one_dimensional_integrals_at_every_scale():
    profile = polar.profile(TANH)
    for var in (1e-14, 1e-5, 1.0, 1e3, 1e8):
        q = jnp.asarray(var)
        np.testing.assert_allclose(
            [polar.second_moment(profile, q), polar.slope_second_moment(profile, q)],
            [signal.mean_square(TANH, q), signal.mean_square(TANH, q, 1)],
            rtol=1e-12,
        )
        slope = polar.second_moment_slope(profile, q)
        np.testing.assert_allclose(slope, signal.length_slope(TANH, q, 1.0), rtol=1e-9, atol=1e-16)


def test_a_grid_is_its_points():
    w, b = np.linspace(0.8, 4, 5)[:, None], np.linspace(0, 0.4, 4)[None]
    grid = phases.phase_diagram(TANH, w, b)
    assert grid.var.shape == grid.phase.shape == grid.xi_c.shape == (5, 4)
    one = phases.phase_diagram(TANH, w[3, 0], b[0, 2])
    assert one.var.shape == ()
    for field in ("var", "chi_1", "correlation", "correlation_slope", "length_slope"):
        np.testing.assert_allclose(getattr(one, field), getattr(grid, field)[3, 2], rtol=1e-13)
    assert one.phase == grid.phase[3, 2]
    assert phases.phase_diagram(TANH, np.zeros((0, 2)), 0.1).var.shape == (0, 2)


def test_correlation_near_criticality_at_its_rate():
    # 1 − c* = 2·(χ₁ − 1)/(q*·χ₂) + O((χ₁ − 1)²), and ξ_c = −ξ_∇ to leading order.
    critical = float(phases.critical_weight_var(TANH, 0.05))
    above = critical + np.array([1e-2, 1e-3, 1e-4, 1e-5, 1e-6])
    point = phases.phase_diagram(TANH, above, 0.05)
    leading = (
        2
        * (point.chi_1 - 1)
        / (point.var * np.asarray(susceptibility.chi_2(TANH, point.var, above)))
    )
    off = np.abs((1 - point.correlation) / leading - 1)
    slope = np.polyfit(np.log(above[:3] - critical), np.log(off[:3]), 1)[0]
    assert abs(slope - 1) < 0.05
    assert (off < 2 * (above - critical) + 1e-9 / (above - critical) ** 0.5).all()
    np.testing.assert_allclose(point.xi_c[-1], -point.xi_grad[-1], rtol=1e-5)


# ---- Names ----

CASES = [  # activation, σ_w², σ_b², start, fate, phase, q*, c*
    (RELU, 1.5, 0.1, 1.0, phases.CONVERGES, phases.ORDERED, 0.4, 1),
    (RELU, 1.5, 0.0, 1.0, phases.VANISHES, phases.ORDERED, 0, 1),
    (RELU, 2.0, 0.0, 0.7, phases.PRESERVED, phases.CRITICAL, 0.7, 1),
    (RELU, 2.0, 0.1, 1.0, phases.GROWS_POLYNOMIALLY, phases.DIVERGING, np.inf, 1),
    (RELU, 2.5, 0.0, 1.0, phases.GROWS_EXPONENTIALLY, phases.DIVERGING, np.inf, 1),
    (get("linear"), 1.0, 0.0, 3.0, phases.PRESERVED, phases.CRITICAL, 3, 1),
    (get("linear"), 1.0, 0.2, 3.0, phases.GROWS_POLYNOMIALLY, phases.DIVERGING, np.inf, 1),
    (leaky_relu(0.5), 1.6, 0.0, 2.0, phases.PRESERVED, phases.CRITICAL, 2, 1),
    (TANH, 0.9, 0.0, 1.0, phases.VANISHES, phases.ORDERED, 0, 1),
    (TANH, 1.0, 0.0, 1.0, phases.VANISHES, phases.CRITICAL, 0, 1),
    (TANH, 0.0, 0.3, 1.0, phases.CONVERGES, phases.ORDERED, 0.3, 1),
    (get("silu"), 3.0, 0.0, 0.1, phases.VANISHES, phases.ORDERED, 0, 1),
    (get("silu"), 3.0, 0.0, 100.0, phases.GROWS_EXPONENTIALLY, phases.DIVERGING, np.inf, np.nan),
    (get("gelu"), 2.0, 1.0, 1.0, phases.GROWS_POLYNOMIALLY, phases.DIVERGING, np.inf, np.nan),
    (SIGN, 2.0, 0.0, 1.0, phases.CONVERGES, phases.CHAOTIC, 2, 0),
    (get("step"), 2.0, 0.5, 1.0, phases.CONVERGES, phases.CHAOTIC, 1.5, None),
    (get("exp"), 0.5, 0.1, 1.0, phases.GROWS_FASTER, phases.DIVERGING, np.inf, np.nan),
    # x²: 3σ_w²q² + σ_b², and on the way to 0 or ∞ the map (1 + 2c²)/3, with c* = ½.
    (get("monomial2"), 1.0, 0.0, 0.3, phases.VANISHES, phases.ORDERED, 0, 0.5),
    (get("monomial2"), 1.0, 0.0, 0.4, phases.GROWS_FASTER, phases.DIVERGING, np.inf, 0.5),
    (get("monomial3"), 1.0, 0.0, 1.0, phases.GROWS_FASTER, phases.DIVERGING, np.inf, 0),
    # he₃: q³ + 3q(q − 1)²/2 has the fixed points 0, 1/5 and 1 at σ_w² = 1, and the middle attracts.
    (get("hermite3"), 1.0, 0.0, 0.3, phases.CONVERGES, phases.CHAOTIC, 0.2, None),
]


@pytest.mark.parametrize(
    ("phi", "w", "b", "start", "fate", "phase", "var", "correlation"),
    CASES,
    ids=[f"{case[0].name}-{case[1]}-{case[2]}-{case[3]}" for case in CASES],
)
def test_every_outcome_has_its_name(phi, w, b, start, fate, phase, var, correlation):
    point = phases.phase_diagram(phi, w, b, start=start)
    assert point.fate == fate
    assert point.phase == phase
    np.testing.assert_allclose(point.var, var, rtol=1e-12)
    if correlation is not None:
        np.testing.assert_allclose(point.correlation, correlation, rtol=0, atol=1e-11)


def test_depth_scales_at_the_edges():
    growing = phases.phase_diagram(RELU, 3.0, 0.2)
    np.testing.assert_allclose(growing.xi_q, -1 / np.log(1.5), rtol=1e-12)  # q^l ~ 1.5^l
    assert growing.xi_c == np.inf  # c^l → 1 as a power of l
    linear = phases.phase_diagram(RELU, 2.0, 0.2)
    assert linear.xi_q == np.inf
    assert linear.xi_grad == np.inf
    vanishing = phases.phase_diagram(TANH, 0.9, 0.0)
    assert vanishing.xi_c == np.inf  # every correlation is kept in the end
    np.testing.assert_allclose(vanishing.xi_q, -1 / np.log(0.9), rtol=1e-9)
    sign = phases.phase_diagram(SIGN, 2.0, 0.0)
    assert sign.xi_q == 0
    assert sign.xi_grad == 0
    np.testing.assert_allclose(sign.xi_c, -1 / np.log(2 / np.pi), rtol=1e-10)


def test_relu_is_exact():
    w, b = np.array([[0.5, 1.0, 1.9]]), np.array([[0.1], [2.0]])
    point = phases.phase_diagram(RELU, w, b)
    np.testing.assert_allclose(point.var, b / (1 - w / 2), rtol=1e-13 / (1 - 0.95))
    for slope in (point.length_slope, point.chi_1, point.correlation_slope):
        np.testing.assert_allclose(slope, np.broadcast_to(w / 2, slope.shape), rtol=1e-13)
    assert (point.correlation == 1).all()


# ---- All fixed points of the length map ----


@pytest.mark.parametrize(
    ("name", "w", "b", "roots", "growth"),
    [
        ("tanh", 0.9, 0.0, [0], 0),
        ("tanh", 2.0, 0.0, [0, None], 0),
        ("relu", 1.0, 0.0, [0], 0.5),
        ("relu", 1.0, 0.3, [0.6], 0.5),
        ("relu", 3.0, 0.0, [0], 1.5),
        ("relu", 3.0, 0.3, [], 1.5),
        ("silu", 3.0, 0.0, [0, None], 1.5),
        ("gelu", 3.0, 0.01, [None, None], 1.5),
        ("gelu", 3.0, 1.0, [], 1.5),
        ("exp", 0.05, 0.05, [None, None], np.inf),
        ("exp", 0.5, 0.5, [], np.inf),
        ("sign", 2.0, 0.0, [2], 0),
        ("monomial2", 1.0, 0.0, [0, 1 / 3], np.inf),
        ("monomial2", 1.0, 1 / 48, [1 / 6 - np.sqrt(1 / 48), 1 / 6 + np.sqrt(1 / 48)], np.inf),
        ("hermite3", 1.0, 0.0, [0, 0.2, 1], np.inf),
        # 0.3q³ + 0.7 = q, or (q − 1)·(0.3q² + 0.3q − 0.7) = 0: two that are close
        ("monomial3", 0.02, 0.7, [1, (np.sqrt(0.93) - 0.3) / 0.6], np.inf),
        ("cos", 3.0, 0.0, [None], 0),
    ],
)
def test_all_fixed_points_of_the_length_map(name, w, b, roots, growth):
    phi = get(name)
    points = fixed_points.length_fixed_points(phi, w, b)
    assert not points.every_length
    assert len(points.var) == len(roots)
    for var, root in zip(points.var, roots, strict=True):
        if root is not None:
            np.testing.assert_allclose(var, root, rtol=1e-11)  # 1e-12/(1 − V′), V′ = 0.9
    np.testing.assert_allclose(signal.length_map(phi, points.var, w, b), points.var, atol=1e-12)
    slopes = signal.length_slope(phi, points.var, w)
    np.testing.assert_allclose(slopes, points.slope, rtol=1e-8, atol=1e-12)
    # One after the other they attract and repel, as a continuous map must have it.
    assert (np.diff(np.sign(1 - points.slope)) != 0).all()
    np.testing.assert_allclose(points.growth, growth, atol=2e-7)


def test_every_length_is_fixed():
    points = fixed_points.length_fixed_points(RELU, 1.6, 0.0, 0.8)
    assert points.every_length
    assert points.var.size == 0
    np.testing.assert_allclose(points.growth, 1, rtol=1e-13)


def test_start_chooses_between_attractors():
    # SiLU at σ_w² = 3 vanishes below the fixed point that repels, and diverges above it.
    phi = get("silu")
    _, repels = fixed_points.length_fixed_points(phi, 3.0, 0.0).var
    below, above = (
        phases.phase_diagram(phi, 3.0, 0.0, start=s * float(repels)).fate for s in (0.999, 1.001)
    )
    assert (below, above) == (phases.VANISHES, phases.GROWS_EXPONENTIALLY)


# ---- The critical line ----


def test_critical_line_of_erf_is_closed():
    q = np.array([1e-3, 0.1, 1.0, 10.0])
    line = phases.critical_line(ERF, q)
    weight_var = np.pi / 4 * np.sqrt(1 + 4 * q)
    np.testing.assert_allclose(line.weight_var, weight_var, rtol=1e-13)
    bias_var = q - weight_var * 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q))
    np.testing.assert_allclose(line.bias_var, bias_var, rtol=1e-9)
    assert (np.asarray(line.length_slope) < 1).all()


@pytest.mark.parametrize(
    ("phi", "keep_prob"),
    [(TANH, 1.0), (TANH, 0.9), (ERF, 1.0), (SIN, 0.8)],
    ids=lambda x: getattr(x, "name", x),
)
def test_critical_line_both_ways(phi, keep_prob):
    q = np.array([0.05, 0.3, 1.0, 3.0])
    line = phases.critical_line(phi, q, keep_prob)
    weight_var = phases.critical_weight_var(phi, line.bias_var, keep_prob)
    np.testing.assert_allclose(weight_var, line.weight_var, rtol=1e-10)
    point = phases.phase_diagram(phi, line.weight_var, line.bias_var, keep_prob)
    np.testing.assert_allclose(point.var, q, rtol=1e-10)
    assert (point.phase == phases.CRITICAL).all()
    assert (point.xi_grad == np.inf).all()
    for shift, phase in ((0.999, phases.ORDERED), (1.001, phases.CHAOTIC)):
        beside = phases.phase_diagram(phi, shift * weight_var, line.bias_var, keep_prob)
        assert (beside.phase == phase).all()


def test_critical_set_of_relu_is_a_point():
    line = phases.critical_line(RELU, np.array([0.1, 1.0, 30.0]))
    np.testing.assert_allclose(line.weight_var, 2, rtol=1e-13)
    np.testing.assert_allclose(line.bias_var, 0, atol=1e-13)
    np.testing.assert_allclose(phases.critical_weight_var(RELU, 0.0), 2, rtol=1e-13)
    np.testing.assert_allclose(phases.critical_weight_var(RELU, 0.0, 0.8), 1.6, rtol=1e-13)


@pytest.mark.parametrize(
    ("name", "bias_var"),
    [("relu", 0.05), ("sign", 0.1), ("gelu", 0.1), ("silu", 0.1), ("linear", 1.0)],
)
def test_no_critical_weight_var(name, bias_var):
    message = rf"{name} has no critical weight_var at bias_var={bias_var}"
    with pytest.raises(ValueError, match=message):
        phases.critical_weight_var(get(name), np.array([bias_var, bias_var]))


def test_critical_fixed_points_of_gelu_repel_while_they_are_small():
    line = phases.critical_line(get("gelu"), np.array([0.1, 0.5, 2.0, 20.0, 100.0]))
    assert (np.asarray(line.length_slope) > 1).tolist() == [True, True, True, False, False]
    # Where they attract the line is found from its biases, too.
    weight_var = phases.critical_weight_var(get("gelu"), line.bias_var[3:])
    np.testing.assert_allclose(weight_var, line.weight_var[3:], rtol=1e-10)


# ---- Dropout ----


def test_dropout_removes_the_transition_of_correlations():
    critical = float(phases.critical_weight_var(TANH, 0.05))
    keep_prob = np.array([1, 0.999, 0.99, 0.9, 0.5])
    # At fixed σ_w²/ρ lengths and gradients do not notice.
    point = phases.phase_diagram(TANH, critical * keep_prob, 0.05, keep_prob)
    for field in (point.var, point.length_slope, point.chi_1 / keep_prob):
        np.testing.assert_allclose(field, field[0], rtol=1e-12)
    assert (point.phase == phases.CRITICAL).all()
    # Correlations do: c* < 1, and ξ_c is finite.
    assert (np.diff(point.correlation) < 0).all()
    assert point.xi_c[0] == np.inf
    assert np.isfinite(point.xi_c[1:]).all()
    assert (np.diff(point.xi_c[1:]) < 0).all()


@pytest.mark.parametrize(
    ("phi", "w"),
    [(RELU, 1.2), (RELU, 3.0), (get("abs"), 2.0), (TANH, 0.5)],
    ids=lambda x: getattr(x, "name", x),
)
def test_dropout_while_lengths_vanish_or_diverge(phi, w):
    point = phases.phase_diagram(phi, w, 0.0, 0.8)
    assert point.fate in (phases.VANISHES, phases.GROWS_EXPONENTIALLY)
    # No bias, so the correlation map is the same at every length, or soon is; slopes are below 0.8.
    c = np.asarray(signal.correlations(phi, 1.0, 1.0, 0.6, 150, w, 0.0, 0.8))
    np.testing.assert_allclose(point.correlation, c[-1], rtol=0, atol=1e-11)
    rate = (c[20] - c[-1]) / (c[19] - c[-1])
    np.testing.assert_allclose(point.correlation_slope, rate, rtol=1e-2)


def test_weak_dropout_opens_a_gap_as_a_root():
    # At criticality C(c) ≈ c + ½qχ₂(1 − c)² − (1 − ρ)·σ_w²·E[φ²]/(ρq): 1 − c* ~ (1 − ρ)^(1/2).
    critical = float(phases.critical_weight_var(TANH, 0.05))
    dropped = np.array([1e-3, 1e-4, 1e-5, 1e-6, 1e-7])
    point = phases.phase_diagram(TANH, critical * (1 - dropped), 0.05, 1 - dropped)
    gap = 1 - point.correlation
    noise = critical * dropped * np.asarray(signal.mean_square(TANH, point.var)) / point.var
    chi_2 = np.asarray(susceptibility.chi_2(TANH, point.var, critical))
    np.testing.assert_allclose(gap[-1], np.sqrt(2 * noise / (point.var * chi_2))[-1], rtol=2e-3)
    slope = np.polyfit(np.log(dropped[2:]), np.log(gap[2:]), 1)[0]
    assert abs(slope - 0.5) < 0.005


# ---- What is refused ----


def test_other_activations_are_refused():
    ramp = Activation(
        name="ramp",
        fn=lambda x: jnp.heaviside(x - 1, 0.5),
        derivative=jnp.zeros_like,
        kinks=(1.0,),
        jumps=(1.0,),
    )
    with pytest.raises(ValueError, match=r"ramp jumps at 1\.0, and only jumps at 0"):
        phases.phase_diagram(ramp, 1.0, 0.0)
    root = Activation("root", jnp.sqrt, lambda x: 0.5 / jnp.sqrt(x))
    with pytest.raises(ValueError, match="root is NaN at"):
        phases.phase_diagram(root, 1.0, 0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 0.0), "weight_var contains -1"),
        ((1.0, np.array([0.0, np.inf])), "bias_var contains inf"),
        ((1.0, 0.0, 0.0), "keep_prob contains 0"),
        ((1.0, 0.0, 1.0, 0.0), r"start=0\.0 must lie between"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        phases.phase_diagram(TANH, *arguments)


def test_single_precision_is_refused():
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(ValueError, match="jax_enable_x64 is off"):
            phases.phase_diagram(TANH, 1.0, 0.1)
    finally:
        jax.config.update("jax_enable_x64", True)
