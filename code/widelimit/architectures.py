"""Architectures and priors as plain data: the vocabulary that theory and lab share."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

import jax
import numpy as np

from widelimit.activations import Activation

#: A number, or what JAX puts in its place where it traces.
Number = Any


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


def _architecture(cls):
    """A frozen dataclass whose numbers and layers are leaves, so that compiled code takes them."""
    cls = dataclass(frozen=True)(cls)
    static = [one.name for one in fields(cls) if one.metadata.get("static")]
    data = [one.name for one in fields(cls) if one.name not in static]

    # Not register_dataclass: in JAX 0.10 structures of two such classes with equally many fields
    # compare as equal, and compiled code of one is now and then run for the other.
    def flatten(layer):
        own = tuple(getattr(layer, name) for name in static)
        return tuple(getattr(layer, name) for name in data), (cls, own)

    def unflatten(structure, leaves):
        own = zip(static, structure[1], strict=True)
        return cls(**dict(zip(data, leaves, strict=True)), **dict(own))

    jax.tree_util.register_pytree_node(cls, flatten, unflatten)
    return cls


def _static(**options):
    return field(metadata={"static": True}, **options)


def _check_variances(layer) -> None:
    for name in ("weight_var", "bias_var"):
        value = getattr(layer, name)
        known = isinstance(value, int | float | np.number | np.ndarray | jax.Array)
        if not known or isinstance(value, jax.core.Tracer):
            continue  # traced, or a placeholder of JAX
        if np.ndim(value):
            raise ValueError(f"{name} has shape {np.shape(value)}; a layer has one number")
        if not 0 <= value < math.inf:
            raise ValueError(f"{name}={value}; a variance is finite and at least 0")


def _check_image(layer) -> None:
    for name in ("filter_shape", "strides"):
        value = getattr(layer, name)
        pair = isinstance(value, tuple) and len(value) == 2
        if not pair or any(not isinstance(n, int) or n < 1 for n in value):
            raise ValueError(f"{name}={value!r}; give two whole numbers of at least 1")
    if layer.padding not in PADDINGS:
        raise ValueError(f"padding={layer.padding!r}; use one of {', '.join(PADDINGS)}")


@_architecture
class Dense:
    r"""An affine layer, h = Wx + b, with W_ij ~ N(0, σ_w²/fan_in) and b_i ~ N(0, σ_b²).

    Args:
      weight_var: σ_w² ≥ 0; may be traced.
      bias_var: σ_b² ≥ 0; may be traced.

    Raises:
      ValueError: a variance that is negative or not finite.
    """

    weight_var: Number
    bias_var: Number = 0.0

    __post_init__ = _check_variances


#: What a convolution sees beyond the edge of an image: the opposite edge, zeros (as many as keep
#: the size at stride 1), or nothing (it stays inside).
PADDINGS = ("circular", "same", "valid")


@_architecture
class Convolution:
    r"""A convolution of images over both directions, with weights ~ N(0, σ_w²/(k₁·k₂·channels)).

    Args:
      weight_var: σ_w² ≥ 0; may be traced.
      bias_var: σ_b² ≥ 0, of one bias a channel; may be traced.
      filter_shape: (k₁, k₂).
      strides: in both directions.
      padding: one of :data:`PADDINGS`.

    Raises:
      ValueError: a variance that is negative or not finite; a size below 1; another padding.
    """

    weight_var: Number
    bias_var: Number = 0.0
    filter_shape: tuple[int, int] = _static(default=(3, 3))
    strides: tuple[int, int] = _static(default=(1, 1))
    padding: str = _static(default="same")

    def __post_init__(self) -> None:
        _check_variances(self)
        _check_image(self)


@_architecture
class Elementwise:
    """The activation, x = φ(h), unit by unit.

    Args:
      activation: φ.

    Raises:
      ValueError: something else than an activation.
    """

    activation: Activation = _static()

    def __post_init__(self) -> None:
        if not isinstance(self.activation, Activation):
            raise ValueError(
                f"activation={self.activation!r} is none; "
                "widelimit.activations.get finds one by its name"
            )


@_architecture
class LayerNorm:
    r"""Layer normalization of pre-activations over units (of images: over channels, a position).

    .. math:: h_i \mapsto (h_i - \bar h)/s, \qquad
        \bar h = \tfrac1n \sum_i h_i, \quad s^2 = \tfrac1n \sum_i (h_i - \bar h)^2
    """


@_architecture
class Flatten:
    """An image as one vector, all its positions side by side."""


@_architecture
class GlobalAveragePool:
    """The mean of an image over its positions, channel by channel."""


@_architecture
class Chain:
    """Layers one after another.

    Args:
      layers: a tuple of layers, in the order in which a signal passes them.
    """

    layers: tuple


@_architecture
class Repeat:
    """The same block several times, with independent weights: however often, it compiles once.

    Args:
      block: what is repeated, such as a :class:`Chain`; it keeps the size of images.
      times: how often, ≥ 1.

    Raises:
      ValueError: times below 1.
    """

    block: object
    times: int = _static()

    def __post_init__(self) -> None:
        if not isinstance(self.times, int) or self.times < 1:
            raise ValueError(f"times={self.times!r}; give a whole number of at least 1")


@_architecture
class Residual:
    """A skip connection, x + branch(x).

    Args:
      branch: what is added, ending with an affine layer of its own.
    """

    branch: object


def fully_connected(
    depth: int, activation: Activation, weight_var: Number, bias_var: Number = 0.0
) -> Chain:
    """A fully connected network with L hidden layers and an affine output, all alike.

    Args:
      depth: L ≥ 1, the number of hidden layers, and of times that φ acts.
      activation: φ.
      weight_var: σ_w² ≥ 0 of every layer, the output's too; may be traced.
      bias_var: σ_b² ≥ 0, likewise.

    Returns:
      The architecture.

    Raises:
      ValueError: depth below 1, a variance that is negative or not finite.
    """
    if not isinstance(depth, int) or depth < 1:
        raise ValueError(f"depth={depth!r}; give a whole number of hidden layers, at least 1")
    affine = Dense(weight_var, bias_var)
    return Chain((affine, Repeat(Chain((Elementwise(activation), affine)), depth)))
