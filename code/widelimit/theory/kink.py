r"""What a kink of φ adds to the change of the tangent kernel by training, for one hidden layer.

For smooth φ training changes the tangent kernel of a network of width n by 1/n. With ReLU, units
are switched off at the examples, a fraction n^(−1/2) of them, and what they had in the kernel is
lost. One hidden layer in the neural tangent parametrization; to leading order in n^(−1/2).
"""

from __future__ import annotations

import math


def kernel_change(weight_var: float, first: float, theta: float, missing: float) -> float:
    r"""√n times the mean change of Θ̂(x, x), for ReLU, by training on the example x alone.

    .. math:: \sqrt n\,\Delta\hat\Theta \to -\frac{(\sigma_w^2 K^1)^{3/2}}{\pi\,\Theta}\,|f_0 - y|

    Between the example and another input x′ that is not parallel to it, it is ½K¹(x, x′)/K¹(x, x)
    times as much, and between two others nothing of this order. Single networks scatter about the
    mean, see :func:`kernel_scatter`.

    Args:
      weight_var: σ_w² ≥ 0.
      first: K¹(x, x) ≥ 0, the variance of the hidden pre-activations.
      theta: Θ(x, x) > 0.
      missing: \|f₀ − y\| at the example, ≥ 0.

    Returns:
      The limit as n → ∞, at most 0. The next order is n^(−1/2) relative to it.

    Raises:
      ValueError: a number out of range.

    Source: chapter 7, equation (7.7).
    """
    _check(weight_var, first, theta, missing)
    return -((weight_var * first) ** 1.5) * missing / (math.pi * theta)


def kernel_scatter(weight_var: float, first: float, theta: float, missing: float) -> float:
    r"""n^(3/4) times the standard deviation of that change over networks with one f₀ − y.

    .. math:: n^{3/2}\,\mathrm{Var}\,\Delta\hat\Theta \to
        \frac4\pi\,(\sigma_w^2 K^1)^{5/2}\,\frac{|f_0 - y|}\Theta

    The number of units that are lost is about √n, and random.

    Args:
      weight_var: σ_w² ≥ 0.
      first: K¹(x, x) ≥ 0.
      theta: Θ(x, x) > 0.
      missing: \|f₀ − y\| at the example, ≥ 0.

    Returns:
      The limit as n → ∞, at least 0.

    Raises:
      ValueError: a number out of range.

    Source: chapter 7, below equation (7.7).
    """
    _check(weight_var, first, theta, missing)
    return math.sqrt(4 / math.pi * (weight_var * first) ** 2.5 * missing / theta)


def _check(weight_var, first, theta, missing):
    named = {"weight_var": weight_var, "first": first, "missing": missing}
    for name, value in named.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"{name}={value}; it is finite and at least 0")
    if not 0 < theta < math.inf:
        raise ValueError(f"theta={theta}; it is finite and above 0")
