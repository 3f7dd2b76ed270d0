r"""What an architecture is before any number is: which layers follow which, and whether they can.

The theory of wide networks allows a nonlinearity only where its inputs are Gaussian, that is behind
an affine layer, and a skip connection only around a branch that ends with one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from widelimit.activations import Activation
from widelimit.architectures import (
    Chain,
    Convolution,
    Dense,
    Elementwise,
    Flatten,
    GlobalAveragePool,
    LayerNorm,
    Repeat,
    Residual,
)
from widelimit.theory import planes

#: One layer, or several in a chain.
Layer = (
    Chain
    | Convolution
    | Dense
    | Elementwise
    | Flatten
    | GlobalAveragePool
    | LayerNorm
    | Repeat
    | Residual
)
#: What a signal can be: the data, Gaussian pre-activations, or what is made of them.
DATA, GAUSSIAN, UNITS = "the data", "pre-activations", "activations"


class State(NamedTuple):
    """What is known of a signal before any number is.

    Attributes:
      kind: DATA, GAUSSIAN or UNITS.
      size: of an image in both directions, () for a vector.
      grid: of positions, see :mod:`widelimit.theory.planes`.
      fan: how many numbers a position has: the channels of the data, later the width.
    """

    kind: str
    size: tuple[int, ...]
    grid: tuple[int, ...]
    fan: float

    def __str__(self) -> str:
        return f"{self.kind} of size {'×'.join(map(str, self.size))}" if self.size else self.kind


def layers_of(architecture: Layer) -> tuple[Layer, ...]:
    """The layers of an architecture, chains in chains laid out.

    Args:
      architecture: a layer or a :class:`~widelimit.architectures.Chain`.

    Returns:
      Layers, none of which is a chain.
    """
    if not isinstance(architecture, Chain):
        return (architecture,)
    return tuple(inner for layer in architecture.layers for inner in layers_of(layer))


def activations_of(layer: Layer) -> set[Activation]:
    """Every activation that occurs in an architecture.

    Args:
      layer: one layer or a chain.

    Returns:
      A set.
    """
    match layer:
        case Elementwise():
            return {layer.activation}
        case Chain():
            return set().union(*map(activations_of, layer.layers))
        case Repeat():
            return activations_of(layer.block)
        case Residual():
            return activations_of(layer.branch)
    return set()


def after(layer: Layer, state: State, width: float | None) -> State:
    """What a layer makes of a signal, and whether it can.

    Args:
      layer: one layer or a chain.
      state: what enters.
      width: of the hidden layers in the standard parametrization; None for the neural tangent one.

    Returns:
      What leaves.

    Raises:
      ValueError: a layer that the theory of wide networks does not allow there, by name.
    """
    name = type(layer).__name__
    hidden = 1.0 if width is None else float(width)
    match layer:
        case Chain():
            for inner in layer.layers:
                state = after(inner, state, width)
            return state
        case Dense():
            if state.size:
                raise ValueError("Dense reads vectors; put Flatten or GlobalAveragePool before it")
            return State(GAUSSIAN, (), (), hidden)
        case Convolution():
            if not state.size:
                raise ValueError("Convolution reads images, x of shape [inputs, height, width, c]")
            size = [
                planes.convolved_size(layer, state.size[axis], state.grid[axis], axis)
                for axis in (0, 1)
            ]
            grid = tuple(g // s for g, s in zip(state.grid, layer.strides, strict=True))
            return State(GAUSSIAN, tuple(size), grid, hidden)
        case Elementwise() | LayerNorm():
            if state.kind != GAUSSIAN:
                raise ValueError(
                    f"{name} follows {state}; it must follow an affine layer, Dense or "
                    "Convolution, whose units are Gaussian"
                )
            return state._replace(kind=UNITS) if isinstance(layer, Elementwise) else state
        case Repeat():
            once = after(layer.block, state, width)
            if once != state:
                raise ValueError(
                    f"Repeat: its block turns {state} into {once} and must give what it takes; "
                    "put layers that change it outside"
                )
            return once
        case Residual():
            branch = after(layer.branch, state, width)
            if state.kind == DATA or branch.kind != GAUSSIAN or branch.size != state.size:
                raise ValueError(
                    f"Residual adds {branch} to {state}; it must come after an affine layer, and "
                    "its branch must end with one and keep the size"
                )
            return state
        case Flatten() | GlobalAveragePool():
            if not state.size:
                raise ValueError(f"{name} reads images, x of shape [inputs, height, width, c]")
            if isinstance(layer, Flatten):
                kind = DATA if state.kind == DATA else UNITS
                return State(kind, (), (), state.fan * math.prod(state.size))
            return state._replace(size=(), grid=())
    raise ValueError(f"{layer!r} is no layer; widelimit.architectures has them")
