r"""The two kernels of an infinitely wide network, NNGP and NTK, of an architecture that is a value.

.. math:: K(x, x') = \mathrm E[f(x) f(x')], \qquad
    \Theta(x, x') = \sum_\theta \partial_\theta f(x)\, \partial_\theta f(x')

At initialization the outputs of a wide network are a Gaussian process with covariance K. Θ no
longer depends on the draw, and says how a step on one input moves the output at another. Both are
those of one output; different outputs are independent, and Θ is 0 between them.

**Parametrizations.** K is the same in all of them. Θ is that of the neural tangent one, where every
weight is drawn from N(0, 1) and multiplied by σ_w/√fan_in, and every bias by σ_b. With ``width`` it
is that of the standard one at hidden width n, where weights are drawn with their variance and
differentiated as they are. Then a bias contributes 1, the input weights \|x\|², and weights between
hidden layers n times a number. As n grows this Θ diverges, and Θ/n forgets the biases and the input
weights: no limit trains all of them.

**How.** Where all inputs have one norm, and (without ``width``) at any norms for ReLU and its like
without biases, a
deep kernel is one function of one angle (:mod:`widelimit.theory.angular`). Otherwise, and under
``jit`` or ``grad``, where values are not known, layers are followed pair by pair
(:mod:`widelimit.theory.layerwise`). Large kernels are computed in blocks; of a symmetric one each
block is computed once. If x1 is sharded over devices along its first axis, so is the result.

**Errors.** Those of :mod:`widelimit.theory.gaussian` in the layers' integrals, and what ``error``
allows. At small angles rounding of the inputs themselves matters: of the cosine by 1e-7 moves the
NTK of ReLU by 3e-4. Gradients in inputs, weight_var and bias_var are finite, also at inputs that
are equal, opposite or 0, but for the NNGP kernel of functions that jump. Where Θ has a cusp, as
ReLU's at equal inputs, the derivative there is that without the cusp.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from widelimit.theory import angular, layerwise, recursion
from widelimit.theory.structure import Layer, activations_of

#: Errors allowed unless said otherwise, by precision.
ERRORS = {"float32": 1e-6, "float64": 1e-11}


class Kernels(NamedTuple):
    """Both kernels of one network.

    Attributes:
      nngp: K, shape ``[n, m]``.
      ntk: Θ, of the same shape.
    """

    nngp: Float[Array, "n m"]
    ntk: Float[Array, "n m"]


def nngp(
    architecture: Layer,
    x1: Float[ArrayLike, "n ..."],
    x2: Float[ArrayLike, "m ..."] | None = None,
    *,
    error: float | None = None,
) -> Float[Array, "n m"]:
    """The covariance of the outputs at initialization.

    Args:
      architecture: layers that read what x1 is.
      x1: vectors ``[n, d]``, or images ``[n, height, width, channels]``.
      x2: others; by default the same.
      error: allowed, relative to the largest value; 1e-6 in float32 and 1e-11 in float64. With 0
        the layers are followed pair by pair.

    Returns:
      K, in the type of the inputs.

    Raises:
      ValueError: layers that cannot follow one another; inputs of the wrong shape; kernels that
        overflow.

    Source: Lee et al. 2018, Matthews et al. 2018; images: Novak et al. 2019, Garriga-Alonso et al.
      2019.
    """
    return _both(architecture, x1, x2, False, None, error).cov


def ntk(
    architecture: Layer,
    x1: Float[ArrayLike, "n ..."],
    x2: Float[ArrayLike, "m ..."] | None = None,
    *,
    width: float | None = None,
    error: float | None = None,
) -> Float[Array, "n m"]:
    """The neural tangent kernel.

    Args:
      architecture: as for :func:`nngp`; no activation may jump.
      x1: as for :func:`nngp`.
      x2: as for :func:`nngp`.
      width: None for the neural tangent parametrization; n for the standard one, with n units, or
        channels, in each hidden layer.
      error: as for :func:`nngp`.

    Returns:
      Θ, in the type of the inputs.

    Raises:
      ValueError: as for :func:`nngp`; an activation that jumps, whose Θ is infinite at equal
        inputs; a width below 1.

    Source: Jacot et al. 2018; images: Arora et al. 2019.
    """
    return _both(architecture, x1, x2, True, width, error).ntk


def nngp_and_ntk(
    architecture: Layer,
    x1: Float[ArrayLike, "n ..."],
    x2: Float[ArrayLike, "m ..."] | None = None,
    *,
    width: float | None = None,
    error: float | None = None,
) -> Kernels:
    """Both kernels, for the price of the second.

    Args:
      architecture: as for :func:`ntk`.
      x1: as for :func:`nngp`.
      x2: as for :func:`nngp`.
      width: as for :func:`ntk`.
      error: as for :func:`nngp`.

    Returns:
      K and Θ.

    Raises:
      ValueError: as for :func:`ntk`.
    """
    pair = _both(architecture, x1, x2, True, width, error)
    return Kernels(pair.cov, pair.ntk)


def _both(architecture, x1, x2, ntk, width, error):
    symmetric = x2 is None or x2 is x1
    x1 = _inputs("x1", x1)
    x2 = x1 if symmetric else _inputs("x2", x2)
    if x1.shape[1:] != x2.shape[1:] or x1.dtype != x2.dtype:
        raise ValueError(
            f"x1 holds {x1.dtype}{list(x1.shape[1:])} and x2 {x2.dtype}{list(x2.shape[1:])}; "
            "inputs have one shape and type"
        )
    if width is not None and not 1 <= width < math.inf:
        raise ValueError(f"width={width}; a hidden layer has a finite number of units, at least 1")
    if error is not None and not 0 <= error < 1:
        raise ValueError(f"error={error}; a relative error lies in [0, 1)")
    jumping = [phi.name for phi in activations_of(architecture) if any(phi.jumps)]
    if ntk and jumping:
        raise ValueError(f"{jumping[0]} jumps: its NTK is infinite at equal inputs; ask for nngp")
    start = layerwise.start_of(architecture, x1.shape[1:])
    # A function that is compiled traces what it computes from constants as well.
    leaves = [*jax.tree.leaves((architecture, x1, x2)), jnp.zeros(()) + 0]
    if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
        return layerwise.traced(architecture, x1, x2, start, width, ntk)
    error = ERRORS[x1.dtype.name] if error is None else float(error)
    pair = None
    if not start.size and error > 0:
        pair = angular.by_angle(architecture, x1, x2, width, ntk, error)
    if pair is None:
        pair = layerwise.followed(architecture, x1, x2, start, width, ntk, error)
    recursion.check_finite(architecture, pair)
    return pair


def _inputs(name, x):
    x = jnp.asarray(x)
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise ValueError(f"{name} holds {x.dtype}; inputs are real")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        x = x.astype(float)
    if x.dtype.name not in ERRORS:
        raise ValueError(f"{name} holds {x.dtype}; kernels are computed in float32 or float64")
    if x.ndim not in (2, 4) or 0 in x.shape:
        raise ValueError(
            f"{name} has shape {x.shape}; give vectors [n, d] or images [n, height, width, c]"
        )
    finite = jnp.all(jnp.isfinite(x))
    if not isinstance(finite, jax.core.Tracer) and not bool(finite):
        raise ValueError(f"{name} holds NaN or infinite numbers")
    return x
