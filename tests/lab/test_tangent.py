"""The tangent kernel of networks: its routes agree, and it is what a small step does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from widelimit import activations, parametrizations
from widelimit.architectures import fully_connected
from widelimit.lab import networks, passes, tangent
from widelimit.theory import kernels

TANH = activations.get("tanh")
ROUTES = (tangent.by_layers, tangent.by_jacobians, tangent.by_products)


def network(widths=(5, 16, 16, 16, 3), parametrization=parametrizations.NTK, seed=0):
    return networks.FullyConnected(
        jax.random.key(seed),
        widths,
        TANH,
        weight_var=1.5,
        bias_var=0.2,
        parametrization=parametrization,
    )


def inputs(n, seed=0, d=5):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(n, d)), jnp.float32)


def rates_of(one):
    return networks.of_parameters(one, lambda index, name: 1.0 + index + 5 * (name == "bias"))


@pytest.mark.parametrize(
    ("parametrization", "rated"),
    [(parametrizations.NTK, False), (parametrizations.STANDARD, True)],
    ids=["ntk", "standard, rates"],
)
@pytest.mark.parametrize("widths", [(5, 16, 16, 16, 3), (5, 8, 12, 1), (5, 5, 5)])
def test_all_routes_agree(widths, parametrization, rated):
    one = network(widths, parametrization)
    rates = rates_of(one) if rated else None
    x, y = inputs(4), inputs(6, seed=1)
    found = [jax.jit(lambda x, y, route=route: route(one, x, y, rates))(x, y) for route in ROUTES]
    assert found[0].shape == (4, 6, widths[-1], widths[-1])
    for other in (*found[1:], tangent.empirical_ntk(one, x, y, rates)):
        np.testing.assert_allclose(found[0], other, rtol=2e-4, atol=2e-5 * np.max(found[0]))


def test_one_set_of_inputs_gives_a_symmetric_kernel():
    one, x = network(), inputs(6)
    theta = tangent.empirical_ntk(one, x)
    np.testing.assert_allclose(theta, jnp.transpose(theta, (1, 0, 3, 2)), rtol=1e-5, atol=1e-5)
    whole = np.asarray(theta, float).transpose(0, 2, 1, 3).reshape(18, 18)
    assert np.linalg.eigvalsh(whole)[0] > -1e-5 * np.linalg.eigvalsh(whole)[-1]


def test_products_with_vectors():
    one, x, y = network(), inputs(4), inputs(6, seed=1)
    vector = jnp.asarray(np.random.default_rng(2).normal(size=(6, 3)), jnp.float32)
    found = jax.jit(tangent.vector_product(one, x, y))(vector)
    expected = jnp.einsum("nmab,mb->na", tangent.empirical_ntk(one, x, y), vector)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_small_step_moves_the_outputs_as_the_kernel_says():
    one, x, step = network(parametrization=parametrizations.STANDARD), inputs(4), 1e-4
    rates = rates_of(one)
    learned = nnx.state(one, nnx.Param)

    def moved(sign):
        slope = jax.grad(lambda p: jnp.sum(_with(one, p)(x)[:, 1]))(learned)
        new = jax.tree.map(lambda p, g, r: p + sign * step * r * g, learned, slope, rates)
        return np.asarray(_with(one, new)(x), float)

    change = (moved(1) - moved(-1)) / (2 * step)
    expected = tangent.empirical_ntk(one, x, rates=rates)[:, :, :, 1].sum(axis=1)
    np.testing.assert_allclose(change, expected, rtol=0.01, atol=0.01 * float(np.max(expected)))


def _with(one, params):
    graph, _, rest = nnx.split(one, nnx.Param, ...)
    return nnx.merge(graph, params, rest)


class Convolutional(nnx.Module):
    """Some other module."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(2, 4, (3, 3), rngs=rngs)
        self.dense = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
        return self.dense(jnp.mean(jnp.tanh(self.conv(x)), axis=(1, 2)))


def test_any_module_goes_by_jacobians_or_products(monkeypatch):
    one = Convolutional(nnx.Rngs(0))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4, 4, 2)), jnp.float32)
    found = tangent.empirical_ntk(one, x)
    monkeypatch.setattr(tangent, "JACOBIAN_NUMBERS", 0)
    np.testing.assert_allclose(found, tangent.empirical_ntk(one, x), rtol=1e-4, atol=1e-5)
    assert found.shape == (3, 3, 2, 2)


RELU = activations.get("relu")


@pytest.mark.parametrize(
    ("parametrization", "width"), [(parametrizations.NTK, None), (parametrizations.STANDARD, 128)]
)
def test_its_mean_is_the_kernel_of_the_limit(parametrization, width):
    """Over 256 networks; at finite width the mean is off by order 1/n."""
    n, x = 128, inputs(4)

    def make(key):
        return networks.FullyConnected(
            key, (5, n, n, 1), RELU, weight_var=1.6, bias_var=0.1, parametrization=parametrization
        )

    measure = lambda one: tangent.by_layers(one, x, x)[:, :, 0, 0]  # noqa: E731
    drawn = passes.measured(make, measure, jax.random.split(jax.random.key(3), 256), together=8)
    drawn = np.asarray(drawn, float)
    error = np.std(drawn, axis=0, ddof=1) / 16
    expected = np.asarray(kernels.ntk(fully_connected(2, RELU, 1.6, 0.1), x, width=width), float)
    assert np.all(np.abs(drawn.mean(axis=0) - expected) < 4.5 * error + np.abs(expected) / n)
    assert np.all(error < 0.03 * expected.max())
