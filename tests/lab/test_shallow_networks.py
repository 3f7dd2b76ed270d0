"""Random networks have the laws that can be written down, however many fit in a block."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from widelimit.activations import get
from widelimit.architectures import ShallowPrior
from widelimit.lab import shallow

TANH, SIGN, RELU, LINEAR = (get(name) for name in ("tanh", "sign", "relu", "linear"))
SIGMAS = 4.5
# A test at a fixed key that an honest sampler fails once in 150,000: the tail of 4.5σ.
TAIL = 2 * stats.norm.sf(SIGMAS)
X = jnp.asarray([[1.0, -0.5], [0.3, 0.8], [-2.0, 0.1]])
ONE = jnp.ones((1, 1))
KEY = jax.random.key(7)


def mean_within(samples, expected):
    samples = np.asarray(samples, float)
    error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    assert np.all(np.abs(samples.mean(0) - expected) <= SIGMAS * error + 1e-6)


def draw(name, key=KEY, draws=5, width=4, x=X, **changes):
    prior = ShallowPrior(TANH, 1.0, 1.0, 1.0, 0.5)
    if name == "squared_increments":
        return shallow.squared_increments(prior, key, draws, width, x[0], x[1:])
    return getattr(shallow, name)(prior, key, draws, width, x, **changes)


SHAPES = {
    "hidden_units": (5, 4, 3),
    "conditional_covariance": (5, 3, 3),
    "outputs": (5, 1, 3),
    "squared_increments": (2,),
}


@pytest.mark.parametrize(("name", "shape"), SHAPES.items())
def test_shapes_dtype_and_keys(name, shape, assert_float32):
    result = draw(name)
    assert result.shape == shape
    assert_float32(result)
    np.testing.assert_array_equal(result, draw(name))
    assert not np.any(np.asarray(result) == np.asarray(draw(name, jax.random.key(8))))


@pytest.mark.parametrize("name", SHAPES)
def test_stays_float32_where_theory_is_64_bit(name, assert_float32):
    before = draw(name)
    jax.config.update("jax_enable_x64", True)
    x = jnp.asarray(np.asarray(X, float))
    assert x.dtype == jnp.float64
    after = draw(name, jax.random.key(7), x=x)
    assert_float32(after)
    np.testing.assert_allclose(after, before, rtol=1e-5)


@pytest.mark.parametrize("alpha", [1.0, 1.5, 2.0])
def test_stable_outputs_are_float32_of_the_same_shape(alpha, assert_float32):
    f = draw("outputs", outputs=2, alpha=alpha)
    assert f.shape == (5, 2, 3)
    assert_float32(f)


def test_different_keys_are_independent():
    prior = ShallowPrior(TANH)
    f = [shallow.outputs(prior, jax.random.key(k), 20_000, 3, ONE)[:, 0, 0] for k in (0, 1)]
    # A correlation of n independent pairs has standard error 1/√n.
    assert abs(np.corrcoef(*f)[0, 1]) < SIGMAS / np.sqrt(20_000)


@pytest.mark.parametrize("name", ["outputs", "conditional_covariance"])
def test_a_larger_request_begins_with_the_smaller(name):
    np.testing.assert_array_equal(draw(name, draws=300)[:7], draw(name, draws=7))


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 64 units: boundaries fall inside every request below."""
    monkeypatch.setattr(shallow, "_BLOCK", 64 << 3)


@pytest.mark.parametrize("name", ["outputs", "conditional_covariance"])
@pytest.mark.parametrize("width", [1, 7, 64, 65, 200])
def test_crossing_blocks(name, width, small_blocks):
    many = np.asarray(draw(name, draws=150, width=width))
    assert many.shape[0] == 150
    # No network occurs twice: blocks have keys of their own, and none is cut in two.
    assert len(np.unique(many.reshape(150, -1), axis=0)) == 150
    np.testing.assert_array_equal(draw(name, draws=67, width=width), many[:67])


@pytest.mark.parametrize("width", [3, 64, 100])
def test_blocks_do_not_change_the_law(width, small_blocks):
    prior = ShallowPrior(SIGN, 1.0, 1.0, 1.5)
    f = np.asarray(shallow.outputs(prior, KEY, 2000, width, ONE)[:, 0, 0])
    assert stats.kstest(f, stats.norm(scale=1.5).cdf).pvalue > TAIL
    # Nor tie draws of one block together.
    assert abs(np.corrcoef(f[1:], f[:-1])[0, 1]) < SIGMAS / np.sqrt(2000)


def test_squared_increments_are_the_same_average_in_many_blocks(monkeypatch):
    # Sign units of one width, in one block and in 16: two estimates of one number.
    prior, moved = ShallowPrior(SIGN), []
    for block in (2**22, 2**12):
        monkeypatch.setattr(shallow, "_BLOCK", block)
        one = lambda k: shallow.squared_increments(prior, k, 160, 50, jnp.zeros(1), 1 * ONE)  # noqa: E731
        moved.append([one(jax.random.fold_in(KEY, i)) for i in range(20)])
    for rows in moved:
        mean_within(np.array(rows), 4 / np.pi * np.arctan(1.0))


def test_hidden_units_have_the_law_of_the_prior():
    prior = ShallowPrior(LINEAR, 1.5, 0.5)
    h = np.asarray(shallow.hidden_units(prior, KEY, 2000, 10, X), float).reshape(-1, 3)
    covariance = 0.25 + 2.25 * np.asarray(X @ X.T, float)
    mean_within(h, 0)
    mean_within(h[:, :, None] * h[:, None], covariance)
    assert stats.kstest(h[:, 0] / np.sqrt(covariance[0, 0]), "norm").pvalue > TAIL


def test_units_of_one_network_are_independent():
    h = np.asarray(shallow.hidden_units(ShallowPrior(TANH), KEY, 20_000, 3, ONE))[..., 0]
    correlations = np.corrcoef(h.T)[np.triu_indices(3, 1)]
    assert np.all(np.abs(correlations) < SIGMAS / np.sqrt(20_000))


def exact_moment(activation, prior, x):
    """E h(x)h(x′) of sign, ReLU and linear units from the angle of the pre-activations."""
    s = prior.input_bias_std**2 + prior.input_weight_std**2 * np.asarray(x @ x.T, float)
    norm = np.sqrt(np.diagonal(s))
    theta = np.arccos(np.clip(s / np.outer(norm, norm), -1, 1))
    if activation is SIGN:
        return 1 - 2 * theta / np.pi
    if activation is RELU:
        cosine = np.sin(theta) + (np.pi - theta) * np.cos(theta)
        return np.outer(norm, norm) * cosine / (2 * np.pi)
    return s


@pytest.mark.parametrize("width", [1, 30])
@pytest.mark.parametrize("activation", [SIGN, RELU, LINEAR], ids=lambda h: h.name)
def test_conditional_covariance_averages_to_the_exact_one(activation, width):
    prior = ShallowPrior(activation, 1.2, 0.6, 1.5, 3.0)  # the output bias plays no part
    k = shallow.conditional_covariance(prior, KEY, 20_000, width, X)
    np.testing.assert_array_equal(k, np.swapaxes(k, 1, 2))
    mean_within(k, 2.25 * exact_moment(activation, prior, X))


def test_conditional_covariance_is_that_of_the_units():
    prior = ShallowPrior(TANH, 1.2, 0.6, 1.5)
    # One network in one block: the same key draws the same units.
    monkey = 11
    h = shallow.hidden_units(prior, KEY, 1, monkey, X)[0]
    spread = np.asarray(2.25 * h.T @ h / monkey)
    assert np.linalg.eigvalsh(spread).min() > -1e-6
    k = np.asarray(shallow.conditional_covariance(prior, KEY, 4000, monkey, X), float)
    # Its spread from network to network falls as H^(−1/2).
    wide = np.asarray(shallow.conditional_covariance(prior, KEY, 4000, 16 * monkey, X), float)
    ratio = k.std(0) / wide.std(0)
    assert np.all(np.abs(ratio / 4 - 1) < SIGMAS / np.sqrt(4000) * 1.5)


@pytest.mark.parametrize("width", [1, 50])
def test_outputs_have_the_exact_covariance(width):
    prior = ShallowPrior(RELU, 1.2, 0.6, 1.5, 0.7)
    f = np.asarray(shallow.outputs(prior, KEY, 40_000, width, X), float)[:, 0]
    mean_within(f, 0)
    mean_within(f[:, :, None] * f[:, None], 0.49 + 2.25 * exact_moment(RELU, prior, X))


def test_outputs_given_the_units_have_the_conditional_kurtosis():
    # Linear units of one input and no bias, H = 1: f = vu, a product of two Gaussians, E f⁴ = 9.
    prior = ShallowPrior(LINEAR, 1.0, 0.0)
    f = np.asarray(shallow.outputs(prior, KEY, 100_000, 1, ONE), float)[:, 0, 0]
    mean_within(f**4, 9.0)
    # K₀ is the density of a product: its distribution by quadrature over u.
    u = np.linspace(-8, 8, 4001)
    cdf = lambda y: stats.norm.pdf(u) @ stats.norm.cdf(y / np.maximum(np.abs(u), 1e-12)) * 0.004  # noqa: E731
    assert stats.kstest(f[:3000], np.vectorize(cdf)).pvalue > TAIL


def test_two_outputs_share_units_yet_are_uncorrelated():
    prior = ShallowPrior(TANH, 1.0, 1.0, 1.0, 0.8)
    f = np.asarray(shallow.outputs(prior, KEY, 100_000, 2, ONE, outputs=2), float)[..., 0]
    mean_within(f[:, 0] * f[:, 1], 0.0)
    # Their squares, without the bias, are not: they share the size of the hidden layer.
    prior = ShallowPrior(TANH)
    f = np.asarray(shallow.outputs(prior, KEY, 100_000, 1, ONE, outputs=2), float)[..., 0]
    z = np.tanh(np.sqrt(2) * np.random.default_rng(0).standard_normal(2_000_000))
    products = f[:, 0] ** 2 * f[:, 1] ** 2
    mean_within(products, np.mean(z**4))
    assert np.mean(products) > np.mean(f[:, 0] ** 2) * np.mean(f[:, 1] ** 2) * 1.1


@pytest.mark.parametrize("width", [1, 2, 7, 50])
def test_sign_units_with_gaussian_weights_are_exactly_gaussian(width):
    prior = ShallowPrior(SIGN, 1.0, 1.0, 1.5)
    f = np.asarray(shallow.outputs(prior, KEY, 50_000, width, ONE), float)[:, 0, 0]
    assert stats.kstest(f, stats.norm(scale=1.5).cdf).pvalue > TAIL


@pytest.mark.parametrize("width", [1, 2, 7, 50])
def test_sign_units_with_cauchy_weights_are_exactly_cauchy(width):
    prior = ShallowPrior(SIGN, 1.0, 1.0, 1.5)
    f = np.asarray(shallow.outputs(prior, KEY, 50_000, width, ONE, alpha=1.0), float)[:, 0, 0]
    assert stats.kstest(f, stats.cauchy(scale=1.5).cdf).pvalue > TAIL
    if width > 1:  # the Gaussian's exponent would make it √H times too wide
        f = shallow.outputs(prior, KEY, 50_000, width, ONE, alpha=1.0, exponent=0.5)[:, 0, 0]
        wide = stats.cauchy(scale=1.5 * width**0.5)
        assert stats.kstest(np.asarray(f, float), wide.cdf).pvalue > TAIL


def test_output_bias_is_added_once_to_a_network():
    prior = ShallowPrior(SIGN, 1.0, 1.0, 0.0, 0.8)
    f = np.asarray(shallow.outputs(prior, KEY, 20_000, 3, X, outputs=2), float)
    np.testing.assert_array_equal(f, f[..., :1] + np.zeros(3))
    assert stats.kstest(f[:, 0, 0] / 0.8, "norm").pvalue > TAIL
    assert abs(np.corrcoef(f[:, 0, 0], f[:, 1, 0])[0, 1]) < SIGMAS / np.sqrt(20_000)


@pytest.mark.parametrize("alpha", [0.8, 1.0, 1.5, 2.0])
def test_stable_numbers_have_their_characteristic_function(alpha):
    z = np.asarray(shallow.stable(KEY, alpha, (200_000,)), float)
    assert np.all(np.isfinite(z))
    for t in (0.2, 1.0, 2.5):
        mean_within(np.cos(t * z), np.exp(-(t**alpha)))
        mean_within(np.sin(t * z), 0.0)


@pytest.mark.parametrize(
    ("alpha", "law"),
    [
        (2.0, stats.norm(scale=2**0.5)),
        (1.0, stats.cauchy()),
        (1.5, stats.levy_stable(1.5, 0.0)),
        (0.8, stats.levy_stable(0.8, 0.0)),
    ],
)
def test_stable_numbers_have_their_law(alpha, law):
    # scipy's stable density is slow, so fewer points there; 2 and 1 are closed forms.
    z = np.asarray(shallow.stable(KEY, alpha, (100_000 if alpha in (1, 2) else 400,)), float)
    assert stats.kstest(z, law.cdf).pvalue > TAIL


@pytest.mark.parametrize("alpha", [0.5, 0.8, 1.2, 1.7])
def test_stable_tails_fall_as_the_index(alpha):
    # P(|z| > y) → C y^(−α), C = 2 sin(πα/2) Γ(α)/π: at 10⁶ draws and 10⁻² of them beyond y.
    from scipy.special import gamma

    z = np.abs(np.asarray(shallow.stable(KEY, alpha, (1_000_000,)), float))
    y = (2 * np.sin(np.pi * alpha / 2) * gamma(alpha) / np.pi / 1e-3) ** (1 / alpha)
    # The next order is y^(−2α), a relative O(10⁻³ to 10⁻²) here; the rest is counting.
    assert abs(np.mean(z > y) / 1e-3 - 1) < SIGMAS / np.sqrt(1e3) + 0.02


@pytest.mark.parametrize("alpha", [0.4, 0.5, 1.0, 1.9999, 2.0])
def test_stable_numbers_are_always_finite(alpha):
    z = shallow.stable(KEY, alpha, (2000, 1000))
    assert z.shape == (2000, 1000)
    assert z.dtype == jnp.float32
    assert bool(jnp.all(jnp.isfinite(z)))


def test_stable_draws_the_same_under_jit():
    again = jax.jit(lambda a: shallow.stable(KEY, a, (100,)))(jnp.float32(1.5))
    np.testing.assert_allclose(again, shallow.stable(KEY, 1.5, (100,)), rtol=1e-4)


def test_squared_increments_of_sign_units():
    prior = ShallowPrior(SIGN, 2.0, 0.5, 1.5)
    deltas = jnp.asarray([[0.01], [-0.2], [3.0]])
    rows = [
        shallow.squared_increments(
            prior, jax.random.fold_in(KEY, i), 200, 100, jnp.zeros(1), deltas
        )
        for i in range(20)
    ]
    exact = 4 * 2.25 / np.pi * np.arctan(2 * np.abs(np.asarray(deltas[:, 0])) / 0.5)
    mean_within(np.array(rows), exact)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("draws", "width"), [(0, 4), (4, 0), (-1, 4)])
def test_refuses_no_networks(name, draws, width):
    with pytest.raises(ValueError, match=f"draws={draws}, width={width}"):
        draw(name, draws=draws, width=width)


@pytest.mark.parametrize("name", SHAPES)
def test_refuses_inputs_without_two_axes(name):
    # Below the shape annotations, which refuse it too where they are checked.
    function = getattr(shallow, name)
    function = getattr(function, "__wrapped__", function)
    extra = (jnp.ones(3),) if name == "squared_increments" else ()
    with pytest.raises(Exception, match=r"x\[:, None\] in 1-d|Float\[.*'n d'\]"):
        function(ShallowPrior(TANH), KEY, 2, 3, jnp.ones(3), *extra)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": 0}, "outputs=0"),
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"alpha": 2.5}, "alpha is 2.5"),
    ],
)
def test_outputs_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        draw("outputs", **changes)


@pytest.mark.parametrize("alpha", [0.0, 0.39, -1.0, 2.1, float("nan")])
def test_stable_refuses(alpha):
    with pytest.raises(ValueError, match="alpha is"):
        shallow.stable(KEY, alpha, (3,))
