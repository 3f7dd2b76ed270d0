r"""The variance count: second moments of signals and gradients in a deep random network, by layer.

For activations with φ(λz) = λφ(z), λ > 0 (linear, ReLU and its leaky kin, the absolute value) the
count is exact at every width, and the first correction to it is known too. Biases are 0. Weights of
different layers are independent; those of one layer are uncorrelated with mean 0, and their joint
law is continuous and stays the same when all weights into one unit change sign. Gaussian, uniform
and orthogonal matrices are such. Other activations are the subject of
:mod:`widelimit.theory.signal`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from widelimit.activations import Activation
from widelimit.parametrizations import Parametrization


def gain(activation: Activation) -> float:
    r"""What the activation leaves of a second moment, :math:`g = \mathrm E[\varphi(z)^2]`.

    Here z ~ N(0, 1). For φ with φ(λz) = λφ(z) also :math:`\mathrm E[\varphi'(z)^2] = g`, since φ is
    linear on each side of 0: the gain forward is the gain backward. It is 1 for linear units, ½ for
    ReLU and (1 + a²)/2 for a leaky ReLU of slope a.

    Args:
      activation: φ, positively homogeneous of degree 1.

    Returns:
      g > 0, dimensionless; exact up to rounding.

    Raises:
      ValueError: φ of another degree, or of none: its gain depends on the variance of z.

    Source: He et al. 2015, section 2.2; chapter 2, equation (2.4).
    """
    if activation.degree != 1:
        raise ValueError(
            f"activation={activation.name!r} is not positively homogeneous of degree 1: its gain "
            "changes with the size of the signal; use theory.signal"
        )
    return float(np.mean(_slopes(activation) ** 2))


def _slopes(activation):
    """φ(−1) and φ(1): with φ(z) = |z|·φ(sign z) a moment of φ is one of z times their mean."""
    return np.asarray(activation(jnp.array([-1.0, 1.0])), float)


def weight_variances(
    parametrization: Parametrization, widths: Sequence[int], weight_var: float
) -> Float[np.ndarray, " layers"]:
    """Variances of the weights as they act in the forward pass, multipliers included.

    Args:
      parametrization: says how the variance depends on the widths.
      widths: n_0, …, n_{L+1}.
      weight_var: σ_w².

    Returns:
      Var W^1, …, Var W^{L+1}, exact.

    Raises:
      ValueError: fewer than three widths or one below 1; weight_var negative or not finite.
    """
    if len(widths) < 3 or min(widths) < 1:
        raise ValueError(
            f"widths={tuple(widths)}: give the input's dimension, at least one hidden width, and "
            "the number of outputs, each at least 1"
        )
    if not 0 <= weight_var < np.inf:
        raise ValueError(f"weight_var={weight_var}; a variance is finite and at least 0")
    roles = ("input", *["hidden"] * (len(widths) - 3), "output")
    variances = []
    for role, *shape in zip(roles, widths[:-1], widths[1:], strict=True):
        scaling = getattr(parametrization.weights, role)
        variances.append(weight_var * scaling.init_var(*shape) * scaling.multiplier(*shape) ** 2)
    return np.array(variances)


def forward_moments(
    activation: Activation,
    parametrization: Parametrization,
    widths: Sequence[int],
    weight_var: float,
    input_moment: float = 1.0,
) -> Float[np.ndarray, " layers"]:
    r"""Second moments of the pre-activations, :math:`q^l = \mathrm E[(h^l_i)^2]`.

    .. math:: q^1 = n_0 \mathrm{Var}(W^1)\, m_0, \qquad
        q^{l+1} = n_l\, \mathrm{Var}(W^{l+1})\; g\; q^l

    Args:
      activation: φ, positively homogeneous of degree 1.
      parametrization: says how the variance of a weight depends on the widths.
      widths: n_0, …, n_{L+1}.
      weight_var: σ_w².
      input_moment: m_0, the mean square of the input's coordinates.

    Returns:
      q^1, …, q^{L+1}, exact at every width.

    Raises:
      ValueError: as :func:`gain` and :func:`weight_variances`.

    Source: He et al. 2015, section 2.2; chapter 2, equation (2.5).
    """
    factors = np.array(widths[:-1]) * weight_variances(parametrization, widths, weight_var)
    return input_moment * np.cumprod(factors * np.r_[1.0, [gain(activation)] * (len(widths) - 2)])


def backward_moments(
    activation: Activation,
    parametrization: Parametrization,
    widths: Sequence[int],
    weight_var: float,
    output_moment: float = 1.0,
) -> Float[np.ndarray, " layers"]:
    r"""Second moments of the back-propagated gradients, :math:`\mathrm E[(\delta^l_i)^2]`.

    .. math:: \mathrm E[(\delta^l_i)^2] = n_{l+1}\, \mathrm{Var}(W^{l+1})\; g\;
        \mathrm E[(\delta^{l+1}_i)^2], \qquad \delta^l = \partial\mathcal L/\partial h^l

    Changing the sign of all weights into a unit moves it to the other side of its kink and leaves
    :math:`W_{ij} W_{ik}` as it is. So the slope's square averages to g whatever the layers below
    do, as long as they send a signal at all.

    Args:
      activation: φ, positively homogeneous of degree 1.
      parametrization: says how the variance of a weight depends on the widths.
      widths: n_0, …, n_{L+1}.
      weight_var: σ_w².
      output_moment: mean square of the coordinates of δ^{L+1}.

    Returns:
      The moments for l = 1, …, L + 1. For a δ^{L+1} that depends on the weights they hold as
      n → ∞. For one that does not they are exact at every width, given that h^l ≠ 0; and without
      this condition :math:`\mathrm E[(\delta^l_i x^{l-1}_j)^2]`, that of a weight's gradient, is
      exactly the moment here times :math:`\mathrm E[(x^{l-1}_j)^2]`, since a silent layer has
      x = 0. Where φ is 0 at 0 alone, h^l is never 0. For ReLU it is if all units of some layer
      k < l are silent, which has a chance of at most Σ_{k<l} 2^(−n_k): by no larger share is the
      moment of δ^l without the condition smaller.

    Raises:
      ValueError: as :func:`gain` and :func:`weight_variances`.

    Source: He et al. 2015, section 2.2; Hanin 2018 for the exactness; chapter 2, equation (2.8).
    """
    factors = np.array(widths[1:]) * weight_variances(parametrization, widths, weight_var)
    passed = np.cumprod(gain(activation) * factors[:0:-1])
    return output_moment * np.r_[1.0, passed][::-1]


def length_growth(activation: Activation, width: int, power: int = 2) -> float:
    r"""Factor by which E|x|^{2k}/(E|x|²)^k of the activations grows in a layer of Gaussian weights.

    .. math:: \frac{\mathrm E\,S^k}{(\mathrm E\,S)^k}, \qquad S = \sum_{i=1}^n \varphi(z_i)^2

    For k = 2 it is :math:`1 + \frac1n (\mathrm E\varphi^4/(\mathrm E\varphi^2)^2 - 1)`: 1 + 5/n for
    ReLU and 1 + 2/n for linear units. For pre-activations the ratio is that of the activations
    they read, times the factor of a linear layer: where neighbouring layers have the same width,
    it grows by the same factor.

    Args:
      activation: φ, positively homogeneous of degree 1.
      width: n ≥ 1, of the layer.
      power: k, from 1 to 8.

    Returns:
      A number, 1 for k = 1 and above 1 for more; exact at every width up to rounding.

    Raises:
      ValueError: width below 1, power out of range, or as :func:`gain`.

    Source: Hanin 2018 has the law for Jacobians; chapter 2, equation (2.13).
    """
    if not width >= 1:
        raise ValueError(f"width={width}; a layer has at least one unit")
    if power not in range(1, 9):
        raise ValueError(f"power={power} must be an integer from 1 to 8")
    g = gain(activation)
    # The series of E e^(tφ²/g) in t, then its n-th power term by term, that of the sum over units.
    unit = [
        float(np.mean(_slopes(activation) ** (2 * k)))
        / g**k
        * math.prod(range(1, 2 * k, 2))
        / math.factorial(k)
        for k in range(power + 1)
    ]
    layer = [1.0]
    for k in range(1, power + 1):
        terms = ((width * j - (k - j)) * unit[j] * layer[k - j] for j in range(1, k + 1))
        layer.append(sum(terms) / k)
    return layer[power] * math.factorial(power) / width**power
