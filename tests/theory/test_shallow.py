"""Neal's network: each number by a route that shares nothing with the package's."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.special import erf, gamma

from widelimit.activations import get
from widelimit.architectures import ShallowPrior
from widelimit.theory import finite_width, shallow

TANH, ERF, SIGN, RELU, LINEAR = (get(name) for name in ("tanh", "erf", "sign", "relu", "linear"))
NUMPY = {
    "tanh": np.tanh,
    "erf": erf,
    "sign": np.sign,
    "relu": lambda u: np.maximum(u, 0),
    "linear": lambda u: u,
}
X = np.random.default_rng(0).standard_normal((5, 3))
Z = np.random.default_rng(1).standard_normal(2_000_000)
SIGMAS = 4.5


def variance_of(prior, x):
    return prior.input_bias_std**2 + prior.input_weight_std**2 * np.sum(x**2)


# --- the kernel -------------------------------------------------------------------------------


@pytest.mark.parametrize(("bias", "output_bias"), [(0.0, 0.0), (0.7, 0.4)])
def test_kernel_of_erf_units_is_williams(bias, output_bias):
    prior = ShallowPrior(ERF, 1.3, bias, 2.0, output_bias)
    # Williams 1997, eq. (11): x̃ = (1, x) and Σ the covariance of the weights.
    s = bias**2 + 1.3**2 * X @ X.T
    norm = np.sqrt(1 + 2 * np.diagonal(s))
    williams = 2 / np.pi * np.arcsin(2 * s / np.outer(norm, norm))
    np.testing.assert_allclose(
        shallow.kernel(prior, jnp.asarray(X), jnp.asarray(X)),
        output_bias**2 + 4 * williams,
        rtol=0,
        atol=4e-13,
    )


@pytest.mark.parametrize("name", ["step", "relu"])
def test_kernel_of_rectified_units_is_cho_and_saul(name):
    norms = np.linalg.norm(X, axis=1)
    cosine = np.clip(X @ X.T / np.outer(norms, norms), -1, 1)
    theta = np.arccos(cosine)
    if name == "step":
        arc_cosine = (np.pi - theta) / np.pi
    else:
        arc_cosine = np.outer(norms, norms) * (np.sin(theta) + (np.pi - theta) * cosine) / np.pi
    prior = ShallowPrior(get(name), 1.0, 0.0, 2**0.5)
    inputs = jnp.asarray(X)
    kernel = shallow.kernel(prior, inputs, inputs)
    # On the diagonal arccos turns the rounding of the cosine into its root.
    off = ~np.eye(len(X), dtype=bool)
    np.testing.assert_allclose(np.asarray(kernel)[off], arc_cosine[off], rtol=1e-12)
    np.testing.assert_allclose(np.diagonal(kernel), norms**2 if name == "relu" else 1, rtol=1e-13)


def test_equal_inputs_in_two_arrays_lose_half_the_digits_at_most():
    prior = ShallowPrior(get("sign"), 1.0, 0.7)
    moment = shallow.hidden_moment(prior, jnp.asarray(X), jnp.asarray(X).copy())
    np.testing.assert_allclose(np.diagonal(moment), 1, atol=3e-8)
    same = jnp.asarray(X)
    np.testing.assert_array_equal(np.diagonal(shallow.hidden_moment(prior, same, same)), 1)


def test_kernel_of_tanh_units_is_monte_carlo():
    prior = ShallowPrior(TANH, 1.5, 0.5, 1.2, 0.3)
    x1, x2 = X[:2], X[2:]
    rng = np.random.default_rng(2)
    draws = 400_000
    u, a = 1.5 * rng.standard_normal((draws, 3)), 0.5 * rng.standard_normal((draws, 1))
    products = np.tanh(a + u @ x1.T)[:, :, None] * np.tanh(a + u @ x2.T)[:, None, :]
    measured = 0.3**2 + 1.2**2 * products.mean(0)
    error = 1.2**2 * products.std(0) / np.sqrt(draws)
    kernel = shallow.kernel(prior, jnp.asarray(x1), jnp.asarray(x2))
    assert kernel.shape == (2, 3)
    assert np.all(np.abs(kernel - measured) < SIGMAS * error)


@pytest.mark.parametrize("name", ["tanh", "erf", "sign", "relu", "linear"])
def test_kernel_is_symmetric_positive_and_built_from_its_parts(name):
    prior = ShallowPrior(get(name), 1.1, 0.6, 1.5, 0.8)
    x1, x2 = jnp.asarray(X), jnp.asarray(X[:2] + 0.1)
    kernel = shallow.kernel(prior, x1, x1)
    # Entry (i, j) and (j, i) integrate in another order; both are within 1e-12 of the truth.
    np.testing.assert_allclose(kernel, kernel.T, rtol=1e-12)
    assert np.linalg.eigvalsh(kernel).min() > -1e-12
    np.testing.assert_allclose(
        shallow.kernel(prior, x1, x2), 0.8**2 + 1.5**2 * shallow.hidden_moment(prior, x1, x2)
    )
    np.testing.assert_allclose(
        shallow.input_covariance(prior, x1, x2), 0.6**2 + 1.1**2 * X @ np.asarray(x2).T, rtol=1e-14
    )


def test_linear_units_give_the_linear_kernel():
    prior = ShallowPrior(LINEAR, 1.1, 0.6, 1.5, 0.8)
    expected = 0.64 + 2.25 * (0.36 + 1.21 * X @ X.T)
    np.testing.assert_allclose(
        shallow.kernel(prior, jnp.asarray(X), jnp.asarray(X)), expected, rtol=1e-12
    )


# --- increments -------------------------------------------------------------------------------


@pytest.mark.parametrize(("weight", "bias"), [(1.0, 1.0), (5.0, 0.5)])
def test_increments_of_sign_units_from_the_origin(weight, bias):
    prior = ShallowPrior(SIGN, weight, bias, 1.7, 3.0)
    deltas = np.logspace(-3, 2, 11) * np.resize([1, -1], 11)
    # Correlation ρ of the pre-activations at 0 and δ: E(h − h′)² = (4/π)·arccos ρ.
    exact = 4 * 1.7**2 / np.pi * np.arctan(weight * np.abs(deltas) / bias)
    moved = shallow.increments(prior, jnp.zeros(1), jnp.asarray(deltas)[:, None])
    # The angle θ between the pre-activations comes from variances rounded to 1e-16, so it errs by
    # 1e-16/θ.
    rounding = 1e-15 * 1.7**2 * (1 + bias / (weight * np.abs(deltas)))
    assert np.all(np.abs(moved - exact) < rounding)


@pytest.mark.parametrize(("name", "slope"), [("sign", 1), ("tanh", 2), ("erf", 2), ("relu", 2)])
def test_increments_at_their_rate(name, slope):
    prior = ShallowPrior(get(name), 2.0, 1.0)
    deltas = np.array([1e-3, 2e-3, 4e-3])
    moved = shallow.increments(prior, jnp.asarray([0.3]), jnp.asarray(deltas)[:, None])
    slopes = np.diff(np.log(moved)) / np.log(2)
    # The next order is a relative O(σ_u δ).
    np.testing.assert_allclose(slopes, slope, atol=0.02)


def test_increments_of_tanh_start_with_the_mean_squared_slope():
    # E(f(x + δ) − f(x))² → ω² σ_u² δ² E[h′²].
    prior = ShallowPrior(TANH, 2.0, 1.0, 1.5)
    slope = quad(lambda u: np.cosh(u) ** -4 * stats.norm.pdf(u), -30, 30)[0]
    moved = shallow.increments(prior, jnp.zeros(1), jnp.asarray([[1e-3], [2e-3]]))
    # At x = 0 the weight is independent of the pre-activation; the next order is O(δ²).
    gaps = np.asarray(moved) / np.array([1e-6, 4e-6]) / (2.25 * 4 * slope) - 1
    assert abs(gaps[0]) < 1e-4
    np.testing.assert_allclose(gaps[1] / gaps[0], 4, rtol=0.01)


@pytest.mark.parametrize("name", ["tanh", "relu", "sign"])
def test_increments_are_differences_of_the_kernel(name):
    prior = ShallowPrior(get(name), 1.2, 0.5, 1.5, 2.0)
    x, deltas = jnp.asarray(X[0]), jnp.asarray(X[1:])
    ends = x[None] + deltas
    points = jnp.concatenate([x[None], ends])
    kernel = np.asarray(shallow.kernel(prior, points, points))
    expected = kernel[0, 0] + np.diagonal(kernel)[1:] - 2 * kernel[0, 1:]
    np.testing.assert_allclose(shallow.increments(prior, x, deltas), expected, atol=1e-12)
    np.testing.assert_allclose(shallow.increments(prior, x, 0 * deltas), 0, atol=1e-13 * 2.25 * 4)


@pytest.mark.parametrize(("name", "stated"), [("erf", 1e-15), ("tanh", 1e-13)])
def test_increments_err_by_what_is_stated(name, stated):
    # Where the truncation is far below, the law is δ² times the mean squared slope. "About" is
    # read as a factor 4. Sign units err by more, 1e-15/δ: see above.
    prior, deltas = ShallowPrior(get(name), 1.0, 1.0), np.logspace(-8, -6, 5)
    moved = np.asarray(shallow.increments(prior, jnp.zeros(1), jnp.asarray(deltas)[:, None]))
    slope = {
        "erf": lambda u: 4 / np.pi * np.exp(-2 * u**2),
        "tanh": lambda u: np.cosh(u) ** -4,
    }[name]
    exact = deltas**2 * quad(lambda u: slope(u) * stats.norm.pdf(u), -20, 20)[0]
    assert np.max(np.abs(moved - exact)) < 4 * stated


# --- excess kurtosis --------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 7, 100, 10**6])
@pytest.mark.parametrize(("name", "numerator"), [("relu", 15), ("sign", 0), ("linear", 6)])
def test_kurtosis_in_closed_form(name, numerator, width):
    # ReLU: E h⁴/(E h²)² = (3q²/2)/(q/2)² = 6; linear: 3; sign: 1. Whatever the variance q is.
    for weight, bias in ((1.0, 0.0), (0.2, 3.0)):
        prior = ShallowPrior(get(name), weight, bias, 1.7, 2.0)
        kurtosis = finite_width.excess_kurtosis(prior, jnp.asarray(X[0]), width)
        np.testing.assert_allclose(kurtosis, numerator / width, rtol=1e-12, atol=1e-12 / width)


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_kurtosis_is_that_of_simulated_outputs(name):
    # Given the hidden units an output is Gaussian, so E f⁴ = 3 E s⁴: only h needs sampling.
    prior, x = ShallowPrior(get(name), 1.0, 1.0, 1.3), np.array([1.0])
    h2 = NUMPY[name](np.sqrt(2.0) * Z) ** 2
    m2, m4 = h2.mean(), (h2**2).mean()
    measured = 3 * (m4 / m2**2 - 1)
    # Delta method for the ratio m4/m2².
    error = 3 * np.std(h2**2 / m2**2 - 2 * m4 * h2 / m2**3) / np.sqrt(len(Z))
    assert abs(finite_width.excess_kurtosis(prior, jnp.asarray(x), 1) - measured) < SIGMAS * error
    # And whole outputs of networks of three units, as a check on the derivation.
    rng = np.random.default_rng(3)
    h = NUMPY[name](np.sqrt(2.0) * rng.standard_normal((600_000, 3)))
    f = np.sum(rng.standard_normal(h.shape) * h, axis=1)
    groups = f.reshape(100, -1)
    each = np.mean(groups**4, 1) / np.mean(groups**2, 1) ** 2 - 3
    # A ratio of means over 6000 is biased by O(1/6000) of itself, below its standard error here.
    error = each.std(ddof=1) / np.sqrt(100)
    assert (
        abs(finite_width.excess_kurtosis(prior, jnp.asarray(x), 3) - each.mean()) < SIGMAS * error
    )


@pytest.mark.parametrize("width", [0, -3])
def test_kurtosis_refuses(width):
    with pytest.raises(ValueError, match=f"width is {width}"):
        finite_width.excess_kurtosis(ShallowPrior(TANH), jnp.ones(1), width)


# --- the characteristic function --------------------------------------------------------------

T = np.array([-2.0, 0.0, 0.3, 1.0, 3.0, 10.0])


def trapezoid(fn, variance, points=200_001):
    """E f(u) on a plain grid over 12 deviations: for analytic f, exponentially accurate."""
    z = np.linspace(-12, 12, points)
    return np.sum(fn(np.sqrt(variance) * z) * stats.norm.pdf(z), axis=-1) * 24 / (points - 1)


@pytest.mark.parametrize("width", [1, 4, 50])
@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_characteristic_function_is_that_of_sampled_networks(name, width):
    prior, x = ShallowPrior(get(name), 1.0, 0.5, 1.4, 9.0), np.array([1.0, -0.5])
    rng = np.random.default_rng(4)
    networks = 2_000_000 // width
    u, a = rng.standard_normal((networks * width, 2)), 0.5 * rng.standard_normal(networks * width)
    h = NUMPY[name](a + u @ x).reshape(networks, width)
    f = 1.4 / np.sqrt(width) * np.sum(rng.standard_normal(h.shape) * h, axis=1)
    cosines = np.cos(T[:, None] * f)  # f is symmetric, so its characteristic function is real
    error = cosines.std(1) / np.sqrt(networks)
    psi = finite_width.characteristic_function(prior, jnp.asarray(x), width, jnp.asarray(T))
    assert np.all(np.abs(psi - cosines.mean(1)) <= SIGMAS * error)
    assert psi[1] == 1  # ψ(0), and there the output bias and everything else drops out
    assert np.all((psi > 0) & (psi <= 1))


@pytest.mark.parametrize("width", [1, 4, 64, 4096])
@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_characteristic_function_errs_by_less_than_stated(name, width):
    prior = ShallowPrior(get(name), 1.0, 1.0, 1.5)
    t = np.array([1e-3, 0.1, 1.0, 4.0, 12.0])
    psi = finite_width.characteristic_function(prior, jnp.ones(1), width, jnp.asarray(t))
    # 1e-12·H as stated; in fact what falls as ψ is known far better than that.
    drop = np.array(
        [
            trapezoid(lambda u, s=s: np.expm1(-2.25 * NUMPY[name](u) ** 2 * s**2 / 2 / width), 2.0)
            for s in t
        ]
    )
    np.testing.assert_allclose(psi, np.exp(width * np.log1p(drop)), rtol=0, atol=1e-12 * width)


@pytest.mark.parametrize("width", [1, 2, 10, 1000])
def test_characteristic_function_of_linear_units(width):
    # h ~ N(0, q), so E exp(−r h²) = (1 + 2 r q)^(−1/2).
    prior, q = ShallowPrior(LINEAR, 1.0, 1.0, 1.5), 2.0
    t = np.array([0.01, 0.5, 2.0, 30.0])
    psi = finite_width.characteristic_function(prior, jnp.ones(1), width, jnp.asarray(t))
    exact = (1 + 2.25 * q * t**2 / width) ** (-width / 2)
    np.testing.assert_allclose(psi, exact, rtol=0, atol=1e-12 * width)


def test_sign_units_are_exactly_gaussian_at_every_width():
    prior = ShallowPrior(SIGN, 3.0, 0.2, 1.4)
    for width in (1, 2, 30, 10**5):
        psi = finite_width.characteristic_function(prior, jnp.ones(1), width, jnp.asarray(T))
        np.testing.assert_allclose(psi, np.exp(-((1.4 * T) ** 2) / 2), atol=1e-14)


def test_characteristic_function_tends_to_the_gaussians_as_one_over_width():
    prior, t = ShallowPrior(TANH, 1.0, 1.0, 1.5), jnp.asarray([0.5, 1.0, 2.0, 4.0])
    second = trapezoid(lambda u: np.tanh(u) ** 2, 2.0)
    fourth = trapezoid(lambda u: np.tanh(u) ** 4, 2.0)
    limit = np.exp(-2.25 * second * np.asarray(t) ** 2 / 2)
    widths = np.array([250, 500, 1000, 2000])
    gaps = np.array(
        [
            finite_width.characteristic_function(prior, jnp.ones(1), int(w), t) - limit
            for w in widths
        ]
    )
    slopes = np.diff(np.log(np.abs(gaps)), axis=0) / np.log(2)
    np.testing.assert_allclose(slopes, -1, atol=0.03)
    # Its coefficient: (κ_H/24) v² t⁴ ψ with κ_H = 3(E h⁴/(E h²)² − 1)/H.
    kurtosis = 3 * (fourth / second**2 - 1) / 2000
    leading = kurtosis / 24 * (2.25 * second) ** 2 * np.asarray(t) ** 4 * limit
    np.testing.assert_allclose(gaps[-1], leading, rtol=0.03)


# --- distances from the Gaussian --------------------------------------------------------------


def linear_gap(width):
    """|F − Φ| of a standardized output of linear units, sup over y: s² is chi-square over H."""
    if width == 4:  # the sum of two Laplace variables of scale ½, each variance ½
        survival = lambda y: (2 + 2 * y) / 4 * np.exp(-2 * y)  # noqa: E731
        y = np.linspace(0, 5, 200_001)
        return np.max(np.abs(survival(y) - stats.norm.sf(y)))
    # Trapezoid in log s²: the integrand is analytic and falls on both sides.
    log_w = np.linspace(np.log(1e-6), np.log(60.0), 4001)
    s2 = np.exp(log_w)
    weights = stats.chi2.pdf(width * s2, width) * width * s2 * (log_w[1] - log_w[0])
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-8)
    gap = lambda y: np.abs(stats.norm.sf(y / np.sqrt(s2)) @ weights - stats.norm.sf(y))  # noqa: E731
    coarse = np.linspace(0.05, 4, 400)
    best = coarse[np.argmax([gap(y) for y in coarse])]
    return max(gap(y) for y in np.linspace(best - 0.01, best + 0.01, 201))


def brute_psi(name, width, t, variance=2.0):
    """ψ_H of an output of unit variance, on a grid of units as fine as memory allows."""
    h2 = lambda u: NUMPY[name](u) ** 2  # noqa: E731
    second = trapezoid(h2, variance)
    rate = 1 / (2 * width * second)
    drops = [trapezoid(lambda u, s=s: np.expm1(-rate * s**2 * h2(u)), variance, 6001) for s in t]
    return np.exp(width * np.log1p(np.array(drops)))


def brute_kolmogorov(name, width):
    """Gil-Pelaez far beyond the package's cut, by panels, with a finer grid of thresholds."""
    nodes, weights = np.polynomial.legendre.leggauss(30)
    edges = np.concatenate([np.arange(0, 60, 2), np.geomspace(60, 3000, 50)])
    t = np.concatenate([(b - a) / 2 * nodes + (a + b) / 2 for a, b in pairwise(edges)])
    dt = np.concatenate([(b - a) / 2 * weights for a, b in pairwise(edges)])
    gap = (brute_psi(name, width, t) - np.exp(-(t**2) / 2)) / t * dt / np.pi
    coarse = np.linspace(0.05, 3.95, 196)
    value = lambda y: np.abs(np.sin(np.multiply.outer(y, t)) @ gap)  # noqa: E731
    best = coarse[np.argmax(value(coarse))]
    return np.max(value(np.linspace(best - 0.02, best + 0.02, 401)))


@pytest.mark.parametrize("width", [4, 5, 8, 16, 64])
def test_kolmogorov_distance_of_linear_units_is_exact(width):
    prior = ShallowPrior(LINEAR, 1.0, 1.0, 1.5)
    distance = finite_width.kolmogorov_distance(prior, jnp.ones(1), width)
    np.testing.assert_allclose(distance, linear_gap(width), rtol=1e-4)


@pytest.mark.parametrize(("name", "width"), [("tanh", 4), ("erf", 4), ("tanh", 5), ("tanh", 8)])
def test_kolmogorov_distance_against_a_longer_and_finer_inversion(name, width):
    prior = ShallowPrior(get(name), 1.0, 1.0, 1.5)
    distance = finite_width.kolmogorov_distance(prior, jnp.ones(1), width)
    np.testing.assert_allclose(distance, brute_kolmogorov(name, width), rtol=1e-4)


def test_kolmogorov_distance_does_not_see_the_scale_of_outputs():
    distances = [
        finite_width.kolmogorov_distance(ShallowPrior(TANH, 1.0, 1.0, scale, bias), jnp.ones(1), 10)
        for scale, bias in ((1.0, 0.0), (0.01, 0.0), (30.0, 5.0))
    ]
    np.testing.assert_allclose(distances, distances[0], rtol=1e-11)


def edgeworth_constant():
    u = np.linspace(0, 4, 400_001)
    return np.max(np.abs((u**3 - 3 * u) * stats.norm.pdf(u))) / 24


def test_the_constant_of_the_leading_order():
    np.testing.assert_allclose(edgeworth_constant(), 0.02294, atol=5e-6)


@pytest.mark.parametrize("name", ["tanh", "relu"])  # linear units hardly have a next order
def test_kolmogorov_distance_approaches_its_leading_order_as_one_over_width(name):
    prior, x = ShallowPrior(get(name), 1.0, 1.0), jnp.ones(1)
    widths = np.array([32, 64, 128, 256])
    ratios = [
        float(
            finite_width.kolmogorov_distance(prior, x, int(w))
            / finite_width.excess_kurtosis(prior, x, int(w))
            / edgeworth_constant()
        )
        for w in widths
    ]
    slope = np.polyfit(np.log(widths), np.log(np.abs(np.array(ratios) - 1)), 1)[0]
    np.testing.assert_allclose(slope, -1, atol=0.15)


@pytest.mark.parametrize("width", [3, 1, 0])
def test_kolmogorov_distance_refuses(width):
    with pytest.raises(ValueError, match=f"width is {width}"):
        finite_width.kolmogorov_distance(ShallowPrior(TANH), jnp.ones(1), width)


def brute_mmd(gap, lengthscale):
    """√E[gap(t)²] over t ~ N(0, 1/ℓ²) by a fine trapezoid."""
    t = np.linspace(-9, 9, 8001) / lengthscale
    weights = stats.norm.pdf(t * lengthscale) * lengthscale * (t[1] - t[0])
    return np.sqrt(weights @ gap(t) ** 2)


@pytest.mark.parametrize("ratio", [0.3, 1.0, 3.0, 9.9])  # of output to length scale
@pytest.mark.parametrize("width", [1, 4, 50, 1000])
def test_mmd_of_linear_units_is_exact(width, ratio):
    prior, variance = ShallowPrior(LINEAR, 1.0, 1.0, 0.8), 0.64 * 2
    lengthscale = variance**0.5 / ratio

    def gap(t):
        return (1 + variance * t**2 / width) ** (-width / 2) - np.exp(-variance * t**2 / 2)

    value = finite_width.mmd(prior, jnp.ones(1), width, lengthscale)
    np.testing.assert_allclose(value, brute_mmd(gap, lengthscale), rtol=1e-6)


@pytest.mark.parametrize("width", [0, -1])
def test_distances_and_laws_refuse_no_units(width):
    prior, x = ShallowPrior(TANH), jnp.ones(1)
    with pytest.raises(ValueError, match=f"width is {width}"):
        finite_width.mmd(prior, x, width)
    with pytest.raises(ValueError, match=f"width is {width}"):
        finite_width.characteristic_function(prior, x, width, jnp.ones(1))


@pytest.mark.parametrize("lengthscale", [0.0, -1.0, float("nan")])
def test_mmd_refuses_no_lengthscale(lengthscale):
    with pytest.raises(ValueError, match="lengthscale is"):
        finite_width.mmd(ShallowPrior(TANH), jnp.ones(1), 4, lengthscale)


@pytest.mark.parametrize("width", [1, 8, 256])
def test_mmd_of_tanh_units_against_a_fine_grid(width):
    prior = ShallowPrior(TANH, 1.0, 1.0, 1.5)
    deviation = 1.5 * np.sqrt(trapezoid(lambda u: np.tanh(u) ** 2, 2.0))

    def gap(t):
        s = deviation * t
        half = brute_psi("tanh", width, s[: len(s) // 2 + 1])  # ψ is even
        return np.concatenate([half, half[-2::-1]]) - np.exp(-(s**2) / 2)

    t = np.linspace(-9, 9, 1201)
    weights = stats.norm.pdf(t) * (t[1] - t[0])
    expected = np.sqrt(weights @ gap(t) ** 2)
    np.testing.assert_allclose(finite_width.mmd(prior, jnp.ones(1), width), expected, rtol=1e-6)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_mmd_approaches_its_leading_order_as_one_over_width(ratio):
    prior, x = ShallowPrior(TANH, 1.0, 1.0), jnp.ones(1)
    lengthscale = np.sqrt(trapezoid(lambda u: np.tanh(u) ** 2, 2.0)) / ratio
    widths = np.array([64, 128, 256, 512])
    constant = np.sqrt(105 * ratio**8 / (1 + 2 * ratio**2) ** 4.5) / 24
    ratios = [
        float(
            finite_width.mmd(prior, x, int(w), float(lengthscale))
            / finite_width.excess_kurtosis(prior, x, int(w))
            / constant
        )
        for w in widths
    ]
    slope = np.polyfit(np.log(widths), np.log(np.abs(np.array(ratios) - 1)), 1)[0]
    np.testing.assert_allclose(slope, -1, atol=0.1)


def test_sign_units_are_at_no_distance():
    prior = ShallowPrior(SIGN)
    assert finite_width.kolmogorov_distance(prior, jnp.ones(1), 4) < 1e-13
    assert finite_width.mmd(prior, jnp.ones(1), 4) < 1e-13


# --- stable limits ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tanh", "erf", "relu", "sign", "linear"])
def test_stable_scale_at_two_is_the_root_mean_square(name):
    prior, x = ShallowPrior(get(name), 0.8, 0.5, 1.6), jnp.asarray(X[0])
    point = x[None]
    expected = 1.6 * np.sqrt(shallow.hidden_moment(prior, point, point)[0, 0])
    np.testing.assert_allclose(shallow.stable_scale(prior, x, 2.0), expected, rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.05, 0.5, 1.0, 1.7, 2.0])
def test_stable_scale_of_sign_units_is_the_weights(alpha):
    scale = shallow.stable_scale(ShallowPrior(SIGN, 3.0, 0.1, 1.6), jnp.ones(1), alpha)
    np.testing.assert_allclose(scale, 1.6, rtol=1e-11)


@pytest.mark.parametrize("alpha", [0.5, 0.8, 1.0, 1.5])
def test_stable_scale_of_linear_and_tanh_units(alpha):
    # E|z|^α = 2^(α/2) Γ((α+1)/2)/√π for a standard Gaussian.
    absolute = 2 ** (alpha / 2) * gamma((alpha + 1) / 2) / np.sqrt(np.pi)
    prior = ShallowPrior(LINEAR, 1.0, 1.0, 1.6)
    expected = 1.6 * np.sqrt(2.0) * absolute ** (1 / alpha)
    rtol = 1e-6 if alpha < 0.8 else 1e-7
    np.testing.assert_allclose(shallow.stable_scale(prior, jnp.ones(1), alpha), expected, rtol=rtol)
    bounded = np.abs(np.tanh(np.sqrt(2.0) * Z)) ** alpha
    moment = (shallow.stable_scale(ShallowPrior(TANH), jnp.ones(1), alpha)) ** alpha
    assert abs(moment - bounded.mean()) < SIGMAS * bounded.std() / np.sqrt(len(Z))


@pytest.mark.parametrize("alpha", [0.8, 1.5])
def test_sums_of_stable_terms_tend_to_the_stated_law(alpha):
    # Given the hidden units, E exp(itf) = exp(−|ωt|^α mean|h_j|^α) exactly; average over units.
    rng = np.random.default_rng(5)
    t = np.array([0.3, 1.0, 3.0])
    scale = float(shallow.stable_scale(ShallowPrior(TANH, 1.0, 1.0, 1.6), jnp.ones(1), alpha))
    limit = np.exp(-((scale * t) ** alpha))
    gaps = []
    for width in (16, 64):
        h = np.abs(np.tanh(np.sqrt(2.0) * rng.standard_normal((4_000_000 // width, width))))
        psi = np.exp(-np.multiply.outer((1.6 * t) ** alpha, np.mean(h**alpha, axis=1)))
        gaps.append((psi.mean(1) - limit, psi.std(1) / np.sqrt(psi.shape[1])))
    (few, few_error), (many, many_error) = gaps
    # The gap is O(1/H): four times the units, a quarter of it, to a relative O(1/16).
    noise = SIGMAS * np.hypot(4 * many_error, few_error)
    assert np.all(np.abs(4 * many - few) < noise + 4 / 16 * np.abs(few))
    assert np.max(np.abs(few) / few_error) > 20  # so there is a gap to see


@pytest.mark.parametrize("alpha", [0.0, -1.0, 2.01, float("nan")])
def test_stable_scale_refuses(alpha):
    with pytest.raises(ValueError, match="a stable index lies in"):
        shallow.stable_scale(ShallowPrior(TANH), jnp.ones(1), alpha)


def test_kernel_and_moments_work_under_jit():
    prior, x = ShallowPrior(TANH, 1.3, 0.4), jnp.asarray(X)
    np.testing.assert_allclose(
        jax.jit(lambda x: shallow.kernel(prior, x, x))(x), shallow.kernel(prior, x, x), rtol=1e-13
    )
