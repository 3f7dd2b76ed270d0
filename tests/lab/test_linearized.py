"""The tangent of a network: equal at first, a tangent, and linear in its parameters."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from widelimit import activations, parametrizations
from widelimit.lab import networks, tangent
from widelimit.lab.linearized import Linearized


def network():
    return networks.FullyConnected(
        jax.random.key(0),
        (5, 32, 32, 1),
        activations.get("tanh"),
        weight_var=1.5,
        bias_var=0.1,
        parametrization=parametrizations.NTK,
    )


def inputs(n=6, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(n, 5)), jnp.float32)


def at(module, params):
    graph, _, rest = nnx.split(module, nnx.Param, ...)
    return nnx.merge(graph, params, rest)


def direction(module, seed=0):
    params = nnx.state(module, nnx.Param)
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    random = [jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, random)


def test_it_begins_as_the_network_and_leaves_it_in_second_order():
    one, x = network(), inputs()
    linear = Linearized(one)
    np.testing.assert_array_equal(linear(x), one(x))
    params, zero = nnx.state(one, nnx.Param), nnx.state(linear, nnx.Param)
    way, gaps = jax.tree.leaves(direction(one)), []
    for step in (0.04, 0.02):
        moved = [p + step * w for p, w in zip(jax.tree.leaves(params), way, strict=True)]
        shifted = [z + step * w for z, w in zip(jax.tree.leaves(zero), way, strict=True)]
        bent = at(one, jax.tree.unflatten(jax.tree.structure(params), moved))(x)
        straight = at(linear, jax.tree.unflatten(jax.tree.structure(zero), shifted))(x)
        gaps.append(float(jnp.linalg.norm(bent - straight)))
    assert 3.5 < gaps[0] / gaps[1] < 4.5


def test_it_is_linear_in_its_parameters():
    linear, x = Linearized(network()), inputs()
    zero, way = linear(x), direction(linear)
    once, thrice = (
        at(linear, jax.tree.map(lambda w, size=size: size * w, way))(x) - zero for size in (1, 3)
    )
    np.testing.assert_allclose(3 * once, thrice, rtol=1e-4, atol=1e-4)


def test_its_training_is_the_linear_equation_with_its_own_kernel():
    one, x, y = network(), inputs(), inputs(seed=1)[:, :1]
    linear, theta = Linearized(one), np.asarray(tangent.empirical_ntk(one, x)[:, :, 0, 0], float)
    rate, steps = 0.3 / np.linalg.eigvalsh(theta)[-1], 40
    slope = jax.jit(jax.grad(lambda params: jnp.sum((at(linear, params)(x) - y) ** 2) / 2))
    params = nnx.state(linear, nnx.Param)
    for _ in range(steps):
        params = jax.tree.map(lambda p, g: p - rate * g, params, slope(params))
    start = np.asarray(one(x) - y, float)
    expected = np.linalg.matrix_power(np.eye(6) - rate * theta, steps) @ start
    found = np.asarray(at(linear, params)(x) - y, float)
    np.testing.assert_allclose(found, expected, atol=2e-4 * np.abs(start).max())
    assert np.abs(expected).max() < 0.7 * np.abs(start).max()
