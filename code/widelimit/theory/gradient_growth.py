r"""How fast back-propagated gradients grow in a network of finite width: first order in 1/n.

The logarithm of :math:`|\delta^l|^2/|\delta^{l+1}|^2`, a layer's growth of one network's gradient,
has the mean

.. math:: \log\frac{\chi_1}\rho + \frac1n\Bigl(\text{drift} - \tfrac12\,\text{spread}
    + \text{dependence}\Bigr)

far from both ends, up to 1/n². The drift is that of χ₁(Q), whose Q strays. The spread is n times
the relative variance of the growth: a mean of logarithms is below the logarithm of the mean. The
dependence is the price of what chapter 2 assumed, that a gradient is independent of the weights it
passes: the matrix that carries δ^{l+1} down has carried x^l up, and so W^T δ^{l+1} has a part along
x^l that is not new.

Source: chapter 4, equations (4.8) and (4.9).
"""

from dataclasses import dataclass
from math import log

from widelimit.activations import Activation
from widelimit.theory import fluctuations, gaussian, signal, susceptibility
from widelimit.theory.arguments import checked


@dataclass(frozen=True)
class GradientGrowth:
    """The mean of the logarithm of a squared gradient's growth a layer, downwards.

    Attributes:
      limit: log(χ₁/ρ).
      drift: n times what the straying of Q adds to it.
      spread: n times the relative variance of the growth; half of it is subtracted.
      dependence: n times what is added because forward and backward pass share their weights.
    """

    limit: float
    drift: float
    spread: float
    dependence: float

    def at_width(self, width: float) -> float:
        """The mean to first order.

        Args:
          width: n, of all layers.

        Returns:
          The limit with its 1/n term, in nats a layer.
        """
        return self.limit + (self.drift - self.spread / 2 + self.dependence) / width


def at_fixed_point(
    activation: Activation,
    var: float,
    weight_var: float,
    bias_var: float,
    keep_prob: float = 1.0,
) -> GradientGrowth:
    """The growth of gradients far from the first and from the last layer.

    Args:
      activation: φ, smooth.
      var: q* > 0, the fixed point at this ρ, to 1e-6.
      weight_var: σ_w² > 0.
      bias_var: σ_b² ≥ 0, below q*.
      keep_prob: ρ in (0, 1], for dropout.

    Returns:
      The limit and the coefficients of 1/n. Relative error in float64 below 1e-3, from differences
      over 1% of q*.

    Raises:
      ValueError: as :func:`widelimit.theory.fluctuations.at_fixed_point`; no fixed point; σ_w² = 0,
        or σ_b² that leaves nothing of q* for the weights; a gradient that turns towards the signal
        for ever.
    """
    numbers = checked(var=var, weight_var=weight_var, bias_var=bias_var, keep_prob=keep_prob)
    q, w, b, rho = map(float, numbers)
    if w == 0 or b >= q:
        raise ValueError(
            f"weight_var={w}, bias_var={b}, var={q}; without weights no gradient passes: "
            "weight_var must be positive and bias_var below var."
        )
    image = float(signal.length_map(activation, q, w, b, rho))
    if abs(image - q) > 1e-6 * q:
        raise ValueError(
            f"var={q} is no fixed point: a layer takes it to {image}. phases.phase_diagram has it, "
            "for the same keep_prob."
        )
    stray = fluctuations.at_fixed_point(activation, q, 0.0, w, rho)
    chi, drift = stray.mean(lambda var, *_: susceptibility.chi_1(activation, var, w) / rho)
    _, square = stray.mean(
        lambda var, *_: (susceptibility.chi_1(activation, var, w) / rho / chi - 1) ** 2
    )

    def mean(fn):
        return float(gaussian.expectation(fn, q))

    phi, slope = activation.fn, activation.derivative
    slopes = mean(lambda u: slope(u) ** 2)
    fourth = mean(lambda u: slope(u) ** 4) / slopes**2 / rho
    # φ′ and φ go together: mean of φ′²φ² over the product of their means.
    together = mean(lambda u: (slope(u) * phi(u)) ** 2) / slopes / mean(lambda u: phi(u) ** 2) / rho
    share = 1 - b / q  # of q*, what the weights make
    # A layer up the mean of ((h − b)·δ)²/|δ|² settles; were δ independent it would be q* − σ_b².
    kept = share * mean(lambda u: u * slope(u) * phi(u)) / mean(lambda u: phi(u) ** 2)
    if chi <= kept**2:
        raise ValueError(
            f"var={q}, weight_var={w}: the square of the gradient's part along the signal "
            f"grows by {kept**2:.4f} a layer, all of it by {chi:.4f}; the 1/n term settles only "
            "where that is more."
        )
    turned = w / rho * (share * mean(lambda u: (u * slope(u)) ** 2) / q + b / q * slopes)
    dependence = together * (turned - chi) / (chi - kept**2)
    return GradientGrowth(log(chi), drift / chi, 3 * fourth - 1 + square, dependence)
