"""The posterior of a Gaussian process by routes that share no line with it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from widelimit.theory.regression import condition

KERNEL = ConstantKernel(1.7) * RBF(0.6)


def problem(n=6, m=5, seed=0):
    rng = np.random.default_rng(seed)
    x, x_test = rng.uniform(-2, 2, (n, 1)), np.linspace(-2.5, 2.5, m)[:, None]
    return x, x_test, rng.standard_normal(n)


def conditioned(x, x_test, y, noise_var):
    blocks = KERNEL(x), KERNEL(x, x_test), KERNEL(x_test)
    return condition(*map(jnp.asarray, blocks), jnp.asarray(y), noise_var)


@pytest.mark.parametrize("noise_var", [0.01, 0.3, 25.0])
def test_is_the_formula_with_an_inverse(noise_var):
    x, x_test, y = problem()
    inverse = np.linalg.inv(KERNEL(x) + noise_var * np.eye(len(x)))
    cross = KERNEL(x, x_test)
    posterior = conditioned(x, x_test, y, noise_var)
    # Two solutions of a system of condition number c differ by a few c·1e-16.
    tolerance = 1e-15 * np.linalg.cond(inverse) * 10
    np.testing.assert_allclose(posterior.mean, cross.T @ inverse @ y, atol=tolerance)
    covariance = KERNEL(x_test) - cross.T @ inverse @ cross
    np.testing.assert_allclose(posterior.covariance, covariance, atol=tolerance)


@pytest.mark.parametrize("noise_var", [0.01, 0.3])
def test_is_scikit_learns(noise_var):
    x, x_test, y = problem(n=9, m=7, seed=1)
    other = GaussianProcessRegressor(KERNEL, alpha=noise_var, optimizer=None).fit(x, y)
    mean, covariance = other.predict(x_test, return_cov=True)
    posterior = conditioned(x, x_test, y, noise_var)
    np.testing.assert_allclose(posterior.mean, mean, atol=1e-11)
    np.testing.assert_allclose(posterior.covariance, covariance, atol=1e-11)
    np.testing.assert_allclose(
        posterior.log_evidence, other.log_marginal_likelihood_value_, rtol=1e-11
    )


@pytest.mark.parametrize("n", [1, 2, 9])
def test_log_evidence_is_the_density_of_the_targets(n):
    x, x_test, y = problem(n=n, seed=2)
    density = stats.multivariate_normal(cov=KERNEL(x) + 0.2 * np.eye(n)).logpdf(y)
    np.testing.assert_allclose(conditioned(x, x_test, y, 0.2).log_evidence, density, rtol=1e-12)


def test_evidence_is_a_product_of_predictions():
    # p(y₁…y_n) = Π p(y_k | y₁…y_{k−1}): mean, covariance and evidence hang together.
    x, _, y = problem(n=5, seed=3)
    noise_var = 0.1
    total = stats.norm.logpdf(y[0], scale=np.sqrt(KERNEL(x[:1])[0, 0] + noise_var))
    for k in range(1, 5):
        one = conditioned(x[:k], x[k : k + 1], y[:k], noise_var)
        scale = np.sqrt(one.covariance[0, 0] + noise_var)
        total += stats.norm.logpdf(y[k], loc=one.mean[0], scale=scale)
    np.testing.assert_allclose(conditioned(x, x, y, noise_var).log_evidence, total, rtol=1e-12)


def test_interpolates_as_the_noise_vanishes():
    # At the training inputs the mean misses y by σ²(K + σ²I)⁻¹y, and the variance is σ² less
    # O(σ⁴): both fall with slope 1.
    x = np.array([[-1.5], [-0.4], [0.5], [1.7]])
    y = np.array([1.0, -0.5, 0.2, 0.8])
    noises = np.array([1e-3, 1e-4, 1e-5])
    posteriors = [conditioned(x, x, y, float(noise)) for noise in noises]
    misses = [np.max(np.abs(p.mean - y)) for p in posteriors]
    variances = [np.max(np.diagonal(p.covariance)) for p in posteriors]
    for values in (misses, variances):
        slopes = np.diff(np.log(values)) / np.diff(np.log(noises))
        np.testing.assert_allclose(slopes, 1, atol=0.01)
    exact = conditioned(x, x, y, 0.0)
    np.testing.assert_allclose(exact.mean, y, atol=1e-13)
    np.testing.assert_allclose(exact.covariance, 0, atol=1e-13)


def test_knows_nothing_where_the_kernel_is_zero():
    posterior = condition(jnp.eye(3), jnp.zeros((3, 2)), 4 * jnp.eye(2), jnp.ones(3), 1.0)
    np.testing.assert_array_equal(posterior.mean, 0)
    np.testing.assert_array_equal(posterior.covariance, 4 * np.eye(2))


def test_covariance_is_a_covariance_and_never_above_the_prior():
    x, x_test, y = problem(n=8, m=12, seed=4)
    posterior = conditioned(x, x_test, y, 0.05)
    np.testing.assert_array_equal(posterior.covariance, posterior.covariance.T)
    assert np.linalg.eigvalsh(posterior.covariance).min() > -1e-14
    assert np.linalg.eigvalsh(KERNEL(x_test) - posterior.covariance).min() > -1e-14
    twice = conditioned(x, x_test, 2 * y, 0.05)
    np.testing.assert_allclose(twice.mean, 2 * posterior.mean, rtol=1e-14)
    np.testing.assert_array_equal(twice.covariance, posterior.covariance)


def test_works_under_jit_and_differentiates():
    x, x_test, y = problem()
    k, cross, test = (jnp.asarray(b) for b in (KERNEL(x), KERNEL(x, x_test), KERNEL(x_test)))

    def evidence(factor):
        return condition(factor * k, cross, test, jnp.asarray(y), 0.2).log_evidence

    np.testing.assert_allclose(jax.jit(evidence)(1.0), evidence(1.0), rtol=1e-13)
    # d/ds log p at s = 1, in closed form: ½ tr[(αα′ − (K + σ²I)⁻¹) K] (Rasmussen & Williams 5.9).
    inverse = np.linalg.inv(KERNEL(x) + 0.2 * np.eye(len(x)))
    alpha = inverse @ y
    slope = (alpha @ KERNEL(x) @ alpha - np.trace(inverse @ KERNEL(x))) / 2
    np.testing.assert_allclose(jax.grad(evidence)(1.0), slope, rtol=1e-11)


@pytest.mark.parametrize(
    ("k", "noise_var", "message"),
    [
        (jnp.eye(2), -0.1, "noise_var is -0.1; a variance is ≥ 0"),
        (jnp.ones((2, 2)), 0.0, "not positive definite"),
        (jnp.diag(jnp.asarray([1.0, -1.0])), 0.5, "noise_var=0.5 is not positive definite"),
        (jnp.eye(2) * jnp.nan, 0.5, "not positive definite"),
        (jnp.eye(2), float("nan"), "noise_var"),
    ],
)
def test_refuses(k, noise_var, message):
    with pytest.raises(ValueError, match=message):
        condition(k, jnp.ones((2, 1)), jnp.ones((1, 1)), jnp.ones(2), noise_var)


def test_repeated_inputs_are_fine_with_noise():
    # Two readings at one place are one reading of their mean with half the noise.
    k, cross, test = jnp.ones((2, 2)), jnp.ones((2, 1)), jnp.ones((1, 1))
    two = condition(k, cross, test, jnp.asarray([0.3, 0.7]), 0.2)
    one = condition(k[:1, :1], cross[:1], test, jnp.asarray([0.5]), 0.1)
    np.testing.assert_allclose(two.mean, one.mean, rtol=1e-14)
    np.testing.assert_allclose(two.covariance, one.covariance, rtol=1e-13)
