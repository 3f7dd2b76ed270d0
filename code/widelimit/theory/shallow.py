"""The infinitely wide network with one hidden layer: its kernel, its increments, stable limits."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from widelimit.architectures import ShallowPrior
from widelimit.theory import gaussian


def input_covariance(
    prior: ShallowPrior, x1: Float[ArrayLike, "n d"], x2: Float[ArrayLike, "m d"]
) -> Float[Array, "n m"]:
    r"""Covariance of one hidden unit's pre-activation, :math:`\sigma_a^2 + \sigma_u^2\, x\cdot x'`.

    Args:
      prior: the distribution of the weights.
      x1: inputs, shape ``[n, d]``.
      x2: inputs, shape ``[m, d]``.

    Returns:
      Shape ``[n, m]``; exact.
    """
    product = jnp.matmul(x1, x2.T, precision="highest")
    return prior.input_bias_std**2 + prior.input_weight_std**2 * product


def hidden_moment(
    prior: ShallowPrior, x1: Float[ArrayLike, "n d"], x2: Float[ArrayLike, "m d"]
) -> Float[Array, "n m"]:
    r"""Second moment of one hidden unit, :math:`C(x, x') = \mathrm{E}[h(x)\,h(x')]`.

    Args:
      prior: the distribution of the weights.
      x1: inputs, shape ``[n, d]``.
      x2: inputs, shape ``[m, d]``.

    Returns:
      Shape ``[n, m]``, with the error of :func:`widelimit.theory.gaussian.dual`. Where the
      activation jumps, equal inputs in two different arrays err by the root of the rounding error,
      1e-8 in float64; on the diagonal of one array given twice nothing is lost.

    Source: chapter 1, equation (1.2).
    """
    var_1, var_2 = preactivation_var(prior, x1), preactivation_var(prior, x2)
    cov = input_covariance(prior, x1, x2)
    if x1 is x2:  # sums and matrix products round differently, and a correlation must be just 1
        cov = jnp.where(jnp.eye(len(var_1), dtype=bool), var_1[:, None], cov)
    return gaussian.dual(prior.activation, var_1[:, None], var_2[None, :], cov)


def preactivation_var(
    prior: ShallowPrior, x: Float[ArrayLike, "*points d"]
) -> Float[Array, "*points"]:
    r"""Variance of one hidden unit's pre-activation, :math:`\sigma_a^2 + \sigma_u^2 |x|^2`.

    Args:
      prior: the distribution of the weights.
      x: inputs, shape ``[..., d]``.

    Returns:
      Shape ``[...]``; exact.
    """
    squares = jnp.sum(jnp.asarray(x) ** 2, axis=-1)
    return prior.input_bias_std**2 + prior.input_weight_std**2 * squares


def kernel(
    prior: ShallowPrior, x1: Float[ArrayLike, "n d"], x2: Float[ArrayLike, "m d"]
) -> Float[Array, "n m"]:
    r"""Covariance of the network's output, at every width and of its Gaussian limit.

    .. math:: K(x, x') = \sigma_b^2 + \omega_v^2\, \mathrm{E}[h(x)\, h(x')]

    Args:
      prior: the distribution of the weights.
      x1: inputs, shape ``[n, d]``.
      x2: inputs, shape ``[m, d]``.

    Returns:
      Shape ``[n, m]``, in squared units of the output; the error of the hidden moment.

    Source: Neal 1996, section 2.1; chapter 1, equation (1.2).
    """
    return prior.output_bias_std**2 + prior.output_weight_std**2 * hidden_moment(prior, x1, x2)


def increments(
    prior: ShallowPrior, x: Float[ArrayLike, " d"], separations: Float[ArrayLike, "k d"]
) -> Float[Array, " k"]:
    r"""Mean squared increments of the output, :math:`\mathrm{E}(f(x+\delta) - f(x))^2`.

    Args:
      prior: the distribution of the weights.
      x: one input, shape ``[d]``.
      separations: δ, shape ``[k, d]``.

    Returns:
      Shape ``[k]``, :math:`K(x,x) + K(x',x') - 2K(x,x')`. The subtraction leaves an absolute error
      of about 1e-15 K(x,x) in float64 where the kernel has a closed form, 1e-13 K(x,x) where it is
      a quadrature; where the activation jumps it is 1e-15 ω_v² σ_a/(σ_u δ), from the rounding of
      the correlation.

    Source: chapter 1, equations (1.10) and (1.11), which are its limits.
    """
    x, separations = jnp.asarray(x), jnp.asarray(separations)
    ends = x[None] + separations
    var_x, var_ends = preactivation_var(prior, x), preactivation_var(prior, ends)
    # Summed as the variances are, so that at δ = 0 it is rounded as they are.
    cov = prior.input_bias_std**2 + prior.input_weight_std**2 * jnp.sum(ends * x[None], axis=-1)
    # The three moments in one call: var_u, var_v and cov as rows.
    rows = jnp.broadcast_arrays(var_x, var_ends, cov)
    moment = gaussian.dual(
        prior.activation,
        jnp.stack([rows[0], rows[1], rows[0]]),
        jnp.stack([rows[0], rows[1], rows[1]]),
        jnp.stack(rows),
    )
    return prior.output_weight_std**2 * (moment[0] + moment[1] - 2 * moment[2])


def stable_scale(prior: ShallowPrior, x: Float[ArrayLike, " d"], alpha: float) -> Float[Array, ""]:
    r"""Scale of the α-stable limit of f(x) − b, output weights α-stable of scale ω_v H^(−1/α).

    .. math:: \bigl(\mathrm{E}\,|h|^\alpha\bigr)^{1/\alpha}\, \omega_v, \qquad
       \mathrm{E}\, e^{it(f-b)} \to e^{-|\text{scale}\cdot t|^\alpha}

    Args:
      prior: the distribution of the weights.
      x: one input, shape ``[d]``.
      alpha: index in (0, 2].

    Returns:
      In the unit of the output; relative error below 1e-7 in float64 for α ≥ 0.8 and below 1e-6
      for α ≥ 0.5, where h vanishes at 0 only. The law at finite width is stable with exactly this
      scale where \|h\| is constant.

    Raises:
      ValueError: alpha outside (0, 2].

    Source: Neal 1996, section 2.2, for the exponent; the scale follows from independence; chapter
    1, equation (1.13).
    """
    if not 0 < alpha <= 2:
        raise ValueError(f"alpha is {alpha}; a stable index lies in (0, 2]")
    h, q = prior.activation, preactivation_var(prior, x)
    # |h|^α has a kink where h crosses 0: at 0 for the odd activations of this chapter.
    moment = gaussian.expectation(
        lambda u: jnp.abs(h(u)) ** alpha, q, kinks=tuple(sorted({*h.kinks, 0.0}))
    )
    return prior.output_weight_std * moment ** (1 / alpha)
