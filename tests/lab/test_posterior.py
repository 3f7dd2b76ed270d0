"""The posterior of a finite network, by importance sampling written again in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from widelimit.activations import get
from widelimit.architectures import ShallowPrior
from widelimit.lab import shallow
from widelimit.lab.posterior import Posterior, sample_posterior

PRIOR = ShallowPrior(get("tanh"), 2.0, 1.0, 1.3, 0.4)
X = jnp.asarray([[-1.0], [0.2], [0.9]])
Y = jnp.asarray([-0.7, 0.1, 0.8])
X_TEST = jnp.asarray([[-2.0], [0.5]])
NOISE_VAR = 0.1
SIGMAS = 4.5


def sample(key=0, draws=2000, width=3, x=X, y=Y, noise_var=NOISE_VAR, prior=PRIOR):
    return sample_posterior(prior, jax.random.key(key), draws, width, x, y, X_TEST, noise_var)


def brute_force(rng, draws, width):
    """Posterior mean and second moment: every weight of the hidden layer drawn, by scipy."""
    points = np.concatenate([X, X_TEST])[:, 0]
    h = np.tanh(
        rng.standard_normal((draws, width, 1)) + 2 * rng.standard_normal((draws, width, 1)) * points
    )
    k = 0.4**2 + 1.3**2 * np.einsum("dwi,dwj->dij", h, h) / width
    train = k[:, :3, :3] + NOISE_VAR * np.eye(3)
    inverse, y = np.linalg.inv(train), np.asarray(Y, float)
    quadratic = np.einsum("i,dij,j->d", y, inverse, y)
    likelihood = np.exp(-quadratic / 2) / np.sqrt(np.linalg.det(train))
    gain = np.einsum("dim,dij->dmj", k[:, :3, 3:], inverse)
    means = gain @ y
    variances = np.einsum("dmm->dm", k[:, 3:, 3:]) - np.einsum("dmj,djm->dm", gain, k[:, :3, 3:])
    weights = likelihood / likelihood.sum()
    return weights @ means, weights @ (variances + means**2)


@pytest.mark.parametrize("width", [1, 2, 10, 200])
def test_shapes_and_normalized_weights(width, assert_float32):
    posterior = sample(width=width)
    assert_float32(posterior)
    assert [part.shape for part in posterior] == [(2000,), (2000, 2), (2000, 2), (2000, 5, 5)]
    np.testing.assert_allclose(jnp.sum(posterior.weights), 1, rtol=1e-5)
    assert np.all(posterior.weights >= 0)
    assert np.all(posterior.variances > 0)
    assert 0 < posterior.effective_fraction <= 1
    assert posterior.mean.shape == posterior.std.shape == (2,)
    np.testing.assert_array_equal(posterior.mean, sample(width=width).mean)


@pytest.mark.parametrize("width", [1, 3, 20])
def test_is_a_brute_force_sampler_in_numpy(width):
    rng = np.random.default_rng(1)
    theirs = np.array([brute_force(rng, 4000, width) for _ in range(20)])
    ours = []
    for key in range(20):
        posterior = sample(key, 4000, width)
        ours.append([posterior.mean, posterior.std**2 + posterior.mean**2])
    ours = np.array(ours, float)
    # Weighted means are biased by O(1/4000 draws), below these errors.
    error = np.sqrt(ours.var(0, ddof=1) / 20 + theirs.var(0, ddof=1) / 20)
    assert np.all(np.abs(ours.mean(0) - theirs.mean(0)) < SIGMAS * error)
    assert np.max(error) < 0.01  # sharp enough to matter: the means are of order 1


def test_each_draw_is_conditioned_exactly():
    posterior, y = sample(draws=50, width=2), np.asarray(Y, float)
    log_likelihoods = []
    for index in range(50):
        k = np.asarray(posterior.covariances[index], float)
        train = k[:3, :3] + NOISE_VAR * np.eye(3)
        gain = np.linalg.solve(train, k[:3, 3:])
        # float32 solutions err by 1e-7 times the condition number.
        tolerance = 1e-6 * np.linalg.cond(train)
        np.testing.assert_allclose(posterior.means[index], y @ gain, atol=tolerance)
        variances = np.diagonal(k[3:, 3:] - k[3:, :3] @ gain)
        np.testing.assert_allclose(posterior.variances[index], variances, atol=tolerance)
        log_likelihoods.append(stats.multivariate_normal(cov=train).logpdf(y))
    relative = np.exp(log_likelihoods - np.max(log_likelihoods))
    np.testing.assert_allclose(posterior.weights, relative / relative.sum(), rtol=1e-3)


def gaussian_process():
    """The limit, its kernel averaged by numpy over four million units."""
    points = np.concatenate([X, X_TEST])[:, 0]
    rng = np.random.default_rng(2)
    k = np.zeros((5, 5))
    for _ in range(4):
        u, a = 2 * rng.standard_normal((1_000_000, 1)), rng.standard_normal((1_000_000, 1))
        h = np.tanh(a + u * points)
        k += h.T @ h / 4_000_000
    k = 0.4**2 + 1.3**2 * k
    gain = np.linalg.solve(k[:3, :3] + NOISE_VAR * np.eye(3), k[:3, 3:])
    return np.asarray(Y, float) @ gain, np.sqrt(np.diagonal(k[3:, 3:] - k[3:, :3] @ gain))


def test_tends_to_the_gaussian_process():
    mean, std = gaussian_process()
    widths, gaps, noises = (2, 8, 2048), [], []
    for width in widths:
        replicates = [sample(key, 4000 if width < 100 else 400, width) for key in range(16)]
        values = np.array([[one.mean, one.std] for one in replicates], float)
        gaps.append(values.mean(0) - [mean, std])
        noises.append(values.std(0, ddof=1) / 4)
    gaps, noises = np.abs(gaps), np.array(noises)
    # At 2048 units the gap is at most a few thousandths, here less than noise and 10/H.
    assert np.all(gaps[2] < SIGMAS * noises[2] + 10 / 2048)
    # At 2 units there is one, and it shrinks.
    assert np.max(gaps[0] / noises[0]) > 10
    assert np.max(gaps[1]) < np.max(gaps[0]) / 2


def test_hidden_layers_matter_less_as_width_grows():
    fractions = np.array([float(sample(width=w).effective_fraction) for w in (1, 8, 64, 512)])
    assert np.all(np.diff(fractions) > 0)
    # Log-likelihoods scatter as H^(−1/2), so 1/fraction − 1, their variance, falls as 1/H.
    slope = np.polyfit(np.log([64, 512]), np.log(1 / fractions[2:] - 1), 1)[0]
    assert abs(slope + 1) < 0.2


def test_without_hidden_randomness_it_is_a_gaussian_process():
    # σ_u = 0 and a sign unit: f = b + c with c of variance ω², whatever the unit's sign is.
    prior = ShallowPrior(get("sign"), 0.0, 1.0, 1.3, 0.4)
    posterior = sample(prior=prior, width=5)
    # Every hidden layer has one kernel, so all weights agree and the answer is exact.
    np.testing.assert_allclose(posterior.effective_fraction, 1, rtol=1e-5)
    variance = 1.3**2 + 0.4**2
    shrunk = variance / (3 * variance + NOISE_VAR)
    np.testing.assert_allclose(posterior.mean, shrunk * np.sum(Y) * np.ones(2), atol=1e-4)
    np.testing.assert_allclose(
        posterior.std, np.sqrt(variance * (1 - 3 * shrunk)) * np.ones(2), rtol=2e-3
    )


def test_summaries_of_a_sample_known_by_hand():
    posterior = Posterior(
        jnp.asarray([0.25, 0.75]),
        jnp.asarray([[0.0], [4.0]]),
        jnp.asarray([[1.0], [2.0]]),
        jnp.zeros((2, 2, 2)),
    )
    assert posterior.mean == 3.0
    # 0.25·1 + 0.75·2 within, 0.25·9 + 0.75·1 between.
    np.testing.assert_allclose(posterior.std, np.sqrt(1.75 + 3.0), rtol=1e-6)
    np.testing.assert_allclose(posterior.effective_fraction, 1 / (2 * 0.625), rtol=1e-6)


def test_simulation_based_calibration(monkeypatch):
    # Data drawn from the prior: the truth's posterior quantile is then uniform (Cook et al. 2006).
    monkeypatch.setattr(shallow, "_BLOCK", 4000 << 3)  # one block holds the draws and no more
    rng = np.random.default_rng(3)
    points, quantiles = np.concatenate([X, X_TEST])[:, 0], []
    for trial in range(400):
        h = np.tanh(rng.standard_normal((2, 1)) + 2 * rng.standard_normal((2, 1)) * points)
        f = 0.4 * rng.standard_normal() + 1.3 / np.sqrt(2) * rng.standard_normal(2) @ h
        y = f[:3] + np.sqrt(NOISE_VAR) * rng.standard_normal(3)
        posterior = sample(trial, 2000, 2, y=jnp.asarray(y, jnp.float32))
        below = stats.norm.cdf(f[4], posterior.means[:, 1], np.sqrt(posterior.variances[:, 1]))
        quantiles.append(np.asarray(posterior.weights, float) @ below)
    assert stats.kstest(np.clip(quantiles, 0, 1), "uniform").pvalue > 2 * stats.norm.sf(SIGMAS)


@pytest.mark.parametrize("noise_var", [0.0, -1.0, float("nan")])
def test_refuses_no_noise(noise_var):
    with pytest.raises(ValueError, match="noise_var is"):
        sample(noise_var=noise_var)


def test_refuses_numbers_that_differ():
    # Where shapes are checked the annotation refuses first.
    with pytest.raises(Exception, match=r"3 inputs and y 2 targets|parameter 'y'"):
        sample(y=Y[:2])
