"""Random networks with one hidden layer, drawn from their prior and conditioned on data."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key

from widelimit.architectures import ShallowPrior

# Random numbers come in blocks of few sizes, whatever the width is, and apart from what is done
# with them: compiling a generator for a new shape takes longer than running it.
_BLOCK = 2**22


@partial(jax.jit, static_argnames=("size", "columns"))
def _normals(key, size, columns):
    return jax.random.normal(key, (size, columns), jnp.float32)


@partial(jax.jit, static_argnames=("size", "columns"))
def _stables(key, alpha, size, columns):
    return stable(key, alpha, (size, columns))


@partial(jax.jit, static_argnames="activation")
def _activate(activation, weights, bias_std, weight_std, x):
    # Accelerators would multiply in fewer bits unless asked not to.
    drive = jnp.matmul(weights[:, 1:], x.T, precision="highest")
    return activation(bias_std * weights[:, :1] + weight_std * drive)


def _units(prior, key, size, x):
    """Activations of independent hidden units, shape ``[size, n]``."""
    weights = _normals(key, size, x.shape[1] + 1)
    stds = jnp.float32(prior.input_bias_std), jnp.float32(prior.input_weight_std)
    return _activate(prior.activation, weights, *stds, x)


def _in_blocks(one_block, key, draws: int, width: int, points: int):
    """``one_block(key, size, networks)`` until there are ``draws`` networks, joined and cut there.

    Every block is whole, also the last, so that each width compiles once.
    """
    size = max(_BLOCK >> max(3, (points - 1).bit_length()), width)
    networks = size // width
    keys = (jax.random.fold_in(key, i) for i in range(-(-draws // networks)))
    # Joined by numpy: XLA would compile a concatenation for every number of blocks.
    return jnp.asarray(np.concatenate([one_block(one, size, networks) for one in keys])[:draws])


def _grouped(units, networks, width):
    """Units as networks, shape ``[networks, width, k]``; a remainder is left out."""
    return units[: networks * width].reshape(networks, width, -1)


def hidden_units(
    prior: ShallowPrior, key: Key[Array, ""], draws: int, width: int, x: Float[ArrayLike, "n d"]
) -> Float[Array, "draws width n"]:
    """Hidden activations of independent networks at the inputs.

    Args:
      prior: the distribution of the weights.
      key: a random key.
      draws: number of networks.
      width: number of hidden units H of each.
      x: inputs, shape ``[n, d]``.

    Returns:
      ``h_j(x_i)``, float32, shape ``[draws, width, n]``, all in memory at once.

    Raises:
      ValueError: x without two axes, or draws or width below 1.
    """
    x = _checked(x, draws, width)
    return _grouped(_units(prior, key, draws * width, x), draws, width)


def _checked(x: Float[ArrayLike, ...], draws: int, width: int) -> Float[Array, "n d"]:
    if jnp.ndim(x) != 2:
        raise ValueError(f"x has shape {jnp.shape(x)}; give inputs as [n, d], so x[:, None] in 1-d")
    if draws < 1 or width < 1:
        raise ValueError(f"draws={draws}, width={width}; both are at least 1")
    return jnp.asarray(x, jnp.float32)


@partial(jax.jit, static_argnames=("networks", "width"))
def _gram(units, networks, width):
    h = _grouped(units, networks, width)
    # Not a batched matrix product, which is slow where n is 1.
    return jnp.mean(h[..., :, None] * h[..., None, :], axis=1)


def conditional_covariance(
    prior: ShallowPrior, key: Key[Array, ""], draws: int, width: int, x: Float[ArrayLike, "n d"]
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

    Source: chapter 1, equations (1.4) and (1.9).
    """
    x = _checked(x, draws, width)

    def one_block(key, size, networks):
        return _gram(_units(prior, key, size, x), networks, width)

    return prior.output_weight_std**2 * _in_blocks(one_block, key, draws, width, len(x))


def stable(
    key: Key[Array, ""], alpha: float | Float[Array, ""], shape: tuple[int, ...]
) -> Float[Array, ...]:
    r"""Symmetric α-stable numbers of unit scale: characteristic function exp(−\|t\|^α).

    Args:
      key: a random key.
      alpha: index in [0.4, 2]; 1 is Cauchy, 2 is Gaussian with variance 2. Smaller indices would
        overflow float32.
      shape: of the result.

    Returns:
      float32 numbers, all finite. They are made in 64 bits where those are on; else the far tail,
      beyond a probability of about 1e-6, is cut.

    Raises:
      ValueError: a concrete alpha outside [0.4, 2].

    Source: Chambers, Mallows & Stuck 1976, symmetric case; chapter 1, equation (1.12).
    """
    if not isinstance(alpha, jax.core.Tracer) and not 0.4 <= alpha <= 2:
        raise ValueError(f"alpha is {alpha}; give a stable index in [0.4, 2]")
    key_angle, key_time = jax.random.split(key)
    # The widest type there is: the tails come from angles and times next to an end point.
    dtype = jnp.result_type(float)
    eps, alpha = jnp.finfo(dtype).eps, jnp.asarray(alpha, dtype)
    edge = (1 - 4 * eps) / 2
    turn = jnp.clip(jax.random.uniform(key_angle, shape, dtype) - 0.5, -edge, edge)
    time = jnp.maximum(jax.random.exponential(key_time, shape, dtype), eps / 2)
    angle = jnp.pi * turn
    ratio = jnp.cos((1 - alpha) * angle) / time
    stable = jnp.sin(alpha * angle) / jnp.cos(angle) ** (1 / alpha) * ratio ** ((1 - alpha) / alpha)
    return stable.astype(jnp.float32)


@partial(jax.jit, static_argnames=("networks", "width"))
def _weighted_sum(h, v, networks, width, scale):
    h, v = _grouped(h, networks, width), _grouped(v, networks, width)
    return scale * jnp.einsum("nwo,nwx->nox", v, h, precision="highest")


def outputs(
    prior: ShallowPrior,
    key: Key[Array, ""],
    draws: int,
    width: int,
    x: Float[ArrayLike, "n d"],
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
      ValueError: x without two axes, a count below 1, or alpha outside [0.4, 2].

    Source: chapter 1, equation (1.1).
    """
    if outputs < 1:
        raise ValueError(f"outputs={outputs}; a network has at least one")
    if alpha is not None and not 0.4 <= alpha <= 2:
        raise ValueError(f"alpha is {alpha}; give a stable index in [0.4, 2]")
    if exponent is None:
        exponent = 0.5 if alpha is None else 1 / alpha
    x = _checked(x, draws, width)
    scale = prior.output_weight_std / width**exponent

    def one_block(key, size, networks):
        key_h, key_v, key_b = jax.random.split(key, 3)
        h = _units(prior, key_h, size, x)
        v = (
            _normals(key_v, size, outputs)
            if alpha is None
            else _stables(key_v, jnp.float32(alpha), size, outputs)
        )
        f = _weighted_sum(h, v, networks, width, jnp.float32(scale))
        if prior.output_bias_std:
            f += prior.output_bias_std * _normals(key_b, size, outputs)[:networks, :, None]
        return f

    return _in_blocks(one_block, key, draws, width, len(x) + outputs)


@partial(jax.jit, static_argnames=("networks", "width"))
def _squared_moves(units, networks, width):
    h = _grouped(units, networks, width)
    return jnp.mean((h[..., 1:] - h[..., :1]) ** 2, axis=1)


def squared_increments(
    prior: ShallowPrior,
    key: Key[Array, ""],
    draws: int,
    width: int,
    x: Float[ArrayLike, " d"],
    separations: Float[ArrayLike, "k d"],
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
      ValueError: shapes that do not fit, or draws or width below 1.

    Source: chapter 1, equations (1.10) and (1.11).
    """
    start, moves = jnp.asarray(x, jnp.float32), _checked(separations, draws, width)
    if start.shape != moves.shape[1:]:
        raise ValueError(
            f"x has shape {start.shape} and separations {moves.shape}; give [d], [k, d]"
        )
    points = jnp.concatenate([start[None], start[None] + moves])

    def one_block(key, size, networks):
        return _squared_moves(_units(prior, key, size, points), networks, width)

    moves = _in_blocks(one_block, key, draws, width, len(points))
    return prior.output_weight_std**2 * jnp.mean(moves, axis=0)
