"""Distances of a mixture from a Gaussian, on mixtures whose distance is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from widelimit.lab import mixtures

# Two variances, one network in four with the larger: every mean is then exact.
LOW, HIGH = 0.5, 3.0
VARIANCES = np.array([LOW, LOW, LOW, HIGH] * 500)
MEAN = VARIANCES.mean()


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """The lab works in float32; the stated errors of the formulas need float64 to be seen."""
    jax.config.update("jax_enable_x64", request.param == "float64")
    return request.param


def sample(values, dtype):
    return jnp.asarray(values, dtype)


def test_kurtosis_of_two_variances(dtype):
    kurtosis = mixtures.excess_kurtosis(sample(VARIANCES, dtype))
    assert kurtosis.dtype == dtype
    fourth = 3 * (0.75 * LOW**2 + 0.25 * HIGH**2)
    expected = (fourth / MEAN**2 - 3) * 2000 / 1999  # the sample variance is the unbiased one
    np.testing.assert_allclose(kurtosis, expected, rtol=1e-5 if dtype == "float32" else 1e-12)


def test_kurtosis_of_an_exponential_mixture_is_a_laplace_law():
    # s² exponential makes f Laplace, of excess kurtosis 3.
    s2 = np.random.default_rng(0).exponential(size=(50, 20_000))
    values = [float(mixtures.excess_kurtosis(sample(row, "float32"))) for row in s2]
    # The ratio is biased by O(1/20,000), below the error of the mean of 50.
    assert abs(np.mean(values) - 3) < 4.5 * np.std(values, ddof=1) / np.sqrt(50)


def gap(t, low, high, share):
    mixture = (1 - share) * stats.norm.cdf(t / np.sqrt(low)) + share * stats.norm.cdf(
        t / np.sqrt(high)
    )
    return np.abs(mixture - stats.norm.cdf(t / np.sqrt((1 - share) * low + share * high)))


@pytest.mark.parametrize("low", [0.9, 0.5, 0.1, 0.01])
def test_kolmogorov_distance_of_two_variances(low, dtype):
    s2 = np.array([low, low, low, 1.0] * 250)
    distance = mixtures.kolmogorov_distance(sample(s2, dtype))
    t = np.linspace(0, 4 * np.sqrt(s2.mean()), 400_001)
    exact = gap(t, low, 1.0, 0.25).max()
    rounding = 1e-5 if dtype == "float32" else 0
    assert abs(distance - exact) < 1e-3 * exact + rounding


def test_kolmogorov_distance_of_a_laplace_law():
    quantiles = -np.log1p(-(np.arange(200_000) + 0.5) / 200_000)  # of the exponential law
    distance = mixtures.kolmogorov_distance(sample(quantiles, "float32"))
    t = np.linspace(0, 4, 100_001)
    exact = np.max(np.abs(stats.laplace.cdf(t, scale=0.5**0.5) - stats.norm.cdf(t)))
    np.testing.assert_allclose(distance, exact, rtol=2e-3)


@pytest.mark.parametrize("lengthscale", [0.2, 1.0, 4.0])
def test_mmd_of_two_variances(lengthscale, dtype):
    def squared(w):
        mixture = 0.75 * np.exp(-LOW * w**2 / 2) + 0.25 * np.exp(-HIGH * w**2 / 2)
        density = stats.norm.pdf(w, scale=1 / lengthscale)
        return density * (mixture - np.exp(-MEAN * w**2 / 2)) ** 2

    exact = np.sqrt(2 * quad(squared, 0, 12 / lengthscale, epsabs=0, epsrel=1e-11, limit=200)[0])
    value = mixtures.mmd(sample(VARIANCES, dtype), lengthscale)
    np.testing.assert_allclose(value, exact, rtol=1e-4 if dtype == "float32" else 1e-6)


def test_mmd_is_the_kernel_distance_of_samples():
    # The definition, E k(f,f′) − 2E k(f,g) + E k(g,g′), in closed form for Gaussian pairs.
    laws = [(0.75, LOW), (0.25, HIGH), (-1.0, MEAN)]
    squared = sum(a * b / np.sqrt(1 + v + w) for a, v in laws for b, w in laws)
    np.testing.assert_allclose(
        mixtures.mmd(sample(VARIANCES, "float32")), np.sqrt(squared), rtol=1e-4
    )


def test_constant_variances_are_a_gaussian():
    s2 = jnp.full(1000, 0.37, jnp.float32)
    assert mixtures.excess_kurtosis(s2) < 1e-10
    assert abs(mixtures.kolmogorov_distance(s2)) < 1e-6
    assert mixtures.mmd(s2) < 1e-6


@pytest.mark.parametrize("name", ["excess_kurtosis", "kolmogorov_distance", "mmd"])
def test_order_does_not_matter_and_shape_alone_does(name):
    measure = getattr(mixtures, name)
    s2 = np.random.default_rng(1).exponential(size=5000)
    value = measure(sample(s2, "float32"))
    assert value.shape == ()
    assert value.dtype == jnp.float32
    assert value > 0
    np.testing.assert_allclose(measure(sample(s2[::-1], "float32")), value, rtol=1e-5)
    # Scaling outputs by c scales s² by c²: a length scale must go with it.
    scaled = sample(9 * s2, "float32")
    again = measure(scaled, 3.0) if name == "mmd" else measure(scaled)
    np.testing.assert_allclose(again, value, rtol=1e-4)


@pytest.mark.parametrize("name", ["kolmogorov_distance", "mmd"])
def test_distances_grow_linearly_with_the_kurtosis(name):
    # For a narrow spread ε both distances are κ/24 times a constant, κ = 3ε²: slope 1 in κ.
    jax.config.update("jax_enable_x64", True)
    measure, spreads = getattr(mixtures, name), np.array([0.02, 0.04, 0.08])
    samples = [sample(1 + e * np.array([1.0, -1.0] * 500), "float64") for e in spreads]
    distances = np.array([float(measure(s2)) for s2 in samples])
    slopes = np.diff(np.log(distances)) / np.diff(np.log(spreads**2))
    np.testing.assert_allclose(slopes, 1, atol=0.01)
    u = np.linspace(0, 4, 100_001)
    constant = {
        "kolmogorov_distance": np.max(np.abs((u**3 - 3 * u) * stats.norm.pdf(u))) / 24,
        "mmd": np.sqrt(105 / 3**4.5) / 24,
    }[name]
    np.testing.assert_allclose(distances[0], 3 * spreads[0] ** 2 * constant, rtol=2e-3)


def test_maps_over_replicates():
    groups = sample(np.random.default_rng(2).exponential(size=(3, 400)), "float32")
    for measure in (mixtures.excess_kurtosis, mixtures.kolmogorov_distance, mixtures.mmd):
        together = jax.vmap(measure)(groups)
        np.testing.assert_allclose(together, [measure(one) for one in groups], rtol=1e-4)
