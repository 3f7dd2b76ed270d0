"""Deep networks do what loops by hand do; their random numbers are as independent as claimed."""

import re
from functools import partial
from inspect import unwrap
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import stats

from widelimit import activations
from widelimit.lab import passes
from widelimit.lab.networks import LAWS, FullyConnected
from widelimit.parametrizations import FAN_AVG, FAN_OUT, NTK, STANDARD

TANH, RELU, LINEAR = (activations.get(name) for name in ("tanh", "relu", "linear"))
KEY = jax.random.key(5)
# Some thousand comparisons at fixed keys: at 5σ an honest sampler fails once in a thousand keys.
SIGMAS = 5
TAIL = 2 * stats.norm.sf(SIGMAS)
# Sums of some ten products in each of some ten layers: about a hundred roundings of 2^-24.
ROUNDING = 1e-5
# Odd widths, a stack of three, layers of their own before and after it.
WIDTHS = (5, 7, 7, 7, 7, 3, 2)
X = np.random.default_rng(1).standard_normal((4, 5)).astype(np.float32)


def make(key, widths=WIDTHS, activation=TANH, weight_var=1.7, bias_var=0.3, **settings):
    return FullyConnected(
        key, widths, activation, weight_var=weight_var, bias_var=bias_var, **settings
    )


preactivations = jax.jit(FullyConnected.preactivations)


def example_loss(f):
    return jnp.sum(jnp.sin(f) * jnp.asarray([[1.0, -2.0]]))


backpropagated = jax.jit(partial(passes.backpropagated, loss=example_loss))


#: φ and φ′ in NumPy.
BY_HAND = {
    TANH: (np.tanh, lambda h: 1 - np.tanh(h) ** 2),
    RELU: (lambda h: np.maximum(h, 0), lambda h: np.heaviside(h, 0.5)),
}


def unstacked(stacks):
    return [layer for stack in stacks for layer in np.asarray(stack, float)]


def layers_of(network):
    """Weights and biases as they act, float64, one layer after the other."""
    for layers in network.layers:
        matrices = np.asarray(layers.kernel[...], float) * float(layers.kernel_multiplier[...])
        offsets = np.asarray(layers.bias[...], float) * float(layers.bias_multiplier[...])
        yield from zip(matrices, offsets, strict=True)


def by_hand(network, x):
    """h^1, …, h^{L+1}."""
    found, x = [], np.asarray(x, float)
    for matrix, offset in layers_of(network):
        found.append(x @ matrix + offset)
        x = BY_HAND[network.activation][0](found[-1])
    return found


def assert_close(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=ROUNDING, atol=ROUNDING)


def mean_within(samples, expected):
    samples = np.asarray(samples, float)
    error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    assert np.all(np.abs(samples.mean(0) - expected) <= SIGMAS * error + 1e-12)


# What a network computes.


@pytest.mark.parametrize(
    ("widths", "stacks"),
    [
        (WIDTHS, [(1, 7), (3, 7), (1, 3), (1, 2)]),
        ((5,) * 32, [(1, 5), (29, 5), (1, 5)]),  # neither end is a hidden layer
        ((5, 1, 1), [(1, 1), (1, 1)]),
    ],
)
def test_forward_is_a_loop_by_hand(widths, stacks, assert_float32):
    network = make(KEY, widths)
    h = preactivations(network, X)
    assert_float32(h)
    assert [stack.shape for stack in h] == [(count, 4, width) for count, width in stacks]
    assert_close(unstacked(h), by_hand(network, X))
    for layers, (count, width) in zip(network.layers, stacks, strict=True):
        assert layers.kernel.shape[0] == count
        assert layers.bias.shape == (count, width)


def test_one_input_alone_and_without_jit():
    network = make(KEY)
    expected = by_hand(network, X[:1])
    assert_close(unstacked(network.preactivations(X[:1])), expected)
    assert_close([network(X[:1])], expected[-1:])


def test_three_hundred_layers_are_no_larger_a_program_than_three():
    def size(depth):
        def run(key, x):
            network = FullyConnected(key, (5, *[7] * depth, 2), TANH, weight_var=1.0, bias_var=1.0)
            return passes.backpropagated(network, x, jnp.sum)

        return str(jax.make_jaxpr(run)(KEY, X)).count(" = ")

    assert size(300) == size(3) > 50


def test_backpropagated_passes_the_masks_of_the_forward_pass():
    network = make(KEY, keep_prob=0.5)
    masks = jax.random.key(31)
    deltas = jax.jit(partial(passes.backpropagated, network, X, example_loss))(masks)
    # A push of one pre-activation of the first layer, by differences.
    zeros = [jnp.zeros(one.shape, jnp.float32) for one in network.preactivations(X, masks)]

    def loss(push):
        shifts = [zeros[0].at[0, 1, 2].set(push), *zeros[1:]]
        return float(example_loss(network.preactivations(X, masks, shifts)[-1][-1]))

    slope = (loss(0.01) - loss(-0.01)) / 0.02
    np.testing.assert_allclose(deltas[0][0, 1, 2], slope, rtol=1e-2, atol=1e-4)
    without = jax.jit(partial(passes.backpropagated, network, X, example_loss))()
    assert not np.allclose(without[0], deltas[0])


@pytest.mark.parametrize("name", activations.names())
def test_every_activation_stays_float32_where_theory_is_64_bit(name):
    jax.config.update("jax_enable_x64", True)

    def run(key, x):
        phi = activations.get(name)
        network = FullyConnected(key, (2, 3, 3, 3, 1), phi, weight_var=np.float64(2), keep_prob=0.5)
        return nnx.state(network), network.preactivations(x, key)

    found = jax.tree.leaves(jax.eval_shape(run, KEY, np.ones((2, 2))))
    assert {leaf.dtype for leaf in found} == {jnp.dtype("float32")}


def test_64_bit_mode_draws_the_same_networks(assert_float32):
    def states(key):
        make = partial(FullyConnected, widths=(3, 2, 2), activation=TANH, weight_var=1.7)
        return [nnx.state(make(key, bias_var=np.float64(0.3), law=law)) for law in LAWS]

    before = jax.jit(states)(KEY)
    jax.config.update("jax_enable_x64", True)
    after = jax.jit(states)(KEY)
    assert_float32(after)
    assert_close(*map(jax.tree.leaves, (after, before)))


def test_64_bit_mode_computes_the_same(assert_float32):
    network = make(KEY, keep_prob=0.5)

    @jax.jit
    def everything(network, x):
        dropped = network.preactivations(x, jax.random.key(9))
        return dropped, passes.backpropagated(network, x, example_loss)

    before = everything(network, X)
    jax.config.update("jax_enable_x64", True)
    after = everything(network, jnp.asarray(X, jnp.float64))
    assert_float32(after)
    assert_close(*map(jax.tree.leaves, (after, before)))


# How its weights are drawn.

#: Square, wide and tall matrices, with a stack among them.
DRAWN = (3, 3, 2, 2, 2, 3, 2)
NETWORKS = 6000


@pytest.fixture(scope="module")
def drawn():
    """Weights and biases of many networks before they are scaled: for each law, by layer."""

    def draw(law):
        def one(key):
            bias_var = float(law == "uniform")  # the law of the biases is always the same
            network = make(key, DRAWN, TANH, 1.0, bias_var, law=law, parametrization=NTK)
            return [(layers.kernel[...], layers.bias[...]) for layers in network.layers]

        stacks = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(17), NETWORKS))
        stacks = jax.tree.map(np.asarray, stacks)
        return [
            [one for stack in parameter for one in np.swapaxes(stack, 0, 1)]
            for parameter in zip(*stacks, strict=True)
        ]

    return {law: draw(law) for law in LAWS}


@pytest.mark.parametrize("law", LAWS)
def test_weights_and_biases_have_mean_0_variance_1_and_no_correlation(law, drawn):
    kernels, biases = drawn[law]
    assert [one.shape[1:] for one in kernels] == list(pairwise(DRAWN))
    assert [one.shape[1:] for one in biases] == [(width,) for width in DRAWN[1:]]
    entries = [one.reshape(NETWORKS, -1) for one in (*kernels, *biases) if np.any(one)]
    entries = np.concatenate(entries, axis=1)
    assert entries.shape[1] == (49 if law == "uniform" else 35)
    assert entries.dtype == np.float32
    mean_within(entries, 0)
    # Within a matrix, between any two, and with the biases.
    mean_within(entries[:, :, None] * entries[:, None], np.eye(entries.shape[1]))


def test_weights_have_their_law(drawn):
    for biases in drawn["uniform"][1]:
        assert stats.kstest(biases.ravel(), "norm").pvalue > TAIL
    for matrices in drawn["gaussian"][0]:
        assert stats.kstest(matrices.ravel(), "norm").pvalue > TAIL
    for matrices in drawn["uniform"][0]:
        assert stats.kstest(matrices.ravel(), stats.uniform(-(3**0.5), 12**0.5).cdf).pvalue > TAIL
        assert np.abs(matrices).max() <= np.float32(3**0.5)


def test_orthogonal_matrices_are_orthogonal_and_uniform_among_them(drawn):
    for matrices in drawn["orthogonal"][0]:
        shape = matrices.shape[1:]
        large, small = max(shape), min(shape)
        short = matrices.astype(float)
        short = short if shape[0] == small else np.swapaxes(short, 1, 2)
        products = short @ np.swapaxes(short, 1, 2) / large
        np.testing.assert_allclose(products, np.eye(small) + 0 * products, atol=ROUNDING)
        # A coordinate of a uniform point on a sphere: its square is beta distributed.
        law = stats.beta(1 / 2, (large - 1) / 2)
        for i, j in ((0, 0), (shape[0] - 1, shape[1] - 1)):
            assert stats.kstest(matrices[:, i, j] ** 2 / large, law.cdf).pvalue > TAIL
        if large == small:  # rotations and mirrored ones are as frequent
            mean_within(np.linalg.det(matrices / large**0.5), 0)


def test_orthogonal_matrices_are_made_one_by_one():
    # Batches of them, two at once, hang on CPUs with jaxlib 0.10.
    run = lambda key: nnx.state(FullyConnected(key, DRAWN, TANH, weight_var=1.0, law="orthogonal"))  # noqa: E731
    program = str(jax.make_jaxpr(jax.vmap(run))(jax.random.split(KEY, 7)))
    shapes = re.findall(r"f32\[([\d,]+)\] \w+:f32\[[\d,]+\] = qr\[", program)
    assert set(shapes) == {"3,3", "3,2", "2,2"}


FANS = {
    "standard": (STANDARD, lambda into, out: into),
    "fan-out": (FAN_OUT, lambda into, out: out),
    "fan-avg": (FAN_AVG, lambda into, out: (into + out) / 2),
    "ntk": (NTK, lambda into, out: into),
}


@pytest.mark.parametrize("name", FANS)
def test_weights_act_with_the_variance_that_is_asked_for(name):
    # In the neural tangent parametrization weights and biases have variance 1: see above.
    units, (parametrization, fan) = make(KEY, parametrization=NTK), FANS[name]
    units = zip(
        unstacked(layers.kernel[...] for layers in units.layers),
        unstacked(layers.bias[...] for layers in units.layers),
        strict=True,
    )
    acting = layers_of(make(KEY, parametrization=parametrization))
    for (matrix, offset), (kernel, bias) in zip(acting, units, strict=True):
        assert_close(
            [matrix, offset], [np.sqrt(1.7 / fan(*kernel.shape)) * kernel, 0.3**0.5 * bias]
        )


def test_uniform_weights_of_variance_one_third_reach_to_one_over_root_n():
    for matrix, _ in layers_of(make(KEY, weight_var=1 / 3, law="uniform")):
        reach = len(matrix) ** -0.5
        assert 0.5 * reach < np.abs(matrix).max() <= reach * (1 + 1e-6)


@pytest.mark.parametrize("parametrization", [STANDARD, NTK], ids=["standard", "ntk"])
@pytest.mark.parametrize("bias_var", [0.0, jnp.float32(0)], ids=["number", "array"])
def test_no_biases_at_variance_0(bias_var, parametrization):
    network = FullyConnected(
        KEY, (3, 3, 2), TANH, weight_var=1.0, bias_var=bias_var, parametrization=parametrization
    )
    assert all(np.all(offset == 0) for _, offset in layers_of(network))


def test_no_two_layers_and_no_two_networks_share_random_numbers():
    # Neighbouring keys, split ones and folded ones; unit normals, so that shared bits would show.
    keys = [jax.random.key(0), jax.random.key(1), *jax.random.split(jax.random.key(2), 2)]
    keys.append(jax.random.fold_in(jax.random.key(2), 7))
    rows, biases = [], []
    for key in keys:
        network = make(key, (16,) * 9, bias_var=1.0, parametrization=NTK)
        rows += map(np.ravel, unstacked(layers.kernel[...] for layers in network.layers))
        biases += unstacked(layers.bias[...] for layers in network.layers)
    assert len(rows) == len(biases) == 5 * 8
    correlations = np.corrcoef(rows)[np.triu_indices(40, 1)]
    assert np.all(np.abs(correlations) < SIGMAS / 16)
    # Nor do they elsewhere in a matrix. A float32 normal takes about 2^23 values, so that of n
    # independent ones some n²/2^24 are pairs by chance: 7 of 10,880.
    numbers = np.concatenate([*rows, *biases])
    assert len(numbers) - len(np.unique(numbers)) < 7 + SIGMAS * 7**0.5


def test_the_same_key_gives_the_same_network():
    first, second, other = (nnx.state(make(key)) for key in (KEY, KEY, jax.random.key(6)))
    for one, two, three in zip(*map(jax.tree.leaves, (first, second, other)), strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.ndim == 0 or not np.any(np.asarray(one) == np.asarray(three))


def test_variances_may_be_traced():
    run = lambda *variances: make(KEY, WIDTHS, TANH, *variances).preactivations(X)  # noqa: E731
    weight_vars, bias_vars = np.float32([0.5, 1.7, 2.0]), np.float32([0.0, 0.3, 1.0])
    traced = jax.jit(jax.vmap(run))(weight_vars, bias_vars)
    for i, (weight_var, bias_var) in enumerate(zip(weight_vars, bias_vars, strict=True)):
        concrete = FullyConnected(
            KEY, WIDTHS, TANH, weight_var=float(weight_var), bias_var=float(bias_var)
        )
        assert_close([stack[i] for stack in traced], preactivations(concrete, X))


def test_gradients_flow_to_the_weight_variance():
    # Linear and without biases, f is proportional to σ_w^3: ∂f/∂σ_w² = 3f/(2σ_w²).
    run = lambda var: make(KEY, (5, 4, 4, 2), LINEAR, var, 0.0)(X)[0, 0]  # noqa: E731
    value, slope = jax.jit(jax.value_and_grad(run))(1.7)
    np.testing.assert_allclose(slope, 3 * value / (2 * 1.7), rtol=ROUNDING)


# What back-propagation carries.


@pytest.mark.parametrize(
    ("activation", "parametrization"),
    [(TANH, STANDARD), (RELU, NTK)],
    ids=["tanh-standard", "relu-ntk"],
)
def test_backpropagated_is_a_loop_by_hand(activation, parametrization, assert_float32):
    network = make(KEY, activation=activation, parametrization=parametrization)
    delta = backpropagated(network, X)
    assert_float32(delta)
    phi, slope = BY_HAND[activation]
    h, layers = by_hand(network, X), list(layers_of(network))
    expected = [np.cos(h[-1]) * [1.0, -2.0]]
    for below, (matrix, _) in zip(h[-2::-1], layers[:0:-1], strict=True):
        expected.insert(0, slope(below) * (expected[0] @ matrix.T))
    assert_close(unstacked(delta), expected)
    # The weights' gradients are products of what passes forward and back.
    gradient = jax.jit(jax.grad(lambda net: example_loss(net(X))))(network)
    read = [X, *map(phi, h[:-1])]
    kernels = unstacked(layer.kernel[...] for layer in gradient.layers)
    biases = unstacked(layer.bias[...] for layer in gradient.layers)
    times = [np.full(len(one.kernel), one.kernel_multiplier[...]) for one in network.layers]
    times = np.concatenate(times)
    assert_close(kernels, [m * x.T @ d for m, x, d in zip(times, read, expected, strict=True)])
    offset = np.sqrt(0.3) if parametrization is NTK else 1.0
    assert_close(biases, [offset * d.sum(axis=0) for d in expected])


def test_backpropagated_is_a_finite_difference():
    network = make(KEY)
    delta = unstacked(backpropagated(network, X))
    layers = list(layers_of(network))

    def loss(at, shift):  # in float64, from NumPy alone
        x = X.astype(float)
        for i, (matrix, offset) in enumerate(layers):
            h = x @ matrix + offset + (shift if i == at else 0)
            x = np.tanh(h)
        return np.sum(np.sin(h) * [1.0, -2.0])

    for at, found in enumerate(delta):
        for row, unit in ((0, 0), (3, -1)):
            shift = np.zeros(found.shape)
            shift[row, unit] = 1e-5  # errs by 1e-10
            difference = (loss(at, shift) - loss(at, -shift)) / 2e-5
            np.testing.assert_allclose(found[row, unit], difference, rtol=ROUNDING, atol=ROUNDING)


def test_rows_are_the_gradients_of_single_examples():
    network = make(KEY)
    delta = unstacked(backpropagated(network, X))
    for row in range(len(X)):
        alone = unstacked(backpropagated(network, X[row : row + 1]))
        assert_close([one[row : row + 1] for one in delta], alone)


def test_a_shift_is_a_bias_for_each_example():
    network = make(KEY)
    generator = np.random.default_rng(2)
    shapes = [h.shape for h in preactivations(network, X)]
    shifts = [generator.standard_normal(shape).astype(np.float32) for shape in shapes]
    x, expected = X.astype(float), []
    for (matrix, offset), shift in zip(layers_of(network), unstacked(shifts), strict=True):
        expected.append(x @ matrix + offset + shift)
        x = np.tanh(expected[-1])
    assert_close(unstacked(preactivations(network, X, None, shifts)), expected)


# Measuring.


def test_by_layer_is_in_the_order_of_the_layers():
    h = preactivations(make(KEY), X)
    mean_squares = passes.by_layer(lambda one: jnp.mean(one**2), h)
    np.testing.assert_allclose(mean_squares, [np.mean(one**2) for one in unstacked(h)], rtol=1e-6)
    covariances = passes.by_layer(lambda one: one @ one.T, h)
    assert covariances.shape == (6, 4, 4)
    assert_close(covariances, [one @ one.T for one in unstacked(h)])


def make_one(key, weight_var, bias_var=0.3):
    return FullyConnected(key, WIDTHS, TANH, weight_var=weight_var, bias_var=bias_var)


def measure_one(network):
    h = network.preactivations(X)
    return {"outputs": h[-1][-1], "size": passes.by_layer(lambda one: jnp.sum(one**2), h)}


def test_measured_is_a_loop():
    keys, weight_vars = jax.random.split(KEY, 7), np.linspace(0.5, 2.0, 7, dtype=np.float32)
    found = passes.measured(make_one, measure_one, keys, weight_vars, together=3)
    assert found["outputs"].shape == (7, 4, 2)
    assert found["size"].shape == (7, 6)
    for i in range(7):
        h = by_hand(make(keys[i], weight_var=float(weight_vars[i])), X)
        assert_close([found["outputs"][i]], h[-1:])
        np.testing.assert_allclose(found["size"][i], [np.sum(one**2) for one in h], rtol=ROUNDING)


def make_with_inputs(key, weight_var, x):
    return make_one(key, weight_var), x


def measure_with_inputs(made):
    network, x = made
    return network(x)


def test_measured_may_draw_inputs_with_the_network():
    keys, weight_vars = jax.random.split(KEY, 5), np.linspace(0.5, 2.0, 5, dtype=np.float32)
    inputs = np.random.default_rng(4).standard_normal((5, 4, 5)).astype(np.float32)
    found = passes.measured(
        make_with_inputs, measure_with_inputs, keys, weight_vars, inputs, together=2
    )
    assert found.shape == (5, 4, 2)
    for i in range(5):
        h = by_hand(make(keys[i], weight_var=float(weight_vars[i])), inputs[i])
        assert_close([found[i]], h[-1:])


# Dropout.


@jax.jit
def masks(key, x):
    """The masks of four hidden layers, each through a network that leaves all else as it is."""
    network = FullyConnected(KEY, (50,) * 6, LINEAR, weight_var=1.0, bias_var=1.0, keep_prob=0.8)
    for layers in network.layers:
        layers.kernel[...] = jnp.zeros_like(layers.kernel[...]) + jnp.eye(50)[None]
        layers.bias[...] = jnp.ones_like(layers.bias[...])
    h = [layer for stack in network.preactivations(x, key) for layer in stack]
    # h^{l+1} = mask·h^l/ρ + 1
    return jnp.stack([(after - 1) / before for before, after in pairwise(h)])


def test_dropout_keeps_a_share_and_divides_by_it(assert_float32):
    found = masks(KEY, jnp.ones((300, 50)))
    assert_float32(found)
    kept = np.asarray(found) > 0
    np.testing.assert_allclose(found, kept / 0.8, rtol=ROUNDING)
    for layer in kept:
        mean_within(layer.ravel(), 0.8)


def test_dropout_masks_are_independent():
    # By layer, by input, by unit, and by key: each row 15,000 coins or more.
    first = np.asarray(masks(KEY, jnp.ones((300, 50)))) > 0
    second = np.asarray(masks(jax.random.key(6), jnp.ones((300, 50)))) > 0
    coins = np.concatenate([first, second]).reshape(8, -1)
    pairs = np.corrcoef(coins)[np.triu_indices(8, 1)]
    assert np.all(np.abs(pairs) < SIGMAS / np.sqrt(coins.shape[1]))
    for layer in first:
        for rows in (layer, layer.T):
            pairs = np.corrcoef(rows)[np.triu_indices(len(rows), 1)]
            size = rows.shape[1]
            # The mean of the correlations squared is 1/(size − 1); shared masks would make it 1.
            spread = np.sqrt(2 / len(pairs)) / size
            assert abs(np.mean(pairs**2) - 1 / (size - 1)) < 2 * SIGMAS * spread
    np.testing.assert_array_equal(first, np.asarray(masks(KEY, jnp.ones((300, 50)))) > 0)


def test_dropout_needs_a_key_and_a_probability_below_1():
    dropping, whole = make(KEY, keep_prob=0.5), make(KEY)
    plain = preactivations(whole, X)
    for run in (preactivations(dropping, X), preactivations(whole, X, KEY)):
        for one, other in zip(run, plain, strict=True):
            np.testing.assert_array_equal(one, other)
    dropped = preactivations(dropping, X, KEY)
    np.testing.assert_array_equal(dropped[0], plain[0])  # inputs are never dropped
    for one, other in zip(dropped[1:], plain[1:], strict=True):
        assert not np.any(np.asarray(one) == np.asarray(other))


# What it refuses.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": (3, 4)}, r"widths=\(3, 4\): give .* at least one hidden width"),
        ({"widths": (3, 0, 1)}, r"widths=\(3, 0, 1\): give .* at least 1"),
        ({"law": "cauchy"}, "law='cauchy' is unknown; use one of gaussian, uniform, orthogonal"),
        ({"keep_prob": 0.0}, r"keep_prob=0\.0; a probability of keeping lies in \(0, 1\]"),
        ({"keep_prob": 1.1}, r"keep_prob=1\.1; a prob"),
        ({"keep_prob": float("nan")}, "keep_prob=nan; a prob"),
        ({"weight_var": -0.1}, r"weight_var=-0\.1; a variance is finite and at least 0"),
        ({"weight_var": jnp.float32("inf")}, "weight_var=inf; a variance"),
        ({"bias_var": float("nan")}, "bias_var=nan; a variance"),
    ],
)
def test_refuses(changes, message):
    arguments = {"widths": (3, 4, 1), "activation": TANH, "weight_var": 1.0, **changes}
    with pytest.raises(ValueError, match=message):
        FullyConnected(KEY, **arguments)


def test_refuses_half_a_unit(monkeypatch):
    # Below the annotations, which refuse it too where they are checked.
    monkeypatch.setattr(FullyConnected, "__init__", unwrap(FullyConnected.__init__))
    with pytest.raises(ValueError, match=r"widths=\(3, 2\.5, 1\): give .* whole numbers"):
        FullyConnected(KEY, (3, 2.5, 1), TANH, weight_var=1.0)


@pytest.mark.parametrize("x", [np.ones((4, 3)), np.ones((4, 6))])
def test_refuses_inputs_of_another_dimension(x):
    with pytest.raises(ValueError, match=rf"x has shape \(4, {x.shape[1]}\); .* \[batch, 5\]"):
        preactivations(make(KEY), x)


@pytest.mark.parametrize(
    ("rows", "together", "message"),
    [
        ((7, 6), 1, r"settings have \[7, 6\] rows; give each one row a network"),
        ((), 1, r"settings have \[\] rows"),
        ((7, 7), 0, "together=0; at least 1"),
    ],
)
def test_measured_refuses(rows, together, message):
    settings = [jax.random.split(KEY, 7), jnp.ones(rows[-1])] if rows else []
    with pytest.raises(ValueError, match=message):
        passes.measured(make_one, measure_one, *settings, together=together)
