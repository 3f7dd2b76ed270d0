"""A network seen from its last layer, against draws, the tangent kernel, and real descent."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from widelimit import activations, parametrizations
from widelimit.lab import networks, readout, tangent

#: Without the checker of shapes, which users do not have.
unchecked = getattr(readout.trained, "__wrapped__", readout.trained)


def network(key=0, parametrization=parametrizations.NTK, width=24, outputs=2):
    return networks.FullyConnected(
        jax.random.key(key),
        (3, width, width, outputs),
        activations.get("tanh"),
        weight_var=1.5,
        bias_var=0.3,
        parametrization=parametrization,
    )


def inputs(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)


@pytest.mark.parametrize("parametrization", [parametrizations.NTK, parametrizations.STANDARD])
def test_gradients_are_the_readouts(parametrization):
    x, one = inputs(4), network(parametrization=parametrization)
    jacobian = jax.jacobian(lambda state: nnx.merge(graph, state)(x)[:, 0])
    graph, state = nnx.split(one)
    last = jacobian(state)["layers"][2]
    # The other output's weights do not move this one.
    expected = np.concatenate([last["kernel"][...][:, 0, :, 0], last["bias"][...][:, :, 0]], 1)
    np.testing.assert_allclose(readout.gradients(one, x), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("parametrization", [parametrizations.NTK, parametrizations.STANDARD])
@pytest.mark.parametrize("examples", [4, 60])
def test_descent_ends_there(parametrization, examples):
    # Fewer examples than weights, where the start is remembered, and more, where it is not.
    x, x_test, one = inputs(examples), inputs(5, seed=1), network(parametrization=parametrization)
    y = np.random.default_rng(2).normal(size=(examples, 2)).astype(np.float32)
    expected = readout.trained(one, x, y, x_test)
    inside, outside = readout.gradients(one, x), readout.gradients(one, x_test)
    start, start_outside = one(x), one(x_test)
    values = np.linalg.svd(np.asarray(inside, float), compute_uv=False)
    rate = 1 / values[0] ** 2

    @jax.jit
    def descend(step):
        move = lambda _, s: s - rate * inside.T @ (start + inside @ s - y)  # noqa: E731
        return jax.lax.fori_loop(0, 200_000, move, step)

    step = descend(jnp.zeros((inside.shape[1], 2)))
    resolved = values[values > 1e-7 * values[0]]
    assert examples > 24 or rate * resolved[-1] ** 2 * 200_000 > 20  # it has converged
    tolerance = 2e-3 if examples == 4 else 0.2
    np.testing.assert_allclose(start_outside + outside @ step, expected, atol=tolerance)


def test_is_part_of_the_tangent_kernel():
    x, one = inputs(4), network(outputs=1)
    whole = np.asarray(tangent.empirical_ntk(one, jnp.asarray(x)), float)[..., 0, 0]
    found = np.asarray(readout.gradients(one, x), float)
    values = np.linalg.eigvalsh(whole - found @ found.T)
    assert values[0] > -1e-4 * values[-1]
    assert values[-1] > 0.1 * np.linalg.eigvalsh(whole)[-1]


@pytest.mark.parametrize("shape", [(4,), (4, 1), (3, 2), (1, 2)])
def test_targets_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"need \(4, 2\)"):
        unchecked(network(), inputs(4), np.zeros(shape), inputs(2))


def test_optax_agrees():
    # The real thing, through the network itself: only the readout's parameters move.
    x, x_test, one = inputs(3), inputs(4, seed=1), network(width=40)
    y = np.random.default_rng(2).normal(size=(3, 2)).astype(np.float32)
    expected = np.asarray(readout.trained(one, x, y, x_test))
    before = np.asarray(one(x_test))
    graph, params, rest = nnx.split(one, nnx.Param, ...)
    mask = jax.tree_util.tree_map_with_path(lambda path, _: path[1].key == 2, params)

    def loss(params):
        return jnp.sum((nnx.merge(graph, params, rest)(x) - y) ** 2) / 2

    values = np.linalg.svd(np.asarray(readout.gradients(one, x), float), compute_uv=False)
    rate = float(1 / values[0] ** 2)

    @jax.jit
    def descend(params):
        def move(_, params):
            gradient = jax.grad(loss)(params)
            update = jax.tree.map(lambda g, m: jnp.where(m, -rate * g, 0), gradient, mask)
            return optax.apply_updates(params, update)

        return jax.lax.fori_loop(0, 20_000, move, params)

    after = np.asarray(nnx.merge(graph, descend(params), rest)(x_test))
    np.testing.assert_allclose(after, expected, atol=2e-3)
    assert np.max(np.abs(after - before)) > 0.1
