"""The Gaussian integral against routes that share nothing with it, and at its edges."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from widelimit.activations import Activation, get, leaky_relu
from widelimit.theory import gaussian

TANH, SILU, RELU, STEP = (get(name) for name in ("tanh", "silu", "relu", "step"))

# Kinks away from 0, and jumps of φ and of φ′ together: what no registered activation has.
HARD_TANH = Activation(
    name="hard_tanh",
    fn=lambda x: jnp.clip(x, -1, 1),
    derivative=lambda x: (jnp.sign(x + 1) - jnp.sign(x - 1)) / 2,
    second_derivative=jnp.zeros_like,
    kinks=(-1.0, 1.0),
    slope_jumps=(1.0, -1.0),
)
RAMP = Activation(  # x + 2 on (−1, 1/2), else 0
    name="ramp",
    fn=lambda x: (jnp.sign(x + 1) - jnp.sign(x - 0.5)) / 2 * (x + 2),
    derivative=lambda x: (jnp.sign(x + 1) - jnp.sign(x - 0.5)) / 2,
    kinks=(-1.0, 0.5),
    jumps=(1.0, -2.5),
    slope_jumps=(1.0, -1.0),
)


def trapezoid_product(phi, psi, q1, q2, correlation, spacing):
    """E[φ(u)ψ(v)] on a plain grid: exponentially accurate for analytic φ, ψ on a fine one."""
    z = np.arange(-9, 9, spacing)
    weights = norm.pdf(z) * spacing
    v = np.sqrt(q2) * (correlation * z[:, None] + np.sqrt(1 - correlation**2) * z)
    return weights @ (phi(np.sqrt(q1) * z)[:, None] * psi(v)) @ weights


def silu(x):
    return x / 2 * (1 + np.tanh(x / 2))


@pytest.mark.parametrize("variance", [1e-4, 1.0, 12.6, 100.0, 1e4])
def test_expectation_of_tanh_squared_at_every_scale(variance):
    deviation = np.sqrt(variance)

    def integrand(u):
        return 2 * np.tanh(u) ** 2 * norm.pdf(u, scale=deviation)

    cuts = [0, *(c for c in (0.5, 2, 6, 20) if c < deviation), deviation, 5 * deviation]
    cuts.append(38 * deviation)
    reference = sum(
        quad(integrand, a, b, epsabs=0, epsrel=1e-13, limit=400)[0] for a, b in pairwise(cuts)
    )
    value = gaussian.expectation(lambda u: jnp.tanh(u) ** 2, variance)
    np.testing.assert_allclose(value, reference, rtol=1e-13)


@pytest.mark.parametrize(("variance", "spacing"), [(1.0, 0.2), (12.6, 0.08), (100.0, 0.028)])
@pytest.mark.parametrize("correlation", [-0.999, 0.3, 0.97])
def test_product_of_smooth_activations_is_a_fine_grid(variance, spacing, correlation):
    q1, q2 = variance, variance / 2
    cov = correlation * np.sqrt(q1 * q2)
    reference = trapezoid_product(np.tanh, silu, q1, q2, correlation, spacing)
    squared = trapezoid_product(silu, silu, q2, q2, 0.0, spacing)
    mixed = gaussian.product(TANH, SILU, q1, q2, cov)
    assert abs(mixed - reference) <= 1e-12 * np.sqrt(q2)
    # The uncorrelated product is a product of means.
    mean = gaussian.expectation(SILU, q2)
    np.testing.assert_allclose(squared, mean**2, rtol=1e-12)


@pytest.mark.parametrize("correlation", [-0.6, 0.3, 0.7])
def test_mehler_series_is_the_product(correlation):
    q1, q2 = 2.0, 0.7
    cov = correlation * np.sqrt(q1 * q2)
    powers = correlation ** np.arange(101)
    for phi, psi in ((TANH, TANH), (SILU, RELU), (RELU, RELU), (STEP, HARD_TANH)):
        a = gaussian.hermite_coefficients(phi, q1, 100)
        b = gaussian.hermite_coefficients(psi, q2, 100)
        product = gaussian.product(phi, psi, q1, q2, cov)
        np.testing.assert_allclose(np.sum(a * b * powers), product, rtol=0, atol=1e-12)


@pytest.mark.parametrize("phi", [get("hermite4"), get("monomial3"), get("erf"), SILU])
def test_parseval(phi):
    coefficients = np.asarray(gaussian.hermite_coefficients(phi, jnp.asarray([0.5, 1.0]), 100))
    second_moment = gaussian.expectation(lambda u: phi(u) ** 2, jnp.asarray([0.5, 1.0]))
    np.testing.assert_allclose(np.sum(coefficients**2, axis=-1), second_moment, rtol=1e-12)


def test_parseval_of_relu_at_its_rate():
    # a_k² ~ k^(−5/2) on even k: what is left after K terms falls as K^(−3/2).
    squares = np.asarray(gaussian.hermite_coefficients(RELU, 1.0, 100)) ** 2
    orders = np.array([12, 24, 48, 96])
    left = np.array([0.5 - squares[: k + 1].sum() for k in orders])
    slope = np.polyfit(np.log(orders), np.log(left), 1)[0]
    assert -1.6 < slope < -1.35


def test_hermite_coefficients_of_a_hermite_polynomial():
    expected = np.zeros(101)
    expected[3] = 1
    coefficients = gaussian.hermite_coefficients(get("hermite3"), 1.0, 100)
    np.testing.assert_allclose(coefficients, expected, atol=1e-12)


def test_hermite_coefficients_differentiate():
    h = 1e-5
    for phi in (TANH, RAMP):
        coefficients = partial(gaussian.hermite_coefficients, phi, order=6)
        derivative = jax.jacfwd(coefficients)(1.5)
        up, down = (coefficients(1.5 + s * h) for s in (1, -1))
        np.testing.assert_allclose(derivative, (up - down) / (2 * h), atol=1e-8)


def test_product_of_kinked_activations_is_monte_carlo():
    z = np.random.default_rng(5).standard_normal((2, 1_000_000))
    for phi, psi in ((HARD_TANH, HARD_TANH), (RAMP, HARD_TANH), (RAMP, TANH)):
        for correlation in (-0.9999, 0.4, 1.0):
            u = np.sqrt(2.0) * z[0]
            v = correlation * z[0] + np.sqrt(1 - correlation**2) * z[1]
            terms = np.asarray(phi(jnp.asarray(u)) * psi(jnp.asarray(v)))
            value = gaussian.product(phi, psi, 2.0, 1.0, correlation * np.sqrt(2.0))
            error = terms.std() / np.sqrt(terms.size)
            assert abs(terms.mean() - value) <= 4.5 * error
            assert 4.5 * error <= 0.01


@pytest.mark.parametrize(
    ("phi", "psi"), [(TANH, TANH), (HARD_TANH, TANH), (RAMP, RAMP), (RAMP, HARD_TANH), (SILU, STEP)]
)
def test_gradients_are_finite_differences(phi, psi):
    # Central differences err by h²/6·f‴ ≈ 1e-10 and, by rounding, 1e-14/h = 1e-9.
    h = 1e-5
    pair = np.array([1.0, 2.0, 0.7])
    gradient = jax.grad(lambda x: gaussian.product(phi, psi, x[0], x[1], x[2]))(jnp.asarray(pair))
    moved = np.array([pair + s * h * e for e in np.eye(3) for s in (1, -1)]).T
    values = np.asarray(gaussian.product(phi, psi, *(jnp.asarray(x) for x in moved)))
    np.testing.assert_allclose(gradient, (values[::2] - values[1::2]) / (2 * h), atol=5e-9)


def test_second_derivatives_of_quadrature_and_closed_form_agree():
    pair = jnp.asarray([1.0, 2.0, 0.7])
    by_quadrature = jax.hessian(lambda x: gaussian.product(RELU, RELU, x[0], x[1], x[2]))(pair)
    closed = jax.hessian(lambda x: gaussian.dual(RELU, x[0], x[1], x[2]))(pair)
    np.testing.assert_allclose(by_quadrature, closed, rtol=1e-11)
    np.testing.assert_allclose(closed, closed.T, rtol=1e-12)


@pytest.mark.parametrize("phi", [TANH, RELU, HARD_TANH, get("gelu"), leaky_relu(0.3)])
def test_gradient_is_finite_at_the_edges(phi):
    edges = [(1, 1, 1), (2, 3, -np.sqrt(6)), (0, 0, 0), (0, 1, 0), (1, 0, 0), (1e4, 1e4, 1e4)]
    q1, q2, cov = (jnp.asarray(x, float) for x in np.array(edges).T)
    for integral in (gaussian.dual, lambda phi, *pair: gaussian.product(phi, phi, *pair)):
        total = jax.jit(jax.grad(lambda *pair: jnp.sum(integral(phi, *pair)), argnums=(0, 1, 2)))  # noqa: B023
        assert np.isfinite(total(q1, q2, cov)).all()


@pytest.mark.parametrize("phi", [TANH, RELU])
def test_gradient_along_the_diagonal_is_that_of_the_second_moment(phi):
    # On the diagonal all three arguments move together: d/dq E[φ(u)²].
    along = jax.jvp(lambda q: gaussian.dual(phi, q, q, q), (1.3,), (1.0,))[1]
    once = jax.grad(lambda q: gaussian.expectation(lambda u: phi(u) ** 2, q, phi.kinks))(1.3)
    np.testing.assert_allclose(along, once, rtol=1e-12)


def test_expectation_differentiates_in_variance_and_in_what_fn_closes_over():
    def mean(q, slope):
        return gaussian.expectation(lambda u: jnp.tanh(slope * u) ** 2, q)

    # E[tanh(su)²] = s²q + O(q²): finite at q = 0, where √q has no derivative.
    np.testing.assert_allclose(jax.grad(mean)(0.0, 2.0), 4.0, rtol=1e-13)
    by_variance, by_slope = jax.jit(jax.grad(mean, argnums=(0, 1)))(1.5, 2.0)
    np.testing.assert_allclose(by_slope * 2.0, by_variance * 2 * 1.5, rtol=1e-12)
    # Jumps: E[1(u > 1)] = Φ(−1/√q).
    tail = jax.grad(lambda q: gaussian.expectation(lambda u: jnp.heaviside(u - 1, 0.5), q, (1.0,)))
    np.testing.assert_allclose(tail(2.0), norm.pdf(1 / np.sqrt(2)) / (2 * 2.0**1.5), rtol=1e-12)


def test_zero_variance_and_zero_correlation_deviation_are_exact():
    np.testing.assert_allclose(gaussian.product(TANH, SILU, 0.0, 2.0, 0.0), 0.0, atol=1e-16)
    value = gaussian.product(get("cos"), STEP, 0.0, 2.0, 0.0)
    np.testing.assert_allclose(value, 0.5, rtol=1e-13)
    diagonal = gaussian.product(TANH, TANH, 3.0, 3.0, 3.0)
    once = gaussian.expectation(lambda u: jnp.tanh(u) ** 2, 3.0)
    np.testing.assert_allclose(diagonal, once, rtol=1e-13)


def test_jit_and_vmap_are_eager():
    q1 = jnp.asarray([0.0, 1.0, 1e4])
    q2 = jnp.asarray([1.0, 2.0, 1.0])
    cov = jnp.asarray([0.0, -0.5, 100.0])
    for phi in (TANH, RELU):

        def one(*pair, phi=phi):
            return gaussian.product(phi, phi, *pair)

        eager = one(q1, q2, cov)
        np.testing.assert_allclose(jax.jit(one)(q1, q2, cov), eager, rtol=1e-14, atol=1e-16)
        np.testing.assert_allclose(jax.vmap(one)(q1, q2, cov), eager, rtol=1e-13, atol=1e-15)


def test_arguments_broadcast_and_blocks_are_padded():
    # 5 × 7 = 35 pairs: two blocks and a part.
    q = jnp.linspace(0.5, 1, 5)[:, None]
    cov = jnp.linspace(-0.4, 0.4, 7)
    table = gaussian.product(TANH, TANH, q, 1.0, cov)
    assert table.shape == (5, 7)
    np.testing.assert_allclose(table, -table[:, ::-1], rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(table[4, 6], gaussian.product(TANH, TANH, 1.0, 1.0, 0.4), rtol=1e-14)
    assert gaussian.product(TANH, TANH, jnp.zeros((0,)), 1.0, 0.0).shape == (0,)


@pytest.mark.parametrize("variance", [1e-4, 1.0, 100.0, 1e4])
def test_float32_within_its_stated_error(variance):
    correlations = np.array([-1, -0.99, 0, 0.5, 0.9999, 1])
    single = [jnp.asarray(x, jnp.float32) for x in np.broadcast_arrays(variance, variance, 0)]
    single[2] = jnp.asarray(variance * correlations, jnp.float32)
    double = [jnp.asarray(x, jnp.float64) for x in single]
    for phi in (TANH, SILU, RELU, get("gelu"), get("erf")):
        unit = float(jnp.sqrt(gaussian.dual(phi, *[double[0]] * 3)) ** 2)
        for integral in (gaussian.dual, lambda phi, *pair: gaussian.product(phi, phi, *pair)):
            value = integral(phi, *single)
            assert value.dtype == jnp.float32
            assert np.max(np.abs(np.asarray(value, float) - integral(phi, *double))) <= 1e-5 * unit


@pytest.mark.parametrize("phi", [TANH, SILU, RELU])
def test_one_dimensional_float32_within_its_stated_error(phi):
    q = np.array([0.0, 1e-4, 1.0, 100.0, 1e4])
    mean = partial(gaussian.expectation, phi, kinks=phi.kinks)
    coefficients = partial(gaussian.hermite_coefficients, phi, order=100)
    size = np.sqrt(gaussian.expectation(lambda u: phi(u) ** 2, jnp.asarray(q), phi.kinks))
    for integral, unit in ((mean, size), (coefficients, size[:, None])):
        single, double = (integral(jnp.asarray(q, dtype)) for dtype in (jnp.float32, jnp.float64))
        assert single.dtype == jnp.float32
        assert (np.abs(np.asarray(single, float) - double) <= 1e-5 * unit).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 1.0, 0.0), r"var_u contains -1\.0; variances must be"),
        ((1.0, np.nan, 0.0), "var_v contains nan"),
        ((1.0, np.inf, 0.0), "var_v contains inf"),
        ((1.0, 1.0, 1.001), r"cov contains 1\.001, but \|cov\| can be at most"),
        ((1.0, 4.0, np.nan), "cov contains nan"),
    ],
)
def test_bad_pairs_are_refused(arguments, message):
    for call in (gaussian.dual, gaussian.derivative_dual):
        with pytest.raises(ValueError, match=message):
            call(RELU, *arguments)
    for call in (gaussian.product, gaussian.covariance_derivative, gaussian.variance_derivative):
        with pytest.raises(ValueError, match=message):
            call(RELU, TANH, *arguments)


def test_bad_variances_and_orders_are_refused():
    with pytest.raises(ValueError, match="variance contains -2"):
        gaussian.expectation(jnp.tanh, jnp.asarray([1.0, -2.0]))
    with pytest.raises(ValueError, match="variance contains nan"):
        gaussian.hermite_coefficients(TANH, np.nan, 3)
    with pytest.raises(ValueError, match="order=1001"):
        gaussian.hermite_coefficients(TANH, 1.0, 1001)


def test_rounding_beyond_correlation_one_is_no_error():
    q = 0.1 + 0.2
    np.testing.assert_allclose(gaussian.dual(RELU, q, q, q * (1 + 1e-15)), q / 2, rtol=1e-13)
    np.testing.assert_allclose(
        gaussian.product(TANH, TANH, q, q, q * (1 + 1e-15)),
        gaussian.product(TANH, TANH, q, q, q),
        rtol=1e-12,
    )
