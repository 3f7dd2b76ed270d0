"""Architectures and priors as plain data: the vocabulary that theory and lab share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from widelimit.activations import Activation


@dataclass(frozen=True)
class ShallowPrior:
    r"""Neal's prior: a random network with one hidden layer.

    .. math:: f(x) = b + \sum_{j=1}^{H} v_j\, h(a_j + u_j \cdot x)

    with independent :math:`u_{ji} \sim N(0, \sigma_u^2)`, :math:`a_j \sim N(0, \sigma_a^2)`,
    :math:`v_j \sim N(0, \omega_v^2 / H)` and :math:`b \sim N(0, \sigma_b^2)`. The width H is not
    part of it: the prior says how the weights scale when H grows.

    Args:
      activation: h.
      input_weight_std: σ_u ≥ 0, per input coordinate, not divided by the input's dimension.
      input_bias_std: σ_a ≥ 0.
      output_weight_std: ω_v ≥ 0, before the division by √H.
      output_bias_std: σ_b ≥ 0.

    Raises:
      ValueError: a standard deviation that is negative or not finite.

    Source: Neal 1996, section 2.1; the letters are Neal's; chapter 1, equation (1.1).
    """

    activation: Activation
    input_weight_std: float = 1.0
    input_bias_std: float = 1.0
    output_weight_std: float = 1.0
    output_bias_std: float = 0.0

    def __post_init__(self) -> None:
        for name in ("input_weight_std", "input_bias_std", "output_weight_std", "output_bias_std"):
            # Plain floats: hashable for jit, and weakly typed, so that networks stay in float32.
            object.__setattr__(self, name, float(getattr(self, name)))
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}; a standard deviation is finite and ≥ 0")
