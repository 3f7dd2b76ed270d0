"""Full-batch gradient descent: against Optax, against its closed form, and how far it carries."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from widelimit import activations, parametrizations
from widelimit.lab import descent, networks, passes
from widelimit.lab.linearized import Linearized
from widelimit.lab.tangent import empirical_ntk

X = np.random.default_rng(0).standard_normal((4, 3))
Y = np.array([[1.0, 0.0], [-1.0, 0.5], [0.3, 0.2], [0.0, -1.0]])


def network(key=0, widths=(3, 32, 32, 2)):
    tanh = activations.get("tanh")
    return networks.FullyConnected(
        jax.random.key(key),
        widths,
        tanh,
        weight_var=1.5,
        bias_var=0.1,
        parametrization=parametrizations.NTK,
    )


def descended(made, rate, steps):
    return jax.jit(lambda: descent.descend(made, X, Y, rate, steps)[1])()


def test_it_is_optax_s_gradient_descent_on_the_summed_loss():
    made = network()
    graph, params, rest = nnx.split(made, nnx.Param, ...)

    def loss(p):
        return 0.5 * jnp.sum((nnx.merge(graph, p, rest)(X) - jnp.float32(Y)) ** 2)

    optimizer = optax.sgd(0.02)
    state = optimizer.init(params)
    for _ in range(25):
        updates, state = optimizer.update(jax.grad(loss)(params), state)
        params = optax.apply_updates(params, updates)
    after = jax.jit(lambda: nnx.state(descent.descend(made, X, Y, 0.02, 25)[0], nnx.Param))()
    for one, two in zip(jax.tree.leaves(after), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_a_linear_model_loses_what_its_kernel_says():
    made = network()
    theta = np.asarray(empirical_ntk(made, X), float).transpose(0, 2, 1, 3).reshape(8, 8)
    rate, steps = 1 / np.linalg.eigvalsh(theta)[-1], 30
    lacking = np.asarray(descended(Linearized(made), rate, steps), float).reshape(steps, 8)
    expected = lacking[0]
    for found in lacking:
        np.testing.assert_allclose(found, expected, atol=2e-5)
        expected = expected - rate * theta @ expected


def test_the_network_that_is_given_is_not_changed_and_zero_steps_return_it():
    made = network()
    before = jax.tree.leaves(nnx.state(made, nnx.Param))
    descended(made, 0.1, 3)
    trained, lacking = descent.descend(made, X, Y, 0.1, 0)
    assert lacking.shape == (0, 4, 2)
    for one, two, three in zip(
        before,
        jax.tree.leaves(nnx.state(made, nnx.Param)),
        jax.tree.leaves(nnx.state(trained, nnx.Param)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)


def test_what_is_returned_is_single_precision_and_starts_at_the_start():
    made = network()
    trained, lacking = descent.descend(made, X, Y, 0.02, 5)
    assert lacking.dtype == jnp.float32
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(nnx.state(trained, nnx.Param)))
    np.testing.assert_allclose(lacking[0], np.asarray(made(X)) - Y, atol=1e-5)
    assert jnp.sum(lacking[-1] ** 2) < jnp.sum(lacking[0] ** 2)


def test_what_is_watched_is_seen_before_each_step():
    made, other = network(), jnp.asarray(X[:2] + 1, jnp.float32)
    watch = lambda one: {"outputs": one(other), "first": one.layers[0].kernel[...][0]}  # noqa: E731
    trained, seen = jax.jit(lambda: descent.descend(made, X, Y, 0.02, 4, watch))()
    assert seen["outputs"].shape == (4, 2, 2)
    for steps in range(4):
        after, _ = jax.jit(lambda s=steps: descent.descend(made, X, Y, 0.02, s))()
        np.testing.assert_allclose(seen["outputs"][steps], after(other), atol=1e-5)
        np.testing.assert_allclose(seen["first"][steps], after.layers[0].kernel[...][0], atol=1e-5)
    unwatched, _ = jax.jit(lambda: descent.descend(made, X, Y, 0.02, 4))()
    np.testing.assert_allclose(trained(other), unwatched(other), atol=1e-6)


def test_many_networks_at_once_are_those_one_by_one():
    def make(key):
        return networks.FullyConnected(
            key, (3, 16, 2), activations.get("tanh"), weight_var=1.0, bias_var=0.0
        )

    def measure(made):
        return descent.descend(made, X, Y, 0.01, 4)[1]

    keys = jax.random.split(jax.random.key(1), 3)
    together = passes.measured(make, measure, keys, together=3)
    alone = [jax.jit(lambda key: measure(make(key)))(key) for key in keys]
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-5)


# Without jaxtyping's own check, which would speak first.
UNCHECKED = getattr(descent.descend, "__wrapped__", descent.descend)


@pytest.mark.parametrize("steps", [-1, 2.0, "3", True])
def test_steps_are_a_whole_number(steps):
    with pytest.raises(ValueError, match="steps="):
        UNCHECKED(network(), X, Y, 0.1, steps)


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan, np.inf, np.ones(1)])
def test_a_rate_is_one_positive_number(rate):
    with pytest.raises(ValueError, match="rate="):
        UNCHECKED(network(), X, Y, rate, 1)


def test_steps_may_be_numpy_s():
    assert UNCHECKED(network(), X, Y, 0.1, np.int64(2))[1].shape == (2, 4, 2)


def test_targets_have_the_shape_of_the_outputs():
    with pytest.raises(ValueError, match=r"y has shape \(4, 1\)"):
        descent.descend(network(), X, Y[:, :1], 0.1, 1)


def test_relative_change_by_array():
    before = {"a": jnp.array([3.0, 4.0]), "b": jnp.eye(2)}
    after = {"a": jnp.array([3.0, 5.0]), "b": 3 * jnp.eye(2)}
    found = descent.relative_change(before, after)
    np.testing.assert_allclose([found["a"], found["b"]], [0.2, 2.0], rtol=1e-6)


@pytest.mark.parametrize("shape", [(40, 40), (30, 50), (50, 30)])
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_the_operator_norm_of_what_training_adds(shape, scale):
    rng = np.random.default_rng(2)
    u, _, v = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
    matrix = scale * (u[:, :4] * np.array([1, 0.9, 0.5, 0.1])) @ v[:4]
    found = float(descent.operator_norm(jnp.asarray(matrix, jnp.float32)))
    assert scale * (1 - 1e-4) < found < scale * (1 + 1e-6)


def test_the_operator_norm_of_nothing():
    assert float(descent.operator_norm(jnp.zeros((3, 3)))) == 0


def test_watching_does_not_change_the_training():
    made = network()

    def wipe(one):
        one.layers[0].kernel[...] = 0 * one.layers[0].kernel[...]
        return jnp.zeros(())

    trained, _ = jax.jit(lambda: descent.descend(made, X, Y, 0.02, 3, wipe))()
    expected, _ = jax.jit(lambda: descent.descend(made, X, Y, 0.02, 3))()
    np.testing.assert_allclose(trained(jnp.float32(X)), expected(jnp.float32(X)), atol=1e-6)
