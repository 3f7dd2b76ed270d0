"""The posterior of a Gaussian process and the loss on random features, by routes of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from widelimit.theory.regression import condition, random_features_loss

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
        (jnp.eye(2) * jnp.nan, 0.5, "kernel_train holds NaN"),
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


# Random features.


def features_loss(kernel, targets, features, ridge):
    arrays = (jnp.asarray(np.asarray(x, float)) for x in (kernel, targets))
    return np.asarray(random_features_loss(*arrays, features, ridge))


@pytest.mark.parametrize("features", [5, 20, 70])
@pytest.mark.parametrize("ridge", [1e-4, 3.0, 500.0])
def test_white_features_in_closed_form(features, ridge):
    # K = v·1 on n inputs: κ² + κ(v − (n/D)·v − λ/D) − λv/D = 0, and the loss is κ/(κ + v)·|y|².
    n, v = 20, 1.7
    b, c = v * (1 - n / features) - ridge / features, ridge * v / features
    root = np.sqrt(b**2 + 4 * c)
    kappa = (root - b) / 2 if b < 0 else 2 * c / (root + b)  # no cancellation
    y = np.random.default_rng(5).standard_normal((n, 3))
    found = features_loss(v * np.eye(n), y, features, ridge)
    np.testing.assert_allclose(found, kappa / (kappa + v) * np.sum(y**2, axis=0), rtol=1e-11)


@pytest.mark.parametrize(("n", "features"), [(40, 10), (10, 40)])
def test_white_features_are_an_integral_over_marchenko_and_pasturs_law(n, features):
    # The eigenvalues of FFᵀ/D fill [v(1 − √r)², v(1 + √r)²], r = n/D; where n > D a share 1 − 1/r
    # is 0. With s = middle + radius·cos θ the density's roots cancel, and the midpoint rule in θ is
    # exact to rounding.
    v, ridge, r = 1.7, 3.0, n / features
    angles = np.pi * (np.arange(400) + 0.5) / 400
    s = v * (1 + r) + 2 * v * np.sqrt(r) * np.cos(angles)
    weights = (2 * v * np.sqrt(r) * np.sin(angles)) ** 2 / (2 * np.pi * v * r * s) * np.pi / 400
    np.testing.assert_allclose(weights.sum(), min(1, 1 / r), rtol=1e-12)
    share = weights @ (ridge / (features * s + ridge)) + max(0, 1 - 1 / r)
    y = np.random.default_rng(6).standard_normal((n, 1))
    found = features_loss(v * np.eye(n), y, features, ridge)
    np.testing.assert_allclose(found, share * np.sum(y**2), rtol=1e-11)


def test_many_features_are_the_kernel_itself():
    # At a ridge of r for each feature the loss tends to r·yᵀ(K + r)⁻¹y, as 1/D.
    x, _, _ = problem(n=12)
    y, r = np.random.default_rng(7).standard_normal((12, 2)), 0.3
    limit = r * np.sum(y * np.linalg.solve(KERNEL(x) + r * np.eye(12), y), axis=0)
    counts = 10 ** np.arange(3, 8)
    off = np.array([features_loss(KERNEL(x), y, int(d), r * d) / limit - 1 for d in counts])
    slopes = np.diff(np.log(off), axis=0) / np.log(10)
    np.testing.assert_allclose(slopes, -1, atol=0.02)  # the next order at D = 1000
    assert np.abs(off[-1]).max() < 1e-5


def test_a_small_ridge_leaves_what_the_features_cannot_reach():
    # D random directions among n fit D/n of a target under a white kernel, and all of it if D ≥ n.
    y = np.ones((20, 1))
    for features, left in ((5, 15), (10, 10), (40, 0)):
        found = features_loss(np.eye(20), y, features, 1e-9)
        np.testing.assert_allclose(found, left, atol=1e-8)
    # A large one leaves everything, less λ⁻¹·D·yᵀKy.
    np.testing.assert_allclose(features_loss(np.eye(20), y, 10, 1e8), 20 - 200e-8, rtol=1e-12)


def test_one_basis_or_another():
    # Targets along eigenvectors lose each their own share, and units cancel: loss(sK, y, D, sλ).
    x, _, _ = problem(n=9)
    values, vectors = np.linalg.eigh(KERNEL(x))
    alone = features_loss(np.diag(values), np.eye(9), 6, 0.2)
    np.testing.assert_allclose(features_loss(KERNEL(x), vectors, 6, 0.2), alone, rtol=1e-9)
    np.testing.assert_allclose(features_loss(5 * KERNEL(x), vectors, 6, 1.0), alone, rtol=1e-9)
    assert (np.diff(alone) < 0).all()  # the larger the eigenvalue, the better its target is fitted


def drawn_losses(root, targets, features, ridge, draws, seed):
    """|y − Fβ|² + λ|β|² at its minimum, from the normal equations of β, for random features F."""
    generator = np.random.default_rng(seed)
    f = root @ generator.standard_normal((draws, len(root), features))
    turned = f.transpose(0, 2, 1)
    beta = np.linalg.solve(turned @ f + ridge * np.eye(features), turned @ targets)
    return np.sum((targets - f @ beta) ** 2, axis=1) + ridge * np.sum(beta**2, axis=1)


def test_gaussian_features_are_drawn():
    x = np.linspace(-2, 2, 30)[:, None]
    kernel, ridge, features = KERNEL(x), 0.5, 40
    values, vectors = np.linalg.eigh(kernel)
    root = vectors * np.sqrt(np.maximum(values, 0))
    # Smooth and rough targets: from fitted to not fitted at all.
    targets = np.cos(np.outer(2 * x[:, 0], np.arange(5)))
    losses = drawn_losses(root, targets, features, ridge, 2000, seed=1)
    mean, error = losses.mean(axis=0), losses.std(axis=0) / np.sqrt(len(losses))
    found = features_loss(kernel, targets, features, ridge)
    np.testing.assert_array_less(np.abs(found - mean), 5 * error + mean / features)
    share = found / np.sum(targets**2, axis=0)
    assert share.min() < 0.02
    assert share.max() > 0.5


def test_the_error_falls_as_one_over_the_number_of_features():
    counts, off = (6, 12, 24, 48), []
    for features, draws in zip(counts, (20_000, 10_000, 4_000, 1_500), strict=True):
        n, ridge = features * 4 // 3, 0.2 * features
        # The mean over targets along all axes is sharper than that of one.
        losses = drawn_losses(np.eye(n), np.eye(n), features, ridge, draws, seed=2).mean(axis=1)
        found = features_loss(np.eye(n), np.eye(n), features, ridge).mean()
        off.append(losses.mean() / found - 1)
        assert losses.std() / np.sqrt(draws) / found < 0.1 * off[-1]
    # Four errors of at most 10% over a factor 8 are 0.065 in the slope.
    slope = np.polyfit(np.log(counts), np.log(off), 1)[0]
    assert abs(slope + 1) < 2.5 * 0.065


@pytest.mark.parametrize(
    ("features", "ridge", "message"),
    [
        (0, 1.0, "features=0; regression needs at least one"),
        (3, 0.0, r"ridge=0\.0 must be positive and finite; without one the regression"),
        (3, -1.0, r"ridge=-1\.0 must be positive"),
        (3, float("nan"), "ridge=nan must be positive"),
        (3, float("inf"), "ridge=inf must be positive and finite"),
    ],
)
def test_features_loss_refuses(features, ridge, message):
    with pytest.raises(ValueError, match=message):
        features_loss(np.eye(4), np.ones((4, 1)), features, ridge)


def test_outputs_are_processes_of_their_own():
    x, x_test, y = problem(n=7, seed=4)
    many = np.stack([y, 2 * y, np.cos(y)], axis=1)
    together = conditioned(x, x_test, many, 0.1)
    each = [conditioned(x, x_test, one, 0.1) for one in many.T]
    np.testing.assert_allclose(together.mean, np.stack([e.mean for e in each], 1), atol=1e-13)
    np.testing.assert_allclose(together.log_evidence, sum(e.log_evidence for e in each), rtol=1e-13)
    np.testing.assert_allclose(together.covariance, each[0].covariance, atol=1e-14)


def test_jitter_is_added_only_if_allowed_and_needed_and_then_reported():
    # Two inputs so near that the matrix is singular to rounding.
    x, x_test, y = np.array([[0.0], [1e-9], [0.7]]), np.zeros((1, 1)), np.array([1.0, 1.0, -1.0])
    blocks = [jnp.asarray(k) for k in (KERNEL(x), KERNEL(x, x_test), KERNEL(x_test))]
    with pytest.raises(ValueError, match="most_jitter=1e-8 or more"):
        condition(*blocks, jnp.asarray(y), 0.0)
    with pytest.raises(ValueError, match="nor with most_jitter=1e-12"):
        condition(*blocks, jnp.asarray(y), 0.0, most_jitter=1e-12)
    posterior = condition(*blocks, jnp.asarray(y), 0.0, most_jitter=1e-6)
    assert posterior.jitter == pytest.approx(1.7e-10)
    same = condition(*blocks, jnp.asarray(y), posterior.jitter)
    np.testing.assert_array_equal(posterior.mean, same.mean)
    assert condition(*blocks, jnp.asarray(y), 0.1, most_jitter=1e-6).jitter == 0


def test_jitter_grows_tenfold_until_it_is_enough():
    # The least eigenvalue is −3e-8, so 1e-8 is too little and 1e-7 enough.
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    kernel = jnp.asarray(turn @ np.diag([1.0, 1.0, 1.0, -3e-8]) @ turn.T)
    posterior = condition(kernel, kernel, kernel, jnp.ones(4), 0.0, most_jitter=1e-7)
    assert posterior.jitter == pytest.approx(0.75e-7)
    with pytest.raises(ValueError, match="nor with"):
        condition(kernel, kernel, kernel, jnp.ones(4), 0.0, most_jitter=1e-8)


@pytest.mark.parametrize("bad", [-0.1, 1.0, np.nan])
def test_jitter_is_a_fraction(bad):
    x, x_test, y = problem()
    blocks = [jnp.asarray(k) for k in (KERNEL(x), KERNEL(x, x_test), KERNEL(x_test))]
    with pytest.raises(ValueError, match=f"most_jitter={bad}"):
        condition(*blocks, jnp.asarray(y), 0.1, most_jitter=bad)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel_test": jnp.ones((2, 2))}, "the kernel's blocks have shapes"),
        ({"kernel_cross": jnp.ones((3, 1))}, "the kernel's blocks have shapes"),
        ({"y": jnp.asarray([0.0, np.nan])}, "y holds NaN"),
        ({"kernel_cross": jnp.full((2, 1), np.inf)}, "kernel_cross holds NaN or infinite"),
        ({"noise_var": np.inf}, "noise_var is inf"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(change, message):
    blocks = {
        "kernel_train": jnp.eye(2),
        "kernel_cross": jnp.ones((2, 1)) / 2,
        "kernel_test": jnp.ones((1, 1)),
        "y": jnp.ones(2),
        "noise_var": 0.1,
    }
    with pytest.raises(ValueError, match=message):
        # Users have no checker of shapes in front of it.
        getattr(condition, "__wrapped__", condition)(**{**blocks, **change})
