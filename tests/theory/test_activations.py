"""Every registered activation against one contract: what it says of itself is true."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit import activations
from widelimit.theory import gaussian

CORRELATIONS = (-1.0, -0.99999, -0.5, 0.0, 0.3, 0.999999, 1.0)
VARIANCES = (0.0, 1e-4, 1.0, 12.6, 100.0, 1e4)
# The stated range of the quadrature, where it is not all variances to 1e4.
LARGEST_VARIANCE = {"sin": 10.0, "cos": 10.0, "exp": 4.0}
PAIRS = 64
GENERIC = (leaky := activations.leaky_relu(0.3), activations.monomial(5), activations.hermite(7))
ALL = [activations.get(name) for name in activations.names()] + list(GENERIC)

every = pytest.mark.parametrize("phi", ALL, ids=lambda phi: phi.name)
with_dual = pytest.mark.parametrize(
    "phi", [phi for phi in ALL if phi.dual], ids=lambda phi: phi.name
)


def pairs(phi):
    """(q1, q2, c) over all variances, equal and unequal, and all correlations."""
    largest = LARGEST_VARIANCE.get(phi.name, 1e4)
    variances = sorted({min(q, largest) for q in VARIANCES})
    both = [(q, q) for q in variances] + [(largest, 1.0), (1.0, 1e-4), (0.0, 1.0)]
    rows = [(q1, q2, r * np.sqrt(q1 * q2)) for q1, q2 in both for r in CORRELATIONS]
    rows += [(1.0, 1.0, 0.5)] * (PAIRS - len(rows))  # one shape, compiled once
    return [jnp.asarray(column) for column in np.array(rows).T]


def size(dual, q1, q2, cov):
    """√(E[φ(u)²]·E[φ(v)²]), the unit in which errors are stated."""
    return np.sqrt(dual(q1, q1, q1) * dual(q2, q2, q2))


def points(phi, number=400):
    x = np.concatenate([np.linspace(-4, 4, number), np.geomspace(1e-8, 1, 40)])
    x = np.concatenate([x, -x])
    return jnp.asarray(x[~np.isin(x, phi.kinks)])


def elementwise_derivative(fn, x):
    return jax.vmap(jax.grad(fn))(x)


@with_dual
def test_closed_form_is_quadrature(phi):
    arguments = pairs(phi)
    for closed, quadrature in (
        (phi.dual, gaussian.product),
        (phi.derivative_dual, gaussian.covariance_derivative),
    ):
        exact = np.asarray(closed(*arguments))
        approximate = np.asarray(quadrature(phi, phi, *arguments))
        infinite = np.isinf(exact)  # Dirac deltas at correlations ±1
        np.testing.assert_array_equal(exact[infinite], approximate[infinite])
        # A derivative that is a pure impulse has no size of its own: compare relatively.
        unit = (
            np.abs(exact) if any(phi.jumps) and closed is not phi.dual else size(closed, *arguments)
        )
        error = np.abs(exact[~infinite] - approximate[~infinite])
        assert (error <= 1e-13 * unit[~infinite]).all()


@every
def test_quadrature_is_mean(phi):
    variances = jnp.asarray([q for q in VARIANCES if q <= LARGEST_VARIANCE.get(phi.name, 1e4)])
    unit = np.sqrt(gaussian.expectation(lambda u: phi(u) ** 2, variances, phi.kinks))
    if phi.mean is None:  # silu(u) + silu(−u) = u·tanh(u/2)
        expected = gaussian.expectation(lambda u: u * jnp.tanh(u / 2) / 2, variances)
    else:
        expected = phi.mean(variances)
    error = np.abs(expected - gaussian.expectation(phi, variances, phi.kinks))
    assert (error <= 1e-13 * unit).all()


@partial(jax.jit, static_argnums=0)
def sampled(phi, z1, z2, q1, q2, correlation):
    """Mean of φ(u)φ(v) over the pairs (±z1, ±z2) and its standard error."""
    total = jnp.zeros_like(z1)
    for s1 in (1, -1):
        for s2 in (1, -1):  # antithetic in four: the average of four is one sample
            u = jnp.sqrt(q1) * (s1 * z1)
            v = jnp.sqrt(q2) * (correlation * s1 * z1 + jnp.sqrt(1 - correlation**2) * s2 * z2)
            total += phi(u) * phi(v) / 4
    return jnp.mean(total), jnp.std(total) / jnp.sqrt(total.size)


@every
def test_dual_is_monte_carlo(phi):
    z1, z2 = jax.random.normal(jax.random.key(7), (2, 1_000_000), dtype=float)
    q1, q2 = 1.3, 0.6
    for correlation in (-0.8, 0.4):
        mean, error = sampled(phi, z1, z2, q1, q2, correlation)
        exact = gaussian.dual(phi, q1, q2, correlation * np.sqrt(q1 * q2))
        # The floor is rounding, for odd φ whose antithetic average is constant.
        assert abs(mean - exact) <= 4.5 * error + 1e-12
        # A dual off by a tenth of its natural size would be seen.
        natural = np.sqrt(gaussian.dual(phi, q1, q1, q1) * gaussian.dual(phi, q2, q2, q2))
        assert 4.5 * error <= 0.1 * natural


@every
def test_derivatives_are_derivatives(phi):
    x = points(phi)
    second = phi.second_derivative
    for fn, derivative in ((phi.fn, phi.derivative), (phi.derivative, second)):
        expected = elementwise_derivative(fn, x)
        np.testing.assert_allclose(derivative(x), expected, rtol=1e-12, atol=1e-13)


@every
def test_kinks_are_kinks_and_there_are_no_others(phi):
    step = 1e-9
    for fn, sizes in ((phi.fn, phi.jumps), (phi.derivative, phi.slope_jumps)):
        for kink, jump in zip(phi.kinks, sizes, strict=True):
            measured = fn(jnp.asarray(kink + step)) - fn(jnp.asarray(kink - step))
            np.testing.assert_allclose(measured, jump, atol=1e-7)
    assert all(a or b for a, b in zip(phi.jumps, phi.slope_jumps, strict=True))
    # Elsewhere both are continuous: the largest change over a cell halves with the cell.
    x = np.linspace(-3, 3, 4001)
    x = x[np.min([abs(x - kink) for kink in (*phi.kinks, np.inf)], axis=0) > 2e-3]
    for fn in (phi.fn, phi.derivative):
        right, left = fn(jnp.asarray(x + 1e-6)), fn(jnp.asarray(x - 1e-6))
        assert np.max(np.abs(right - left)) <= 1e-2


@every
def test_gradient_is_finite_everywhere(phi):
    x = jnp.asarray([0.0, -0.0, 1e-300, -1e-300, 30.0, -30.0, *phi.kinks])
    for fn in (phi.fn, phi.derivative, phi.second_derivative):
        assert np.isfinite(elementwise_derivative(fn, x)).all()


@every
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_dtype_and_shape_are_kept(phi, dtype):
    x = jnp.ones((2, 3), dtype)
    q = jnp.ones((2, 3), dtype)
    outputs = [f(x) for f in (phi, phi.derivative, phi.second_derivative)]
    outputs += [f(q, q, q / 2) for f in (phi.dual, phi.derivative_dual) if f]
    outputs += [f(q) for f in (phi.mean,) if f]
    assert all(y.dtype == dtype and y.shape == (2, 3) for y in outputs)


@every
def test_homogeneity(phi):
    x = points(phi)
    scales = (0.25, 2.0, 8.0)  # powers of two: exact in floating point
    homogeneous = {
        degree
        for degree in range(6)
        if all(np.allclose(phi(c * x), c**degree * phi(x), rtol=1e-14, atol=0) for c in scales)
    }
    assert homogeneous == (set() if phi.degree is None else {phi.degree})


@with_dual
def test_dual_is_symmetric_and_positive_semidefinite(phi):
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((12, 4)) / 2
    gram = inputs @ inputs.T
    diagonal = np.diag(gram)
    q1, q2 = (jnp.asarray(q) for q in np.broadcast_arrays(diagonal[:, None], diagonal[None, :]))
    dual = np.asarray(phi.dual(q1, q2, jnp.asarray(gram)))
    np.testing.assert_allclose(dual, dual.T, rtol=1e-14, atol=1e-15)
    eigenvalues = np.linalg.eigvalsh(dual)
    assert eigenvalues[0] >= -1e-13 * eigenvalues[-1]


@with_dual
def test_closed_form_derivatives_are_price_integrals(phi):
    # Where the gradient is finite: jumps have an infinite one at correlations ±1.
    q1, q2, furthest = 1.7, 0.9, 0.999 if any(phi.jumps) else 1.0
    cov = jnp.asarray(np.linspace(-furthest, furthest, PAIRS) * np.sqrt(q1 * q2))
    q1, q2 = jnp.full_like(cov, q1), jnp.full_like(cov, q2)
    gradient = jax.jit(jax.grad(lambda *pair: jnp.sum(phi.dual(*pair)), argnums=(0, 1, 2)))
    by_u, by_v, by_cov = gradient(q1, q2, cov)
    unit = np.max(np.abs([by_u, by_v, by_cov]))
    for derivative, integral in (
        (by_u, gaussian.variance_derivative(phi, phi, q1, q2, cov)),
        (by_v, gaussian.variance_derivative(phi, phi, q2, q1, cov)),
        (by_cov, gaussian.covariance_derivative(phi, phi, q1, q2, cov)),
    ):
        # Half the digits of D = q1·q2 − c² are lost at |ρ| = 1 and q1 ≠ q2, by rounding c itself.
        np.testing.assert_allclose(derivative, integral, rtol=0, atol=1e-12 * unit)


def test_relu_dual_keeps_relative_accuracy_at_correlation_minus_one():
    # At angle π − t the dual is (sin t − t·cos t)/2π ≈ t³/6π, 1e-13 here; c = −1 + t²/2 exactly.
    half_square = 2.0**-30
    t = 2 * np.arcsin(np.sqrt(half_square / 2))
    value = activations.get("relu").dual(*(jnp.asarray(x) for x in (1.0, 1.0, -1 + half_square)))
    np.testing.assert_allclose(value, (t**3 / 3 - t**5 / 30) / (2 * np.pi), rtol=1e-13)


def test_relu_dual_keeps_relative_accuracy_at_correlation_one():
    # K(1) − K(c) = (1 − c)/2 − O((1 − c)^1.5): the slope at 1 is 1/2, which arccos would blur.
    gap = 2.0**-40
    dual = activations.get("relu").dual
    one = jnp.ones(())
    fall = dual(one, one, one) - dual(one, one, one - gap)
    theta = np.sqrt(2 * gap)
    expected = gap / 2 - theta**3 / (6 * np.pi)
    np.testing.assert_allclose(fall, expected, atol=2e-16)


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_closed_form_at_large_variance_neither_overflows_nor_cancels(name):
    q = jnp.asarray(1e4)
    for sign in (1, -1):
        parity = sign if name == "sin" else 1
        np.testing.assert_allclose(
            activations.get(name).dual(q, q, sign * q), 0.5 * parity, rtol=2e-11
        )
    small = 1e-9
    sine = activations.get("sin").dual(*(jnp.asarray(x) for x in (1.0, 1.0, small)))
    np.testing.assert_allclose(sine, small * np.exp(-1), rtol=1e-14)


def test_hermite_polynomials_are_orthonormal():
    z, weights = np.polynomial.hermite_e.hermegauss(40)
    values = np.array(activations.hermite_polynomials(jnp.asarray(z), 12))
    gram = (values * (weights / weights.sum())) @ values.T
    np.testing.assert_allclose(gram, np.eye(13), atol=1e-12)
    np.testing.assert_allclose(activations.hermite(7)(jnp.asarray(z)), values[7], rtol=1e-14)


def test_get_returns_one_object_and_suggests_the_nearest_name():
    assert activations.get("relu") is activations.get("relu")
    assert activations.leaky_relu(0.3) is leaky
    with pytest.raises(ValueError, match=r"name='tahn'.*did you mean 'tanh'"):
        activations.get("tahn")
    with pytest.raises(ValueError, match="did you mean 'relu'"):
        activations.get("ReLU")


def test_a_users_activation_must_state_the_sizes_of_its_kinks():
    relu = activations.get("relu")
    with pytest.raises(ValueError, match="without their sizes"):
        dataclasses.replace(relu, jumps=(), slope_jumps=())
    with pytest.raises(ValueError, match="one entry for each"):
        dataclasses.replace(relu, jumps=(), slope_jumps=(1.0, 2.0))
    with pytest.raises(ValueError, match="increase strictly"):
        dataclasses.replace(relu, kinks=(1.0, 0.0), jumps=(), slope_jumps=(1.0, 1.0))


@pytest.mark.parametrize(
    ("factory", "argument", "message"),
    [
        (activations.leaky_relu, 1, "slope=1"),
        (activations.monomial, 0, "power=0"),
        (activations.hermite, -1, "degree=-1"),
    ],
)
def test_factories_refuse_what_they_cannot_make(factory, argument, message):
    with pytest.raises(ValueError, match=message):
        factory(argument)
