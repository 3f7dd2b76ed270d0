r"""E[φ(u)ψ(v)] by quadrature, with derivatives that are such integrals themselves.

Price's theorem: for a Gaussian pair with variances q1, q2 and covariance c

.. math:: \partial_c E[\varphi\psi] = E[\varphi'\psi'], \qquad
    \partial_{q_1} E[\varphi\psi] = \tfrac12 E[\varphi''\psi],

with derivatives in the sense of distributions: a jump of φ or φ′ adds a lower-dimensional integral.
Nothing here differentiates √(q1·q2 − c²), whose derivative blows up at correlations ±1;
nothing here checks its arguments, which :mod:`widelimit.theory.gaussian` has done.

Source: Price 1958.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from math import pi, sqrt

import jax
import jax.numpy as jnp
from jaxtyping import Array

from widelimit.activations import Activation
from widelimit.closed_forms import Entry, ratio, root_determinant
from widelimit.theory.quadrature import conditional, nodes, places_of, total

#: Pairs evaluated together: 65,536 evaluations each, half a megabyte in float64.
PAIRS_AT_ONCE = 16


def slope_of(fn: Callable[..., Array]) -> Callable[..., Array]:
    """The elementwise derivative of fn in its first argument.

    Args:
      fn: an elementwise function.

    Returns:
      The derivative, of the same arguments.
    """
    return lambda x, *rest: jax.jvp(lambda y: fn(y, *rest), (x,), (jnp.ones_like(x),))[1]


@lru_cache(maxsize=256)
def _differentiated(phi: Activation) -> Activation:
    """φ′ almost everywhere, as an activation; the jumps of φ″ are not known."""
    return Activation(
        name=f"{phi.name}′",
        fn=phi.derivative,
        derivative=phi.second_derivative or slope_of(phi.derivative),
        kinks=phi.kinks,
        jumps=phi.slope_jumps,
    )


def _vanishes(phi: Activation) -> bool:
    """Known to be 0 everywhere, as φ″ of a piecewise linear φ is: saves an integral."""
    return phi.fn is jnp.zeros_like


def _one_pair(phi, psi, q1, q2, cov):
    """E[φ(u)ψ(v)] for one pair: u outside, v given u inside."""
    root1 = jnp.sqrt(q1)
    slope = ratio(cov, q1)  # v = slope·u + deviation·z
    deviation = ratio(root_determinant(q1, q2, cov), root1)
    deviation = jnp.where(q1 > 0, deviation, jnp.sqrt(q2))

    # E[ψ(v)|u] varies fast where v's mean passes a kink of ψ, on the scale of v's deviation.
    places = [jnp.asarray(places_of(phi.kinks), q1.dtype)]
    scale = jnp.maximum(1, jnp.maximum(root1, jnp.sqrt(q2)))
    if psi.kinks:
        crossings = [ratio(k * q1, cov)[None] for k in psi.kinks if k]
        places = [jnp.sort(jnp.concatenate(places + crossings))]
        sharpness = ratio(jnp.abs(slope) * root1, deviation)
        scale = jnp.maximum(scale, jnp.minimum(sharpness, 1e9))
    u, _, weights = nodes(places[0], jnp.zeros_like(q1), root1, scale)
    inner = conditional(psi, slope * u, jnp.broadcast_to(deviation, u.shape))
    return total(weights * phi(u) * inner)


@partial(jax.jit, static_argnums=(0, 1))
def _integrate(phi, psi, q1, q2, cov):
    if _vanishes(phi) or _vanishes(psi):
        return jnp.zeros_like(cov)
    if psi.kinks and not phi.kinks:  # cut at kinks outside, where it costs nothing
        phi, psi, q1, q2 = psi, phi, q2, q1
    if cov.size == 0:
        return cov
    # Whole blocks, the last padded: one loop body to compile, whatever the number of pairs.
    block = min(cov.size, PAIRS_AT_ONCE)
    pairs = tuple(
        jnp.pad(x.reshape(-1), (0, -x.size % block), mode="edge").reshape(-1, block)
        for x in (q1, q2, cov)
    )
    one_block = jax.vmap(partial(_one_pair, phi, psi))
    values = jax.lax.map(lambda pair: one_block(*pair), pairs).reshape(-1)[: cov.size]
    return values.reshape(cov.shape)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def product(phi, psi, q1, q2, cov):
    """E[φ(u)ψ(v)] by quadrature.

    Args:
      phi: φ.
      psi: ψ.
      q1: variances of u.
      q2: variances of v.
      cov: covariances, of the same shape.

    Returns:
      The same shape; the error of :func:`widelimit.theory.gaussian.product`.
    """
    return _integrate(phi, psi, q1, q2, cov)


@product.defjvp
def _jvp(phi, psi, primals, tangents):
    (q1, q2, cov), (dq1, dq2, dcov) = primals, tangents
    slope = (
        variance_derivative(phi, psi, q1, q2, cov) * dq1
        + variance_derivative(psi, phi, q2, q1, cov) * dq2
        + covariance_derivative(phi, psi, q1, q2, cov) * dcov
    )
    return product(phi, psi, q1, q2, cov), slope


def _density(at: float, mean: Entry, deviation: Entry) -> Entry:
    """The density of N(mean, deviation²) at a point; a point mass has density ∞ or 0."""
    spread = deviation > 0
    safe = jnp.where(spread, deviation, 1)
    density = jnp.exp(-(((at - mean) / safe) ** 2) / 2) / (sqrt(2 * pi) * safe)
    return jnp.where(spread, density, jnp.where(mean == at, jnp.inf, 0))


def _at(k: float, psi: Activation, q1: Entry, q2: Entry, cov: Entry) -> tuple[Entry, Entry, Entry]:
    """p(k), E[ψ(v)|u=k] and E[ψ′(v)|u=k], for p the density of u; p = 0 where q1 = 0."""
    density = jnp.where(q1 > 0, _density(k, jnp.zeros_like(q1), jnp.sqrt(q1)), 0)
    mean = k * ratio(cov, q1)
    deviation = ratio(root_determinant(q1, q2, cov), jnp.sqrt(q1))
    slope = conditional(_differentiated(psi), mean, deviation)
    for other, jump in zip(psi.kinks, psi.jumps, strict=True):
        if jump:
            # A pair with a constant member has no joint density; 0 is our convention.
            proper = (q1 > 0) & (q2 > 0)
            slope += jump * jnp.where(proper, _density(other, mean, deviation), 0)
    return density, conditional(psi, mean, deviation), slope


@partial(jax.jit, static_argnums=(0, 1))
def covariance_derivative(phi: Activation, psi: Activation, q1: Entry, q2: Entry, cov: Entry):
    """E[φ′(u)ψ′(v)], the jumps of φ and ψ included.

    Args:
      phi: φ.
      psi: ψ.
      q1: variances of u.
      q2: variances of v.
      cov: covariances, of the same shape.

    Returns:
      The same shape; infinite where two jumps meet at correlation ±1.
    """
    first, second = _differentiated(phi), _differentiated(psi)
    value = product(first, second, q1, q2, cov)
    for k, jump in zip(phi.kinks, phi.jumps, strict=True):
        if jump:  # δ(u − k)·ψ′(v), the deltas of ψ′ among it
            density, _, slope = _at(k, psi, q1, q2, cov)
            value += jump * density * slope
    for k, jump in zip(psi.kinks, psi.jumps, strict=True):
        if jump:  # φ′(u)·δ(v − k), the deltas of φ′ being counted already
            density, mean, _ = _at(k, first, q2, q1, cov)
            value += jump * density * mean
    return value


@partial(jax.jit, static_argnums=(0, 1))
def variance_derivative(phi: Activation, psi: Activation, q1: Entry, q2: Entry, cov: Entry):
    """½E[φ″(u)ψ(v)], the jumps of φ and φ′ included.

    Args:
      phi: φ.
      psi: ψ.
      q1: variances of u.
      q2: variances of v.
      cov: covariances, of the same shape.

    Returns:
      The same shape.
    """
    value = product(_differentiated(_differentiated(phi)), psi, q1, q2, cov)
    for k, jump, slope_jump in zip(phi.kinks, phi.jumps, phi.slope_jumps, strict=True):
        density, mean, slope = _at(k, psi, q1, q2, cov)
        value += slope_jump * density * mean
        if jump:  # δ′(u − k): minus the derivative at k of p(u)·E[ψ(v)|u]
            value += (
                jump * density * (ratio(k * jnp.ones_like(q1), q1) * mean - ratio(cov, q1) * slope)
            )
    return value / 2
