"""Random tanh networks: the three of Poole et al. 2016, and measurements on many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from widelimit import activations
from widelimit.figures import style
from widelimit.figures.replicates import REPLICATES
from widelimit.lab import networks, passes
from widelimit.theory import phases

#: The activation of all figures.
TANH = activations.get("tanh")
#: The three networks of the paper: σ_w, at σ_b = 0.3.
WEIGHT_STDS = (1.3, 2.5, 4.0)
#: σ_b² of the three.
BIAS_VAR = 0.09


@cache
def fixed_points() -> phases.PhaseDiagram:
    """The fixed points of the three networks, in the order of ``WEIGHT_STDS``.

    Returns:
      The diagram, three points.
    """
    return phases.phase_diagram(TANH, np.array(WEIGHT_STDS) ** 2, BIAS_VAR)


@cache
def maker(widths: tuple[int, ...], bias_var: float = BIAS_VAR, keep_prob: float = 1.0) -> Callable:
    """Tanh networks in a form that compiles once for each architecture.

    Args:
      widths: as for :class:`widelimit.lab.networks.FullyConnected`.
      bias_var: σ_b².
      keep_prob: ρ.

    Returns:
      A function from a key, σ_w² and inputs to a network and its inputs; with dropout from two
      keys, of which the second is given on.
    """

    def make(key, weight_var, x):
        of_network, *of_masks = key if keep_prob < 1 else (key,)
        network = networks.FullyConnected(
            of_network,
            widths,
            TANH,
            weight_var=weight_var,
            bias_var=bias_var,
            keep_prob=keep_prob,
        )
        return network, x, *of_masks

    return make


def on_networks(
    measure: Callable,
    widths: tuple[int, ...],
    weight_var: float,
    x: Any,
    keys: jax.Array,
    bias_var: float = BIAS_VAR,
    keep_prob: float = 1.0,
) -> Any:
    """A measurement on independent networks, one for each key.

    Args:
      measure: from what :func:`maker` makes, as one tuple, to a tree of arrays.
      widths: of the networks.
      weight_var: σ_w² of all of them.
      x: the inputs of all of them.
      keys: random keys, ``[networks]``; with dropout ``[networks, 2]``.
      bias_var: σ_b² of all of them.
      keep_prob: ρ.

    Returns:
      The tree, in float64, with a new first axis for the networks.
    """
    x = jnp.asarray(x, jnp.float32)
    settings = keys, jnp.full(len(keys), weight_var, jnp.float32), jnp.tile(x, (len(keys), 1, 1))
    # Many at once where they are small; a number that divides any count of replicates.
    together = max(one for one in (1, 2, 4, 5) if one == 1 or one * max(widths) <= 200)
    make = maker(widths, bias_var, keep_prob)
    found = passes.measured(make, measure, *settings, together=together)
    return jax.tree.map(lambda one: np.asarray(one, float), found)


def many_networks(
    measure: Callable,
    widths: tuple[int, ...],
    weight_var: float,
    x: Any,
    key: jax.Array,
    count: int,
    bias_var: float = BIAS_VAR,
    keep_prob: float = 1.0,
) -> Any:
    """A measurement as independent replicates, each a mean over networks.

    Args:
      measure: as for :func:`on_networks`.
      widths: of the networks.
      weight_var: σ_w² of all of them.
      x: the inputs of all of them.
      key: a random key.
      count: how many networks a replicate has; whatever it is, one program is compiled.
      bias_var: σ_b² of all of them.
      keep_prob: ρ.

    Returns:
      The tree of means, in float64, with a new first axis for the replicates.
    """
    shape = (count, REPLICATES) if keep_prob == 1 else (count, REPLICATES, 2)
    found = [
        on_networks(measure, widths, weight_var, x, keys, bias_var, keep_prob)
        for keys in jax.random.split(key, shape)
    ]
    return jax.tree.map(lambda *one: np.mean(one, axis=0), *found)


def circle(t, weight_std: float, q: float):
    """The circle in a plane of inputs that has length q in the first layer.

    Args:
      t: angles, ``[points]``.
      weight_std: σ_w.
      q: q¹.

    Returns:
      Inputs, ``[points, 2]``.
    """
    radius = (2 * (q - BIAS_VAR)) ** 0.5 / weight_std
    return radius * jnp.stack([jnp.cos(t), jnp.sin(t)], axis=1)


def looks() -> Iterator[tuple[float, str, str]]:
    """How the three networks are told apart in a figure.

    Returns:
      For each its σ_w, colour and marker.
    """
    return zip(WEIGHT_STDS, style.KINDS[:3], "os^", strict=True)


def draw_networks(axis: Any) -> None:
    """Draw the legend of the three networks above the panels.

    Args:
      axis: of one panel, whose labels are taken.
    """
    axis.figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=3)
