r"""How variances, multipliers and learning rates scale with the width: parametrizations as data.

A layer computes h = m·(wx) + m′·b from trained weights w and biases b. A parametrization says, for
each role a layer can have in a network, with which power of its fan-in and fan-out the initial
variance of w, the multiplier m and the learning rate of w scale. Networks and optimizers read it;
no formula is derived from it here. The constants σ_w² and σ_b² belong to the network.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple


class _Short:
    """A dataclass printed without what it leaves at its default."""

    def __repr__(self) -> str:
        given = [(f.name, getattr(self, f.name)) for f in fields(self)]
        given = [f"{name}={value}" for name, value in given if value != getattr(type(self), name)]
        return f"{type(self).__name__}({', '.join(given)})"


@dataclass(frozen=True, repr=False)
class Power(_Short):
    r"""The number :math:`\text{fan\_in}^i\; \text{fan\_out}^o\; \text{fan\_avg}^a`.

    Here fan_avg is the mean of fan_in and fan_out.

    Args:
      fan_in: i, exponent of the number of inputs of the weight matrix.
      fan_out: o, exponent of the number of its outputs.
      fan_avg: a, exponent of the mean of the two.
    """

    fan_in: float = 0.0
    fan_out: float = 0.0
    fan_avg: float = 0.0

    def __call__(self, fan_in: int, fan_out: int) -> float:
        """The number itself.

        Args:
          fan_in: number of inputs, ≥ 1.
          fan_out: number of outputs, ≥ 1.

        Returns:
          A positive number; exactly 1 where all exponents are 0.
        """
        average = (fan_in + fan_out) / 2
        return fan_in**self.fan_in * fan_out**self.fan_out * average**self.fan_avg


@dataclass(frozen=True, repr=False)
class Scaling(_Short):
    """How one kind of trained parameter scales.

    Args:
      init_var: initial variance of the parameter, times σ_w² or σ_b² where the parametrization
        puts these there.
      multiplier: what the parameter is multiplied by in the forward pass, likewise.
      learning_rate: what the learning rate is multiplied by.
    """

    init_var: Power = Power()
    multiplier: Power = Power()
    learning_rate: Power = Power()


class Roles(NamedTuple):
    """A scaling for each role a layer can have.

    Args:
      input: of the layer that reads the input.
      hidden: of the layers between hidden layers.
      output: of the last layer.
    """

    input: Scaling = Scaling()
    hidden: Scaling = Scaling()
    output: Scaling = Scaling()


#: Nothing scales.
UNSCALED = Roles()


@dataclass(frozen=True)
class Parametrization:
    r"""Powers of the width for every parameter of a network.

    Args:
      weights: how the weights of each role scale.
      biases: how the biases of each role scale; by default they do not.
      gain_in_multiplier: whether σ_w and σ_b multiply in the forward pass, as in the neural tangent
        parametrization; else they are part of the initial standard deviation.
    """

    weights: Roles
    biases: Roles = UNSCALED
    gain_in_multiplier: bool = False


def _alike(scaling: Scaling, **more) -> Parametrization:
    """The same scaling in every role."""
    return Parametrization(Roles(scaling, scaling, scaling), **more)


#: Standard, w ~ σ_w²/fan_in: LeCun's with σ_w² = 1, He's with σ_w² = 2; learning rates as given.
STANDARD = _alike(Scaling(init_var=Power(fan_in=-1)))
#: The same with fan_out in place of fan_in: it keeps the size of gradients and not of signals.
FAN_OUT = _alike(Scaling(init_var=Power(fan_out=-1)))
#: The same with the mean of fan_in and fan_out; Glorot and Bengio's with σ_w² = 1.
FAN_AVG = _alike(Scaling(init_var=Power(fan_avg=-1)))
#: Neural tangent: w ~ 1, m = σ_w/√fan_in, b ~ 1, m′ = σ_b.
NTK = _alike(Scaling(multiplier=Power(fan_in=-0.5)), gain_in_multiplier=True)
