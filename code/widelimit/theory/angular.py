r"""A deep kernel as one function of one angle.

If all inputs have one norm, everything a layer needs to know of two of them is the cosine c of the
angle between them. So for a network of any depth

.. math:: K(x, x') = k(c), \qquad \Theta(x, x') = \theta(c),

two functions of one number. Where φ is positively homogeneous of degree 1, as ReLU is, and there
are no biases, it is so at any norms: :math:`K(x, x') = |x|\,|x'|\,k(c)`. The layers are followed
once, at a few angles; then one polynomial gives each pair, at a cost that does not grow with depth.

**In which variable.** As c → 1 the NNGP kernel of ReLU behaves as (1 − c)^(3/2), and its NTK, like
the NNGP kernel of the step function, as √(1 − c); as c → −1 likewise in 1 + c. So the variable is
t = √(1 − \|c\|) in [0, 1], with one polynomial for each sign of c: in t they are all analytic;
polynomials in c would converge like a small power of the degree.

**Errors.** Chebyshev coefficients are computed at more and more angles until they have fallen below
the error that is asked for; the sum of those left out bounds what the polynomial lacks. At small
angles each layer's rounding moves the angle by 1e-16 over it, which leaves some 1e-12. Deep in the
chaotic phase k falls from its largest value within an angle of χ₁^(−depth/2), and no polynomial is
good enough. That shows at c = 1, and at angles between the others that are tried as well. Then
there is no polynomial, and :mod:`widelimit.theory.layerwise` follows the layers for each
pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from widelimit.architectures import Chain, Dense, Elementwise, Repeat, Residual
from widelimit.theory import recursion
from widelimit.theory.arguments import in_float64
from widelimit.theory.blocks import Inputs, in_blocks
from widelimit.theory.recursion import Pair, Rules
from widelimit.theory.structure import DATA, Layer, State

#: Angles on each side of c = 0 at which the layers are followed, until they are enough.
NODES = (64, 256)
#: Values of t, besides 0, where a polynomial must show that nothing hides between the nodes.
PROBES = np.geomspace(1e-6, 0.95, 30)
#: The number of terms is a multiple of this, so that few polynomials are compiled.
STEP = 4


@dataclass(frozen=True, eq=False)
class AngularKernel:
    """Both kernels of one architecture at one norm, as functions of the cosine.

    Attributes:
      coefficients: of Chebyshev polynomials in 2t − 1, ``[kernels, signs, degree + 1]``; the NNGP
        first, then the NTK if it was asked for; c ≥ 0 first, then c < 0.
      error: a bound of the terms left out, relative to each kernel's largest value.
    """

    coefficients: Float[np.ndarray, "kernels signs terms"]
    error: float

    @property
    def degree(self) -> int:
        """The degree of the polynomials."""
        return self.coefficients.shape[-1] - 1

    def __call__(self, cosine: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], ...]:
        """The kernels at some cosines.

        Args:
          cosine: c in [−1, 1]; rounding beyond is cut off.

        Returns:
          k(c), and θ(c) if it was asked for, in the type of c. Derivatives at c = ±1, where those
          of θ may be infinite, are set to 0.
        """
        return evaluate(jnp.asarray(self.coefficients, cosine.dtype), cosine)


def evaluate(
    coefficients: Float[Array, "kernels signs terms"], cosine: Float[Array, "*shape"]
) -> tuple[Float[Array, "*shape"], ...]:
    """The polynomials, by Clenshaw's recurrence.

    Args:
      coefficients: of an :class:`AngularKernel`.
      cosine: c.

    Returns:
      One array for each kernel.
    """
    rest = 1 - jnp.abs(cosine)
    apart = rest > 0
    x = 2 * jnp.where(apart, jnp.sqrt(jnp.where(apart, rest, 1)), 0) - 1
    positive = cosine >= 0
    found = []
    for kernel in coefficients:
        terms = [jnp.where(positive, *kernel[:, k]) for k in range(kernel.shape[1])]
        last, before = terms[-1], jnp.zeros_like(x)
        for term in terms[-2:0:-1]:
            last, before = term + 2 * x * last - before, last
        found.append(terms[0] + x * last - before)
    return tuple(found)


@lru_cache(maxsize=64)
def angular_kernel(
    architecture: Layer,
    scale: float,
    *,
    ntk: bool = True,
    width: float | None = None,
    dimension: int = 1,
    error: float = 1e-11,
) -> AngularKernel | None:
    """The functions k and θ of an architecture that reads vectors.

    Args:
      architecture: its numbers are plain floats.
      scale: \\|x\\|²/d of all inputs, > 0.
      ntk: whether θ is wanted.
      width: of the hidden layers, for θ in the standard parametrization.
      dimension: d, which only the standard parametrization needs.
      error: allowed, relative to the largest value; at least 1e-13.

    Returns:
      The kernel; None if no polynomial of at most some hundred terms is as good as that.

    Raises:
      ValueError: layers that cannot follow one another; θ where φ jumps, or kernels that overflow.
    """
    state = State(DATA, (), (), float(dimension))
    with in_float64():
        for nodes in NODES:
            turns = np.pi * (np.arange(nodes) + 0.5) / nodes
            t = (1 + np.cos(turns)) / 2
            probes = np.concatenate([[0.0], PROBES])
            rest = np.concatenate([t, probes]) ** 2
            cosine = jnp.asarray(np.concatenate([1 - rest, rest - 1]))
            values = _at_cosines(
                architecture, state, jnp.asarray([scale]), cosine, ntk, width, error
            )
            values = np.stack([np.asarray(v).reshape(2, -1) for v in values if v is not None])
            size = np.max(np.abs(values), axis=(1, 2))[:, None, None]
            size = np.where(size > 0, size, 1)
            # Rounding moved the cosines, and t much more where it is small.
            exact = np.sqrt(1 - np.abs(np.asarray(cosine).reshape(2, -1)))
            waves = np.cos(np.outer(turns, np.arange(nodes))) * 2 / nodes
            waves[:, 0] /= 2
            coefficients = values[..., :nodes] @ waves
            slopes = 2 * _sum(np.polynomial.chebyshev.chebder(coefficients, axis=-1), t)
            coefficients = (values[..., :nodes] + (t - exact[:, :nodes]) * slopes) @ waves
            # What all terms from each one on are together.
            left = np.cumsum(np.abs(coefficients / size)[..., ::-1], axis=-1)[..., ::-1]
            enough = np.flatnonzero(np.max(left, axis=(0, 1)) <= error)
            # The last coefficients also hold what lies beyond them.
            if not len(enough) or enough[0] > nodes * 3 // 4:
                continue
            terms = min(max(STEP, -(-int(enough[0]) // STEP) * STEP), nodes - 1)
            coefficients = coefficients[..., :terms]
            there = np.stack([_sum(coefficients[:, s], exact[s, nodes:]) for s in (0, 1)], axis=1)
            missed = np.abs(there - values[..., nodes:]) / size
            # Rounding by 1e-16 moves an angle by that over the angle, in each of 100 layers; what
            # hides between the nodes is as large as the kernel.
            allowed = max(error, 5e-12) + 1e-14 / np.maximum(exact[:, nodes:], 1e-6)
            allowed[:, 0] = max(error, 5e-12)
            if np.all(missed <= allowed):
                return AngularKernel(coefficients, float(np.max(left[..., terms])))
    return None


def _sum(coefficients, t):
    """Chebyshev series along the last axis at 2t − 1."""
    return np.polynomial.chebyshev.chebval(2 * t - 1, np.moveaxis(coefficients, -1, 0))


def _at_cosines(architecture, state, scale, cosine, ntk, width, error):
    """Both kernels at pairs of inputs of one norm."""
    units = _first_pass(architecture, (), state, scale, width, ())
    expanded, series = recursion.series_of(architecture, units, error)
    if expanded:
        units = _first_pass(architecture, series, state, scale, width, expanded)
    pair = _second_pass(architecture, series, state, scale, cosine, units, ntk, width, expanded)
    recursion.check_finite(architecture, pair)
    return pair.cov, pair.ntk


@partial(jax.jit, static_argnums=(2, 4, 5))
def _first_pass(architecture, series, state, scale, width, expanded):
    rules = Rules(width, dict(zip(expanded, series, strict=True)))
    return recursion.variances(architecture, state, scale, rules)[2]


@partial(jax.jit, static_argnums=(2, 6, 7, 8))
def _second_pass(architecture, series, state, scale, cosine, units, ntk, width, expanded):
    cov = scale * cosine
    pair = Pair(cov, jnp.zeros_like(cov) if ntk else None)
    rules = Rules(
        width,
        dict(zip(expanded, series, strict=True)),
        recursion.itself,
        recursion.itself,
        cosine == 1,
    )
    return recursion.covariances(architecture, state, pair, units, units, rules)[1]


def _homogeneous(layer):
    """Whether a layer maps a multiple of its input to the same multiple, without biases."""
    match layer:
        case Chain():
            return all(map(_homogeneous, layer.layers))
        case Dense():
            return layer.bias_var == 0
        case Elementwise():
            return layer.activation.degree == 1
        case Repeat():
            return _homogeneous(layer.block)
        case Residual():
            return _homogeneous(layer.branch)
    return False


class _Evaluated(NamedTuple):
    """The polynomials over one block of pairs of directions; known are the norms, or nothing."""

    def __call__(self, coefficients, one, other, same, diagonal):
        cosine = jnp.matmul(one.x.T, other.x, precision="highest")
        if same is not None:
            cosine = jnp.where(same, 1, cosine)
        values = evaluate(coefficients, cosine)
        for norms, others in zip(one.known, other.known, strict=True):
            values = [value * norms[:, None] * others[None] for value in values]
        return Pair(values[0], values[1] if len(values) > 1 else None)


def by_angle(
    architecture: Layer,
    x1: Float[Array, "n d"],
    x2: Float[Array, "m d"],
    width: float | None,
    ntk: bool,
    error: float,
) -> Pair | None:
    """Kernel matrices by the function of one angle.

    Args:
      architecture: layers that read vectors.
      x1: inputs of the rows.
      x2: inputs of the columns; the same object if they are the same.
      width: of the hidden layers, for Θ in the standard parametrization.
      ntk: whether Θ is wanted.
      error: allowed, relative to the largest value.

    Returns:
      K and Θ; None where the norms differ and matter, where no polynomial is good enough, and for
      so few pairs that it would not pay.
    """
    dimension = x1.shape[1]
    scales = [jnp.mean(x**2, axis=1) for x in (x1, x2)]
    least, most = float(min(map(jnp.min, scales))), float(max(map(jnp.max, scales)))
    alike = most - least <= 8 * float(jnp.finfo(x1.dtype).eps) * most
    homogeneous = width is None and _homogeneous(architecture)
    if not (least > 0 and most < np.inf and (alike or homogeneous)):
        return None
    if len(x1) * len(x2) < 4 * NODES[0]:
        return None
    kernel = angular_kernel(
        jax.tree.map(float, architecture),
        1.0 if homogeneous else (least + most) / 2,
        ntk=ntk,
        width=width,
        dimension=dimension,
        error=max(error, 1e-13),
    )
    if kernel is None:
        return None
    inputs = []
    for x, scale in zip((x1, x2), scales, strict=True):
        root = jnp.sqrt(scale)
        directions = x / (root * dimension**0.5)[:, None]
        inputs.append(Inputs(directions.T, (root,) if homogeneous else ()))
    coefficients = jnp.asarray(kernel.coefficients, x1.dtype)
    return in_blocks(_Evaluated(), coefficients, *inputs, symmetric=x2 is x1)
