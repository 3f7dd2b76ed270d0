"""Random networks with one hidden layer, drawn from their prior and conditioned on data."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from widelimit.architectures import ShallowPrior

_CHUNK = 2**22
"""Hidden activations held in memory at once: 16 MiB in float32."""


def hidden_units(
    prior: ShallowPrior, key: Key[Array, ""], draws: int, width: int, x: Float[Array, "n d"]
) -> Float[Array, "draws width n"]:
    """Hidden activations of independent networks at the inputs.

    Args:
      prior: the distribution of the weights.
      key: a random key.
      draws: number of networks.
      width: number of hidden units H of each.
      x: inputs, float32, shape ``[n, d]``.

    Returns:
      ``h_j(x_i)``, float32, shape ``[draws, width, n]``.
    """
    key_u, key_a = jax.random.split(key)
    u = jax.random.normal(key_u, (draws, width, x.shape[1]), jnp.float32)
    a = jax.random.normal(key_a, (draws, width, 1), jnp.float32)
    return prior.activation(prior.input_bias_std * a + prior.input_weight_std * u @ x.T)


def _chunked(one_chunk, key, draws: int, size_of_one: int):
    """``one_chunk(key, n)`` over chunks that fit in memory, joined along the first axis."""
    chunk = max(1, min(draws, _CHUNK // size_of_one))
    chunks = -(-draws // chunk)
    stacked = jax.lax.map(lambda k: one_chunk(k, chunk), jax.random.split(key, chunks))
    return jax.tree.map(lambda s: s.reshape((-1, *s.shape[2:]))[:draws], stacked)


def _checked(x: Float[Array, "n d"], draws: int, width: int) -> Float[Array, "n d"]:
    if jnp.ndim(x) != 2:
        raise ValueError(f"x has shape {jnp.shape(x)}; give inputs as [n, d], so x[:, None] in 1-d")
    if draws < 1 or width < 1:
        raise ValueError(f"draws={draws}, width={width}; both are at least 1")
    return jnp.asarray(x, jnp.float32)


@partial(jax.jit, static_argnames=("prior", "draws", "width"))
def _gram(prior, key, draws, width, x):
    def one_chunk(key, n):
        h = hidden_units(prior, key, n, width, x)
        # A contraction on purpose: a batched 1×1 matrix product is slow where n = 1.
        return jnp.sum(h[..., :, None] * h[..., None, :], axis=1)

    size = width * x.shape[0] ** 2
    return prior.output_weight_std**2 / width * _chunked(one_chunk, key, draws, size)


def conditional_covariance(
    prior: ShallowPrior, key: Key[Array, ""], draws: int, width: int, x: Float[Array, "n d"]
) -> Float[Array, "draws n n"]:
    r"""Covariance of f − b over the output weights alone, the hidden units held fixed.

    .. math:: \hat K_{ik} = \frac{\omega_v^2}{H} \sum_{j=1}^H h_j(x_i)\, h_j(x_k)

    Given the hidden units, f − b is exactly Gaussian with this covariance: each network is one
    draw of it, and f − b is a mixture of Gaussians over the draws.

    Args:
      prior: the distribution of the weights.
      key: a random key.
      draws: number of networks.
      width: number of hidden units of each.
      x: inputs, shape ``[n, d]``.

    Returns:
      One matrix a network, float32, shape ``[draws, n, n]``.

    Raises:
      ValueError: x without two axes, or draws or width below 1.
    """
    return _gram(prior, key, draws, width, _checked(x, draws, width))


def stable(key: Key[Array, ""], alpha: float, shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    r"""Symmetric α-stable numbers of unit scale: characteristic function exp(−\|t\|^α).

    Args:
      key: a random key.
      alpha: index in (0, 2]; 1 is Cauchy, 2 is Gaussian with variance 2.
      shape: of the result.

    Returns:
      float32 numbers, all finite.

    Raises:
      ValueError: alpha outside (0, 2].

    Source: Chambers, Mallows & Stuck 1976, symmetric case.
    """
    if not 0 < alpha <= 2:
        raise ValueError(f"alpha is {alpha}; a stable index lies in (0, 2]")
    key_angle, key_time = jax.random.split(key)
    angle = jnp.pi * (jax.random.uniform(key_angle, shape, jnp.float32) - 0.5)
    # Away from the end points, where float32 would round the cosine to zero.
    angle = jnp.clip(angle, -jnp.pi / 2 + 1e-6, jnp.pi / 2 - 1e-6)
    if alpha == 1:
        return jnp.tan(angle)
    time = jnp.maximum(jax.random.exponential(key_time, shape, jnp.float32), 1e-30)
    ratio = jnp.cos((1 - alpha) * angle) / time
    return jnp.sin(alpha * angle) / jnp.cos(angle) ** (1 / alpha) * ratio ** ((1 - alpha) / alpha)


@partial(jax.jit, static_argnames=("prior", "draws", "width", "outputs", "alpha", "exponent"))
def _outputs(prior, key, draws, width, x, outputs, alpha, exponent):
    def one_chunk(key, n):
        key_h, key_v, key_b = jax.random.split(key, 3)
        h = hidden_units(prior, key_h, n, width, x)
        shape = (n, outputs, width)
        if alpha is None:
            v = jax.random.normal(key_v, shape, jnp.float32)
        else:
            v = stable(key_v, alpha, shape)
        b = jax.random.normal(key_b, (n, outputs, 1), jnp.float32)
        scale = prior.output_weight_std / width**exponent
        return prior.output_bias_std * b + scale * jnp.einsum("now,nwx->nox", v, h)

    return _chunked(one_chunk, key, draws, width * (x.shape[0] + outputs))


def outputs(
    prior: ShallowPrior,
    key: Key[Array, ""],
    draws: int,
    width: int,
    x: Float[Array, "n d"],
    *,
    outputs: int = 1,
    alpha: float | None = None,
    exponent: float | None = None,
) -> Float[Array, "draws outputs n"]:
    r"""Outputs of networks drawn from the prior: every weight is sampled.

    Args:
      prior: the distribution of the weights.
      key: a random key.
      draws: number of networks.
      width: number of hidden units H of each.
      x: inputs, shape ``[n, d]``.
      outputs: number of outputs that share the hidden units.
      alpha: None for Gaussian output weights of standard deviation ω_v H^(−exponent); else
        symmetric α-stable ones of that scale.
      exponent: how the output weights shrink with the width; by default 1/2 for Gaussian weights
        and 1/α for stable ones, as Neal prescribes.

    Returns:
      f at the inputs, float32, shape ``[draws, outputs, n]``.

    Raises:
      ValueError: x without two axes, a count below 1, or alpha outside (0, 2].
    """
    if outputs < 1:
        raise ValueError(f"outputs={outputs}; a network has at least one")
    if alpha is not None and not 0 < alpha <= 2:
        raise ValueError(f"alpha is {alpha}; a stable index lies in (0, 2]")
    if exponent is None:
        exponent = 0.5 if alpha is None else 1 / alpha
    return _outputs(prior, key, draws, width, _checked(x, draws, width), outputs, alpha, exponent)


@partial(jax.jit, static_argnames=("prior", "draws", "width"))
def _squared_increments(prior, key, draws, width, x):
    def one_chunk(key, n):
        h = hidden_units(prior, key, n, width, x)
        return jnp.mean((h[..., 1:] - h[..., :1]) ** 2, axis=1)

    moves = _chunked(one_chunk, key, draws, width * x.shape[0])
    return prior.output_weight_std**2 * jnp.mean(moves, axis=0)


def squared_increments(
    prior: ShallowPrior,
    key: Key[Array, ""],
    draws: int,
    width: int,
    x: Float[Array, " d"],
    separations: Float[Array, "k d"],
) -> Float[Array, " k"]:
    r"""Mean of (f(x+δ) − f(x))² over networks, the output weights averaged out exactly.

    .. math:: \Bigl\langle \frac{\omega_v^2}{H}\sum_{j=1}^H \bigl(h_j(x+\delta) - h_j(x)\bigr)^2
       \Bigr\rangle_{\text{networks}}

    Args:
      prior: the distribution of the weights.
      key: a random key.
      draws: number of networks.
      width: number of hidden units of each.
      x: one input, shape ``[d]``.
      separations: δ, shape ``[k, d]``.

    Returns:
      One mean a separation, float32, shape ``[k]``.

    Raises:
      ValueError: separations without two axes, or draws or width below 1.
    """
    points = jnp.concatenate([x[None], x + _checked(separations, draws, width)])
    return _squared_increments(prior, key, draws, width, jnp.asarray(points, jnp.float32))
