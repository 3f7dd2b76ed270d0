"""How long kernels take beside the bare product of the inputs, in float32; d = 784.

The numbers in parentheses are ratios within a group. Meant: at most 2.5 times the product for ReLU
at any depth; erf and tanh within 1.3 times of ReLU at equal norms and within 6 at unequal ones.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit import activations
from widelimit.architectures import (
    Chain,
    Convolution,
    Dense,
    Elementwise,
    GlobalAveragePool,
    fully_connected,
)
from widelimit.theory import kernels

RELU = activations.get("relu")


def inputs(count, equal=False):
    x = np.random.default_rng(0).normal(size=(count, 784))
    if equal:
        x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    return jnp.asarray(x, jnp.float32)


def both(architecture, x, **options):
    return jax.block_until_ready(kernels.nngp_and_ntk(architecture, x, **options))


@pytest.mark.parametrize("count", [2000, 5000])
@pytest.mark.parametrize("what", ["product", 3, 10, 100, "layer by layer"])
def test_relu(benchmark, what, count):
    benchmark.group = f"{count} inputs, ReLU; by depth"
    x, product = inputs(count), jax.jit(lambda x: x @ x.T)
    if what == "product":
        run = lambda: jax.block_until_ready(product(x))  # noqa: E731
    elif what == "layer by layer":
        run = lambda: both(fully_connected(10, RELU, 2.0), x, error=0)  # noqa: E731
    else:
        run = lambda: both(fully_connected(what, RELU, 2.0), x)  # noqa: E731
    run()
    benchmark.pedantic(run, rounds=7)


@pytest.mark.parametrize("equal", [True, False], ids=["equal norms", "unequal norms"])
@pytest.mark.parametrize("name", ["relu", "erf", "tanh"])
def test_activations(benchmark, name, equal):
    benchmark.group = "2000 inputs, depth 10"
    architecture = fully_connected(10, activations.get(name), 1.5, 0.0 if name == "relu" else 0.1)
    x = inputs(2000, equal)
    both(architecture, x)
    benchmark.pedantic(lambda: both(architecture, x), rounds=5)


@pytest.mark.parametrize("padding", ["same", "circular"])
def test_convolutions(benchmark, padding):
    benchmark.group = "10 images of 32×32×3, three convolutions and the mean"
    block = (Convolution(2.0, padding=padding), Elementwise(RELU))
    architecture = Chain((*block, *block, *block, GlobalAveragePool(), Dense(1.0)))
    x = np.random.default_rng(0).normal(size=(10, 32, 32, 3))
    x = jnp.asarray(x, jnp.float32)
    both(architecture, x)
    benchmark.pedantic(lambda: both(architecture, x), rounds=2)
