"""How long the Gaussian integrals take, after compilation, in float64."""

import jax
import jax.numpy as jnp
import pytest

from widelimit import activations
from widelimit.theory import gaussian


@pytest.fixture(autouse=True)
def float64():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize(
    ("name", "pairs"), [("relu", 1_000_000), ("gelu", 1_000_000), ("tanh", 1_000), ("silu", 1_000)]
)
def test_dual(benchmark, name, pairs):
    phi = activations.get(name)
    cov = jnp.linspace(-1, 1, pairs)
    dual = jax.jit(lambda c: gaussian.dual(phi, jnp.ones_like(c), jnp.ones_like(c), c))
    values = benchmark(lambda: dual(cov).block_until_ready())
    assert values.shape == (pairs,)


def test_expectation(benchmark):
    variances = jnp.linspace(0, 1e4, 10_000)
    mean = jax.jit(lambda q: gaussian.expectation(jnp.tanh, q))
    values = benchmark(lambda: mean(variances).block_until_ready())
    assert values.shape == (10_000,)


def test_hermite_coefficients(benchmark):
    tanh = activations.get("tanh")
    coefficients = jax.jit(lambda q: gaussian.hermite_coefficients(tanh, q, 60))
    values = benchmark(lambda: coefficients(1.5).block_until_ready())
    assert values.shape == (61,)
