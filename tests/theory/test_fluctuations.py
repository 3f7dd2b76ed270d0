"""Fluctuations of order 1/n, against closed forms, Price's theorem, sampling and themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit.activations import get
from widelimit.theory import fluctuations, gaussian, phases, signal, susceptibility

TANH, GELU, SIN, LINEAR, RELU = (get(name) for name in ("tanh", "gelu", "sin", "linear", "relu"))
#: Smooth, and growing no faster than u²: of higher powers much lies beyond 8 standard deviations.
SLOW = [TANH, GELU, SIN, LINEAR, *map(get, ("erf", "silu", "cos", "monomial2", "hermite2"))]
#: σ_w = 2.5 and σ_b = 0.3: the chaotic network in which the conditional recursion is sampled.
WEIGHT_VAR, BIAS_VAR = 6.25, 0.09
#: What the docstring promises.
ACCURACY = 1e-8


@pytest.mark.parametrize("c", [-0.6, 0.0, 0.35])
def test_linear_layers_in_closed_form(c):
    # F is linear, so J = σ_w²·1, nothing shifts, and Σ = N/(1 − σ_w⁴) with Isserlis' moments.
    w, q = 0.7, 1.9
    found = fluctuations.at_fixed_point(LINEAR, q, c, w)
    moments = q**2 * np.array(
        [[2, 2 * c**2, 2 * c], [2 * c**2, 2, 2 * c], [2 * c, 2 * c, 1 + c**2]]
    )
    np.testing.assert_allclose(found.state, [q, q, c * q], rtol=1e-15)
    np.testing.assert_allclose(
        found.covariance, w**2 * moments / (1 - w**2), rtol=1e-11, atol=1e-11
    )
    np.testing.assert_allclose(found.shift, 0, atol=1e-11)


def by_price(phi, q, c):
    """Σ, m and σ_w² where a layer multiplies deviations by 0.8, by Price's theorem.

    ∂/∂q₁ is half of two derivatives in u, and ∂/∂cov is one in u and one in v, so what is needed is
    M_jk = E[φ^(j)(u)·φ^(k)(v)]: sums over a grid of u and v with the density of the pair. They are
    exact to rounding, as the grid is fine for all scales: 1/20 to 1.
    """
    u = np.arange(-9 * np.sqrt(q), 9 * np.sqrt(q), 0.05)
    squares = u[:, None] ** 2 + u[None, :] ** 2 - 2 * c * np.outer(u, u)
    density = np.exp(-squares / (2 * q * (1 - c**2)))
    density /= density.sum()
    alone = np.exp(-(u**2) / (2 * q))
    alone /= alone.sum()

    fns = [phi.fn, phi.derivative, phi.second_derivative]
    for _ in range(2):
        fns.append(gaussian.slope_of(fns[-1]))
    f = np.stack([np.asarray(fn(jnp.asarray(u))) for fn in fns])
    both = f @ density @ f.T

    slope, curvature = np.zeros((3, 3)), np.zeros((3, 3, 3))
    slope[0, 0] = slope[1, 1] = (f[1] ** 2 + f[0] * f[2]) @ alone
    slope[2] = both[2, 0] / 2, both[0, 2] / 2, both[1, 1]
    length = (2 * f[0] * f[4] + 8 * f[1] * f[3] + 6 * f[2] ** 2) @ alone / 4
    curvature[0, 0, 0] = curvature[1, 1, 1] = length
    curvature[2] = [
        [both[4, 0] / 4, both[2, 2] / 4, both[3, 1] / 2],
        [both[2, 2] / 4, both[0, 4] / 4, both[1, 3] / 2],
        [both[3, 1] / 2, both[1, 3] / 2, both[2, 2]],
    ]
    square = f[0] ** 2
    means = np.array([square @ alone, square @ alone, both[0, 0]])
    fourth, even, odd = square**2 @ alone, square @ density @ square, f[0] ** 3 @ density @ f[0]
    noise = np.array([[fourth, even, odd], [even, fourth, odd], [odd, odd, even]])
    noise -= np.outer(means, means)

    weight_var = 0.8 / max(abs(slope[0, 0]), abs(slope[2, 2]))
    slope, curvature, noise = weight_var * slope, weight_var * curvature, weight_var**2 * noise
    # Layer by layer, not by solving: what any start settles to, here to 0.8^200.
    covariance, shift = np.zeros((3, 3)), np.zeros(3)
    for _ in range(200):
        shift = slope @ shift + np.einsum("ijk,jk->i", curvature, covariance) / 2
        covariance = slope @ covariance @ slope.T + noise
    return covariance, shift, weight_var


@pytest.mark.parametrize(("phi", "c"), [*((phi, 0.4) for phi in SLOW), (GELU, -0.5)])
def test_is_what_prices_theorem_and_layer_by_layer_iteration_give(phi, c):
    covariance, shift, weight_var = by_price(phi, 1.3, c)
    found = fluctuations.at_fixed_point(phi, 1.3, c, weight_var)
    # Where terms cancel an entry is small next to the largest.
    size = np.sqrt(np.diagonal(covariance))
    tolerance = ACCURACY * np.outer(size, size)
    np.testing.assert_array_less(np.abs(found.covariance - covariance), tolerance)
    scale = max(np.abs(shift).max(), 0.01 * size.max())
    np.testing.assert_array_less(np.abs(found.shift - shift), ACCURACY * scale)


@pytest.mark.parametrize("q", [0.02, 1.0, 50.0])
def test_one_signal_alone(q):
    # Σ₁₁ = σ_w⁴·Var φ²/(1 − V′²), and m₁ = ½·V″·Σ₁₁/(1 − V′).
    length_slope = float(signal.length_slope(TANH, q, 1.0))
    slope = float(susceptibility.covariance_slope(TANH, q, q, 0.0, 1.0))
    w = 0.8 / max(length_slope, slope)
    square, fourth = (float(gaussian.expectation(lambda u, k=k: TANH(u) ** k, q)) for k in (2, 4))
    along = w * length_slope
    variance = w**2 * (fourth - square**2) / (1 - along**2)
    # Two differences, extrapolated: the error is (h/q)⁴ = 1e-8 of V″, times a number of order 1.
    steps = 0.01 * q * np.array([2, 1, -1, -2])
    ends = np.asarray(signal.length_slope(TANH, q + steps, w))
    second = (8 * (ends[1] - ends[2]) - (ends[0] - ends[3])) / (12 * 0.01 * q)
    shift = second * variance / 2 / (1 - along)
    found = fluctuations.at_fixed_point(TANH, q, 0.0, w)
    for one in range(2):
        np.testing.assert_allclose(found.covariance[one, one], variance, rtol=ACCURACY)
        np.testing.assert_allclose(found.shift[one], shift, rtol=2e-7)
    # Independent inputs of an odd φ: neither length knows of the other, nor of their product.
    off = [found.covariance[i, j] for i, j in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(off, 0, atol=ACCURACY * variance)


def test_the_two_inputs_can_be_exchanged():
    # They are made differently: v from u and one more number.
    found = fluctuations.at_fixed_point(GELU, 1.4, 0.45, 1.0)
    swap = [1, 0, 2]
    np.testing.assert_allclose(
        found.covariance, found.covariance[np.ix_(swap, swap)], rtol=ACCURACY
    )
    np.testing.assert_allclose(found.shift, found.shift[swap], rtol=ACCURACY)


def test_an_odd_activation_takes_the_sign_of_one_input_through():
    # −x₂ in place of x₂ turns P around and nothing else.
    here, there = (fluctuations.at_fixed_point(TANH, 1.4, c, 2.0) for c in (0.45, -0.45))
    signs = np.array([1, 1, -1])
    np.testing.assert_allclose(
        there.covariance, here.covariance * np.outer(signs, signs), rtol=ACCURACY
    )
    np.testing.assert_allclose(there.shift, here.shift * signs, rtol=ACCURACY)


def test_the_mean_of_the_maps_is_the_mean_of_the_state():
    # E[F(s)] = E[s]: what a layer makes of the mean, curvature included, is the mean again.
    # Differences over 1% leave 1e-4 times a ratio of derivatives, here of order 10.
    point = phases.phase_diagram(TANH, WEIGHT_VAR, BIAS_VAR)
    found = fluctuations.at_fixed_point(
        TANH, float(point.var), float(point.correlation), WEIGHT_VAR
    )
    maps = (
        lambda q1, q2, p: signal.length_map(TANH, q1, WEIGHT_VAR, BIAS_VAR),
        lambda q1, q2, p: signal.length_map(TANH, q2, WEIGHT_VAR, BIAS_VAR),
        lambda q1, q2, p: signal.covariance_map(TANH, q1, q2, p, WEIGHT_VAR, BIAS_VAR),
    )
    for fn, value, shift in zip(maps, found.state, found.shift, strict=True):
        limit, drift = found.mean(fn)
        np.testing.assert_allclose(limit, value, rtol=1e-9)
        np.testing.assert_allclose(drift, shift, rtol=1e-3)


def test_mean_is_exact_for_quadratic_functions():
    # Differences of a quadratic function are its derivatives; rounding grows by 1/0.01².
    found = fluctuations.at_fixed_point(TANH, 1.3, 0.4, 2.0)
    generator = np.random.default_rng(4)
    matrix, vector = generator.standard_normal((3, 3)), generator.standard_normal(3)

    def fn(*state):
        s = np.stack(state)
        return np.einsum("ij,ip,jp->p", matrix, s, s) + vector @ s + 0.7

    limit, drift = found.mean(fn)
    s, both = found.state, matrix + matrix.T
    np.testing.assert_allclose(limit, s @ matrix @ s + vector @ s + 0.7, rtol=1e-13)
    exact = (both @ s + vector) @ found.shift + np.sum(matrix * found.covariance)
    np.testing.assert_allclose(drift, exact, rtol=1e-9)


def test_mean_takes_the_second_derivative_where_there_is_no_slope():
    # E[(P − P*)²] = Σ₃₃/n and E[(Q₁ − q)(Q₂ − q)] = Σ₁₂/n: no derivative in P or Q alone.
    found = fluctuations.at_fixed_point(TANH, 1.3, 0.4, 2.0)
    q, _, cov = found.state
    for fn, expected in (
        (lambda q1, q2, p: (p - cov) ** 2, found.covariance[2, 2]),
        (lambda q1, q2, p: (q1 - q) * (q2 - q), found.covariance[0, 1]),
        (lambda q1, q2, p: (q1 - q) * (p - cov), found.covariance[0, 2]),
    ):
        limit, drift = found.mean(fn)
        assert limit == 0
        np.testing.assert_allclose(drift, expected, rtol=1e-9)


#: Narrow and twice as wide. Layers until the start, the fixed point, is forgotten: slopes are 0.82
#: and less, and 0.82^40 = 4e-4. Then layers over which is averaged.
WIDTHS, FORGET, LAYERS, GROUPS, NETWORKS = (40, 80), 40, 160, 20, 700


@pytest.fixture(scope="module")
def sampled():
    """n·Cov(s) and n·(E[s] − s*) of the conditional recursion, by width and group of networks."""
    point = phases.phase_diagram(TANH, WEIGHT_VAR, BIAS_VAR)
    q, c = float(point.var), float(point.correlation)
    fixed = np.array([[q], [q], [c * q]])
    generator, found = np.random.default_rng(20), {}

    def layer(state, width):
        q1, q2, cov = state
        first, other = generator.standard_normal((2, width, state.shape[1]), np.float32)
        along, across = cov / np.sqrt(q1), np.sqrt(q2 - cov**2 / q1)
        a = np.tanh(np.float32(np.sqrt(q1)) * first)
        b = np.tanh(np.float32(along) * first + np.float32(across) * other)
        means = [np.mean(one, axis=0, dtype=float) for one in (a * a, b * b, a * b)]
        return WEIGHT_VAR * np.stack(means) + BIAS_VAR

    for width in WIDTHS:
        covariances, shifts = [], []
        for _ in range(GROUPS):
            state, first, second = np.tile(fixed, NETWORKS), 0, 0
            for step in range(FORGET + LAYERS):
                state = layer(state, width)
                if step >= FORGET:
                    off = state - fixed
                    first = first + off.mean(axis=1) / LAYERS
                    second = second + off @ off.T / NETWORKS / LAYERS
            covariances.append(width * (second - np.outer(first, first)))
            shifts.append(width * first)
        found[width] = np.stack(covariances), np.stack(shifts)
    return fluctuations.at_fixed_point(TANH, q, c, WEIGHT_VAR), found


def extrapolated(narrow, wide):
    """Mean and standard error of what is left of x + a/n at two widths when a is taken out."""
    groups = 2 * wide - narrow
    return groups.mean(axis=0), groups.std(axis=0, ddof=1) / np.sqrt(GROUPS)


def test_the_covariance_is_sampled(sampled):
    exact, found = sampled
    mean, error = extrapolated(*(found[width][0] for width in WIDTHS))
    np.testing.assert_array_less(np.abs(mean - exact.covariance), 5 * error)
    size = np.sqrt(np.diagonal(exact.covariance))
    np.testing.assert_array_less(5 * error, 0.15 * np.outer(size, size))


def test_the_shift_is_sampled(sampled):
    exact, found = sampled
    mean, error = extrapolated(*(found[width][1] for width in WIDTHS))
    np.testing.assert_array_less(np.abs(mean - exact.shift), 5 * error)
    # Sharp enough to tell it from none, and from twice as much.
    np.testing.assert_array_less(5 * error, np.abs(exact.shift))


# Layer by layer, and dropout.


def test_deep_layers_come_to_the_fixed_point():
    point = phases.phase_diagram(TANH, WEIGHT_VAR, BIAS_VAR)
    q, c = float(point.var), float(point.correlation)
    there = fluctuations.at_fixed_point(TANH, q, c, WEIGHT_VAR)
    found = fluctuations.by_layer(TANH, 0.5 * q, 1.5 * q, 0.9, 150, WEIGHT_VAR, BIAS_VAR)
    assert not found.covariance[0].any()
    assert not found.shift[0].any()
    np.testing.assert_allclose(found.state[0], [0.5 * q, 1.5 * q, 0.9 * q * 0.75**0.5])
    for name in ("state", "covariance", "shift"):
        np.testing.assert_allclose(getattr(found, name)[-1], getattr(there, name), rtol=1e-7)


def test_limits_by_layer_are_those_of_the_maps():
    found = fluctuations.by_layer(GELU, 0.8, 1.3, 0.4, 6, 1.5, 0.1, 0.7)
    for column, q in enumerate((0.8, 1.3)):
        limit = signal.lengths(GELU, q, 6, 1.5, 0.1, 0.7)
        np.testing.assert_allclose(found.state[:, column], limit, rtol=ACCURACY)
    c = signal.correlations(GELU, 0.8, 1.3, 0.4, 6, 1.5, 0.1, 0.7)
    products = np.sqrt(found.state[:, 0] * found.state[:, 1])
    np.testing.assert_allclose(found.state[:, 2] / products, c, rtol=ACCURACY)


def test_nearly_equal_inputs_keep_their_precision():
    # Between near copies Q − P is linear in 1 − c, and so is its 1/n term: nothing is singular
    # there, though v is made with the root of 1 − c². In order they come as near as one likes.
    near, nearer = (
        fluctuations.by_layer(TANH, 1.0, 1.0, 1 - step, 40, 1.0, 0.1) for step in (1e-6, 1e-7)
    )
    apart, less = ((one.shift @ [0.5, 0.5, -1])[2:30] for one in (near, nearer))
    np.testing.assert_allclose(apart / less, 10, rtol=1e-3)
    slope = float(susceptibility.chi_1(TANH, near.state[-1, 0], 1.0))
    distance = near.state @ [0.5, 0.5, -1]
    np.testing.assert_allclose(distance[25] / distance[24], slope, rtol=1e-3)
    assert np.isfinite(near.covariance).all()


def test_one_layer_can_be_taken_out():
    found = fluctuations.by_layer(TANH, 1.0, 1.2, 0.3, 4, 1.5, 0.1)
    one = found.layer(3)
    np.testing.assert_array_equal(one.state, found.state[2])
    limit, drift = one.mean(lambda q1, q2, p: p / np.sqrt(q1 * q2))
    # By hand: the gradient on m, and half of the matrix of second derivatives on Σ.
    fn = lambda s: s[2] / jnp.sqrt(s[0] * s[1])  # noqa: E731
    exact = jax.grad(fn)(one.state) @ one.shift
    exact += np.sum(np.asarray(jax.hessian(fn)(one.state)) * one.covariance) / 2
    np.testing.assert_allclose([limit, drift], [float(fn(one.state)), exact], rtol=1e-3)
    with pytest.raises(ValueError, match="layer 5 is not among those"):
        found.layer(5)
    with pytest.raises(ValueError, match="layer 1 is not among those"):
        one.layer(1)
    with pytest.raises(ValueError, match=r"these are 4 layers; choose one"):
        found.mean(lambda q1, q2, p: p)


@pytest.mark.parametrize("step_up", [2.9, 3.1])
def test_both_steps_of_integration_agree(step_up):
    # Up to variance 3 the larger step is taken; here a little more in layer 1 alone decides.
    found = fluctuations.by_layer(TANH, step_up, 1.0, 0.3, 4, 1.5, 0.1)
    fine = fluctuations._layers(
        TANH, fluctuations.STEP, 4, jnp.asarray(found.state[0]), 1.5, 0.1, 1.0
    )
    for one, other in zip((found.state, found.covariance, found.shift), fine, strict=True):
        np.testing.assert_allclose(one, other, rtol=ACCURACY, atol=1e-12)


def test_linear_layers_with_dropout_in_closed_form():
    # One layer from exact moments: the noise is that of masks m/ρ with mean squares 1/ρ.
    w, q, c, rho = 0.6, 1.9, 0.4, 0.7
    found = fluctuations.by_layer(LINEAR, q, q, c, 2, w, 0.0, rho)
    np.testing.assert_allclose(found.state[1], [w * q / rho, w * q / rho, w * c * q], rtol=1e-12)
    fourth, even = 3 / rho**3 - 1 / rho**2, (1 + 2 * c**2) / rho**2 - 1 / rho**2
    odd, both = 3 * c / rho**2 - c / rho, (1 + 2 * c**2) / rho**2 - c**2
    noise = np.array([[fourth, even, odd], [even, fourth, odd], [odd, odd, both]])
    np.testing.assert_allclose(found.covariance[1], w**2 * q**2 * noise, rtol=1e-10)
    np.testing.assert_allclose(found.shift, 0, atol=1e-12)


def test_fluctuations_with_dropout_are_sampled():
    # The conditional recursion itself, with masks, in the third layer.
    w, b, rho, n, networks = 1.8, 0.1, 0.8, 50, 40_000
    exact = fluctuations.by_layer(TANH, 1.2, 0.7, 0.5, 3, w, b, rho)
    generator = np.random.default_rng(8)
    state = np.tile(exact.state[0][:, None], networks)
    for _ in range(2):
        q1, q2, cov = state
        first, other = generator.standard_normal((2, n, networks), np.float32)
        kept = (generator.random((2, n, networks), np.float32) < rho) / rho
        u, v = np.sqrt(q1) * first, cov / np.sqrt(q1) * first + np.sqrt(q2 - cov**2 / q1) * other
        a, c = kept * np.tanh([u, v])
        state = w * np.stack([np.mean(one, axis=0) for one in (a * a, c * c, a * c)]) + b
    off = (state - exact.state[2][:, None]).reshape(3, 20, -1)
    shifts = n * off.mean(axis=2)
    error = shifts.std(axis=1, ddof=1) / 20**0.5
    np.testing.assert_array_less(np.abs(shifts.mean(axis=1) - exact.shift[2]), 6 * error)
    covariances = n * np.einsum("irk,jrk->rij", off, off) / off.shape[2]
    error = covariances.std(axis=0, ddof=1) / 20**0.5 + 0.03 * np.abs(exact.covariance[2])
    np.testing.assert_array_less(np.abs(covariances.mean(axis=0) - exact.covariance[2]), 5 * error)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TANH, 0.0, 1.0, 0.3, 3, 1.0, 0.1), "var_u=0; a signal of length 0"),
        ((TANH, 1.0, 0.0, 0.3, 3, 1.0, 0.1), "var_v=0; a signal of length 0"),
        ((TANH, 1.0, 1.0, 1.0, 3, 1.0, 0.1), "correlation=1.0 must lie strictly"),
        ((TANH, 1.0, 1.0, 0.3, 3, 0.0, 0.0), "signals vanish or overflow within 3 layers"),
        ((TANH, 1.0, 1.0, 0.3, 0, 1.0, 0.1), "depth=0 must be an integer"),
        ((TANH, 1.0, 1.0, 0.3, 3, 1.0, -0.1), "bias_var contains -0.1"),
        ((TANH, 1.0, 1.0, 0.3, 3, 1.0, 0.1, 0.0), "keep_prob contains 0.0"),
        ((RELU, 1.0, 1.0, 0.3, 3, 1.0, 0.1), "relu has kinks"),
    ],
)
def test_by_layer_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        fluctuations.by_layer(*arguments)


@pytest.mark.parametrize(
    ("phi", "var", "correlation", "weight_var", "message"),
    [
        (TANH, 0.0, 0.3, 0.5, "var=0; a signal of length 0 has nothing to fluctuate"),
        (TANH, -1.0, 0.3, 0.5, "var contains -1.0; variances must be finite"),
        (TANH, 1.0, 0.3, -0.5, "weight_var contains -0.5; variances must be finite"),
        (TANH, 1.0, 1.0, 0.5, "correlation=1.0 must lie strictly between −1 and 1"),
        (TANH, 1.0, -1.0, 0.5, "correlation=-1.0 must lie strictly"),
        (TANH, 1.0, 1.2, 0.5, "correlation=1.2 must lie strictly"),
        (TANH, 1.0, float("nan"), 0.5, "correlation=nan must lie strictly"),
        (RELU, 1.0, 0.3, 0.5, "relu has kinks; these fluctuations need a smooth φ"),
        (LINEAR, 1.0, 0.3, 1.1, r"multiplies deviations by 1\.1000; fluctuations settle only"),
    ],
)
def test_refuses(phi, var, correlation, weight_var, message):
    with pytest.raises(ValueError, match=message):
        fluctuations.at_fixed_point(phi, var, correlation, weight_var)


def test_refuses_a_correlation_that_repels():
    # In chaos equal signals part by χ₁ a layer, and c = 0 draws near; between them the slope passes
    # 1, and what is refused begins there.
    point = phases.phase_diagram(TANH, WEIGHT_VAR, BIAS_VAR)
    q = float(point.var)
    for c in (0.2, 0.5, 0.8, 0.99):
        slope = float(susceptibility.covariance_slope(TANH, q, q, c * q, WEIGHT_VAR))
        if slope < 1:
            fluctuations.at_fixed_point(TANH, q, c, WEIGHT_VAR)
        else:
            with pytest.raises(ValueError, match=rf"multiplies deviations by {slope:.4f}; "):
                fluctuations.at_fixed_point(TANH, q, c, WEIGHT_VAR)
    assert slope > 1.3
    assert point.correlation_slope < 1


def test_no_weights_no_fluctuations():
    found = fluctuations.at_fixed_point(TANH, 0.4, 0.3, 0.0)
    assert not found.covariance.any()
    assert not found.shift.any()
    assert jnp.asarray(found.state).shape == (3,)
