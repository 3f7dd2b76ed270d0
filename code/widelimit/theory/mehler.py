r"""The dual of a smooth activation as a series in the correlation.

.. math:: \mathrm E[\varphi(u)\varphi(v)] = \sum_k a_k(q_1)\, a_k(q_2)\, \rho^k, \qquad
    \mathrm E[\varphi'(u)\varphi'(v)] = \frac1{\sqrt{q_1 q_2}} \sum_k k\, a_k(q_1)\, a_k(q_2)\,
    \rho^{k-1}

with the Hermite coefficients :math:`a_k(q) = \mathrm E[\varphi(\sqrt q z)\,\mathrm{he}_k(z)]` of
each input (Mehler). The coefficients belong to inputs, and only the sum to pairs: four operations a
term, in place of the 65,536 values of φ of a quadrature.

**Errors.** What is left out is known. At any correlation it is at most what is left out at ρ = 1
(Cauchy and Schwarz), and there the sums are E[φ²] and q·E[φ′²], which one-dimensional integrals
give. So the number of terms follows from the error that is asked for. If φ is analytic at distances
below y from the real line, a_k falls as :math:`e^{-y\sqrt{k/q}}`: for tanh at q = 2 an error of
1e-7 takes terms up to k = 100. With a kink the fall is too slow.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from widelimit.activations import Activation
from widelimit.closed_forms import ratio
from widelimit.theory import gaussian, signal
from widelimit.theory.arguments import in_float64

#: The smallest variance: a constant input is the limit q → 0, in which the series still holds.
SMALLEST = 1e-20
#: Orders up to which coefficients are computed, until they are enough.
ORDERS = (100, 400, gaussian.HIGHEST_ORDER)
#: Terms that are added up between two looks at memory.
CHUNK = 16
#: Variances at which coefficients are computed and between which they are interpolated, by
#: Chebyshev polynomials in log q: for each e-fold of variances, and at least.
NODES_PER_FOLD, NODES = 8, 24


class Series(NamedTuple):
    """What the duals of one activation need, for a range of variances.

    Attributes:
      table: Chebyshev coefficients in log q of a_0, and of a_k/√q for those a_k that do not vanish,
        ``[terms, nodes]``.
      orders: their k, 0 first.
      middle: of the range of log q.
      half: half of its length.
    """

    table: Float[Array, "terms nodes"]
    orders: Int[Array, " terms"]
    middle: Float[Array, ""]
    half: Float[Array, ""]


@lru_cache(maxsize=64)
def series(activation: Activation, smallest: float, largest: float, error: float) -> Series | None:
    """The series of an activation, long enough for a range of variances.

    Args:
      activation: φ.
      smallest: the smallest variance, at least SMALLEST.
      largest: the largest one.
      error: allowed, relative to the values at correlation 1, of the dual and of that of φ′; at
        least 1e-13.

    Returns:
      The series; None where even the longest one is not good enough, as with kinks or large
      variances.
    """
    if activation.kinks:
        return None
    with in_float64():
        return _series(activation, smallest, largest, error)


def _series(activation, smallest, largest, error):
    middle, half = np.log(largest * smallest) / 2, max(np.log(largest / smallest) / 2, 1e-3)
    nodes = max(NODES, int(np.ceil(NODES_PER_FOLD * 2 * half)))
    turns = np.pi * (np.arange(nodes) + 0.5) / nodes
    q = np.exp(middle + half * np.cos(turns))
    for order in ORDERS:
        a = np.array(gaussian.hermite_coefficients(activation, jnp.asarray(q), order))
        count = _terms_needed(activation, q, a, error)
        if count is not None:
            break
    else:
        return None
    a[:, 1:] /= np.sqrt(q)[:, None]
    sizes = np.max(np.abs(a), axis=0)
    # An odd function has no even terms but for rounding, and an even one no odd ones.
    absent = [np.all(sizes[parity:count:2] < 1e-14 * sizes.max()) for parity in (0, 1)]
    kept = [k for k in range(1, count) if not absent[k % 2]]
    filled = max(CHUNK, -(-len(kept) // CHUNK) * CHUNK)  # whole chunks, with coefficients 0
    a = np.pad(a[:, [0, *kept]], [(0, 0), (0, filled - len(kept))])
    waves = np.cos(np.outer(turns, np.arange(nodes))) * np.where(np.arange(nodes), 2, 1) / nodes
    return Series(
        jnp.asarray(a.T @ waves),
        jnp.asarray([0, *kept, *[0] * (filled - len(kept))]),
        jnp.asarray(middle),
        jnp.asarray(half),
    )


def _terms_needed(activation, q, a, error):
    """How many terms leave out no more than the error, or None."""
    k, count = np.arange(a.shape[1]), 0
    for weight, order in ((np.ones(len(k)), 0), (k, 1)):
        whole = np.asarray(signal.mean_square(activation, q, order)) * (q if order else 1)
        left = np.max(np.abs(1 - np.cumsum(weight * a**2 / whole[:, None], axis=1)), axis=0)
        enough = np.flatnonzero(left <= error)
        if not len(enough):
            return None
        count = max(count, enough[0] + 1)
    return count


def coefficients(series: Series, var: Float[Array, "*shape"]) -> Float[Array, "terms ..."]:
    """The Hermite coefficients of each input.

    Args:
      series: for a range of variances that holds these.
      var: q.

    Returns:
      a_0, and a_k(q)/√q, which stay of one size as q → 0, ``[terms, *shape]``.
    """
    place = (jnp.log(jnp.maximum(var, SMALLEST)) - series.middle) / series.half
    angle = jnp.arccos(jnp.clip(place, -1, 1))
    wave = jnp.arange(series.table.shape[1], dtype=var.dtype)
    waves = jnp.cos(wave.reshape(-1, *[1] * var.ndim) * angle[None])
    return jnp.tensordot(series.table, waves, axes=1, precision="highest")


def duals(
    series: Series,
    first: Float[Array, "terms *#shape"],
    second: Float[Array, "terms *#shape"],
    geometric: Float[Array, "*#shape"],
    cov: Float[Array, "*shape"],
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    r"""The duals of φ and of φ′ at pairs.

    Args:
      series: that of φ.
      first: coefficients of the first member of each pair.
      second: those of the second.
      geometric: √(q₁q₂).
      cov: their covariance.

    Returns:
      E[φ(u)φ(v)] and E[φ′(u)φ′(v)].
    """
    correlation = jnp.clip(ratio(cov, geometric), -1, 1)
    # Orders follow one another in steps of 1 or 2; powers of the correlation likewise.
    orders = series.orders.astype(cov.dtype)
    step = correlation * jnp.where(orders[2] - orders[1] == 2, correlation, 1)

    def add(sums, chunk):
        power, value, slope = sums
        for order, a, b in zip(*chunk, strict=True):
            term = a * b * power
            value, slope, power = value + term, slope + order * term, power * step
        return (power, value, slope), None

    start = jnp.where(orders[1] == 2, correlation, 1)
    chunks = [x[1:].reshape(-1, CHUNK, *x.shape[1:]) for x in (orders, first, second)]
    nothing = jnp.zeros_like(cov)
    (_, value, slope), _ = jax.lax.scan(add, (start, nothing, nothing), chunks)
    return first[0] * second[0] + geometric * correlation * value, slope
