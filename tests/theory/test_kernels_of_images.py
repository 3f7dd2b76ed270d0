"""Convolutional kernels against sums over all pairs of positions, and by identities."""

import itertools
from functools import partial

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
    Flatten,
    GlobalAveragePool,
    Repeat,
    Residual,
)
from widelimit.theory import kernels

RELU, TANH = activations.get("relu"), activations.get("tanh")
WITH_RELU = Elementwise(RELU)


def images(n, size, seed=0, dtype=float):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(n, *size, 2)), dtype)


def relu_duals(var_1, var_2, cov):
    size = np.sqrt(var_1[:, :, None, None] * var_2[None, None])
    angle = np.arccos(np.clip(cov / size, -1, 1))
    value = size * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    return value, (np.pi - angle) / (2 * np.pi)


def before_and_after(size, k, stride, padding):
    if padding == "valid":
        return 0, (size - k) // stride + 1
    if padding == "circular":
        return (k - 1) // 2, size // stride
    after = -(-size // stride)
    return max((after - 1) * stride + k - size, 0) // 2, after


def convolved(cov, layer):
    """All pairs of positions, one by one."""
    (k0, k1), (s0, s1) = layer.filter_shape, layer.strides
    height, width = cov.shape[:2]
    b0, h = before_and_after(height, k0, s0, layer.padding)
    b1, w = before_and_after(width, k1, s1, layer.padding)
    found = np.zeros((h, w, h, w))
    for p, q, u, v in itertools.product(range(h), range(w), range(h), range(w)):
        for a, b in itertools.product(range(k0), range(k1)):
            rows = np.array([p, u]) * s0 + a - b0
            columns = np.array([q, v]) * s1 + b - b1
            if layer.padding == "circular":
                rows, columns = rows % height, columns % width
            if min(*rows, *columns) >= 0 and max(rows) < height and max(columns) < width:
                found[p, q, u, v] += cov[rows[0], columns[0], rows[1], columns[1]]
    return found / (k0 * k1)


def by_hand(x, y, layers, pool, last):
    """Both kernels for one pair of images."""
    pairs = [(x, x), (x, y), (y, y)]
    k11, k12, k22 = (np.einsum("abc,dec->abde", *pair) / x.shape[-1] for pair in pairs)
    theta = np.zeros_like(k12)
    diagonal = partial(np.einsum, "abab->ab")
    for layer in layers:
        if isinstance(layer, Elementwise):
            one, two = diagonal(k11), diagonal(k22)
            k11, k22 = relu_duals(one, one, k11)[0], relu_duals(two, two, k22)[0]
            k12, slope = relu_duals(one, two, k12)
            theta = theta * slope
        else:
            affine = lambda k: layer.weight_var * convolved(k, layer) + layer.bias_var  # noqa: B023, E731
            k11, k12, k22 = map(affine, (k11, k12, k22))
            theta = layer.weight_var * convolved(theta, layer) + k12
    mean = np.mean if isinstance(pool, GlobalAveragePool) else lambda k: np.mean(diagonal(k))
    k = last.weight_var * mean(k12) + last.bias_var
    return k, last.weight_var * mean(theta) + k


CASES = {
    "same": ((4, 5), Convolution(1.7, 0.1), Convolution(2.0, 0.0, (3, 2))),
    "circular": (
        (4, 5),
        Convolution(1.7, 0.1, padding="circular"),
        Convolution(2.0, 0.0, (3, 2), padding="circular"),
    ),
    "valid": ((5, 4), Convolution(1.7, 0.1, padding="valid"), Convolution(2.0, 0.0, (2, 2))),
    "strides": ((5, 6), Convolution(1.7, 0.1, strides=(2, 2)), Convolution(2.0, 0.1, (2, 2))),
    "strides, valid": (
        (5, 6),
        Convolution(1.7, 0.1, strides=(2, 1), padding="valid"),
        Convolution(2.0, 0.1, (2, 2), strides=(1, 2)),
    ),
    "strides, circular": (
        (4, 6),
        Convolution(1.7, 0.1, strides=(2, 2), padding="circular"),
        Convolution(2.0, 0.1, (2, 2), padding="circular"),
    ),
}


@pytest.mark.parametrize("pool", [Flatten(), GlobalAveragePool()], ids=["flatten", "mean"])
@pytest.mark.parametrize("case", CASES)
def test_all_pairs_of_positions(case, pool):
    size, first, second = CASES[case]
    layers, last = (first, WITH_RELU, second, WITH_RELU), Dense(1.3, 0.2)
    x, y = images(2, size), images(3, size, seed=1)
    found = kernels.nngp_and_ntk(Chain((*layers, pool, last)), x, y)
    for i, j in itertools.product(range(2), range(3)):
        k, theta = by_hand(np.asarray(x[i]), np.asarray(y[j]), layers, pool, last)
        assert float(found.nngp[i, j]) == pytest.approx(k, rel=1e-12)
        assert float(found.ntk[i, j]) == pytest.approx(theta, rel=1e-12)


@pytest.mark.parametrize("padding", ["same", "circular"])
def test_half_of_the_planes_is_enough_for_a_symmetric_kernel(padding):
    conv = Convolution(1.7, 0.1, padding=padding)
    architecture = Chain((conv, WITH_RELU, conv, WITH_RELU, GlobalAveragePool(), Dense(1.0)))
    x = images(4, (4, 6))
    half = kernels.nngp_and_ntk(architecture, x)
    full = kernels.nngp_and_ntk(architecture, x, x + 0)
    for one, other in zip(half, full, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7)
        np.testing.assert_allclose(one, one.T, rtol=1e-14)


def test_blocks_of_images_change_nothing(monkeypatch):
    conv = Convolution(1.7, 0.1)
    architecture = Chain((conv, WITH_RELU, GlobalAveragePool(), Dense(1.0)))
    x = images(7, (4, 4))
    whole = kernels.nngp_and_ntk(architecture, x)
    monkeypatch.setattr("widelimit.theory.blocks.BLOCK", 16 * 3**2)
    blocks = kernels.nngp_and_ntk(architecture, x)
    for one, other in zip(whole, blocks, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_layers_behind_the_mean_see_its_variance():
    """A filter of one position and one-pixel images make a convolution a dense layer."""
    conv, x = Convolution(1.4, 0.1, (1, 1)), images(5, (1, 1))
    tail = (Dense(1.4, 0.1), Elementwise(TANH), Dense(0.7))
    dense = Chain((Dense(1.4, 0.1), WITH_RELU, *tail))
    expected = kernels.nngp_and_ntk(dense, x[:, 0, 0])
    for pool in (GlobalAveragePool(), Flatten()):
        found = kernels.nngp_and_ntk(Chain((conv, WITH_RELU, pool, *tail)), x)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11)


def test_residual_convolutions_repeat():
    conv = Convolution(1.1, 0.0)
    block = Residual(Chain((WITH_RELU, conv)))
    x, end = images(3, (4, 4)), (WITH_RELU, GlobalAveragePool(), Dense(1.0))
    repeated = kernels.ntk(Chain((conv, Repeat(block, 2), *end)), x)
    written_out = kernels.ntk(Chain((conv, block, block, *end)), x)
    np.testing.assert_allclose(repeated, written_out, rtol=1e-12)


def test_random_convolutional_networks_have_this_covariance():
    """Networks written in plain JAX; the error of a mean over networks bounds the difference."""
    channels, networks = 64, 400
    x = images(3, (4, 4), dtype="float32")
    first, second = Convolution(2.0, 0.1), Convolution(2.0, 0.1, strides=(2, 2))
    architecture = Chain((first, WITH_RELU, second, WITH_RELU, GlobalAveragePool(), Dense(1.0)))

    def convolve(x, key, layer, fan):
        key_w, key_b = jax.random.split(key)
        std = (layer.weight_var / (9 * fan)) ** 0.5
        w = std * jax.random.normal(key_w, (3, 3, fan, channels), "float32")
        b = layer.bias_var**0.5 * jax.random.normal(key_b, (1, 1, 1, channels), "float32")
        dims = ("NHWC", "HWIO", "NHWC")
        return b + jax.lax.conv_general_dilated(x, w, layer.strides, "SAME", dimension_numbers=dims)

    def last_units(key):
        key_1, key_2 = jax.random.split(key)
        h = convolve(x, key_1, first, 2)
        h = convolve(jnp.maximum(h, 0), key_2, second, channels)
        mean = jnp.mean(jnp.maximum(h, 0), axis=(1, 2))
        return mean @ mean.T / channels

    drawn = jax.jit(lambda keys: jax.lax.map(last_units, keys))
    found = np.asarray(drawn(jax.random.split(jax.random.key(0), networks)), float)
    error = np.std(found, axis=0, ddof=1) / networks**0.5
    expected = np.asarray(kernels.nngp(architecture, x), float)
    assert np.all(np.abs(found.mean(axis=0) - expected) < 4.5 * error)
    assert np.all(error < 0.02 * expected)


DENSE = Chain((Convolution(1.0), Elementwise(RELU)))
REFUSED = {
    "ends with images": lambda: kernels.nngp(DENSE, images(2, (4, 4))),
    "Dense reads vectors": lambda: kernels.nngp(Chain((Dense(1.0),)), images(2, (4, 4))),
    "Convolution reads images": lambda: kernels.nngp(DENSE, jnp.ones((2, 5))),
    "does not fit into": lambda: kernels.nngp(
        Chain((Convolution(1.0, padding="valid"), Flatten(), Dense(1.0))), images(2, (2, 4))
    ),
    "use padding='same'": lambda: kernels.nngp(
        Chain((Convolution(1.0, strides=(2, 2), padding="circular"), Flatten())), images(2, (5, 4))
    ),
    "padding='wrap'": lambda: Convolution(1.0, padding="wrap"),
    r"filter_shape=\(0, 3\)": lambda: Convolution(1.0, filter_shape=(0, 3)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message):
    with pytest.raises(ValueError, match=message):
        REFUSED[message]()
