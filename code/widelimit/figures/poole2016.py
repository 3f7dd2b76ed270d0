"""Poole et al. 2016, figures 1 and 2: lengths and correlations of signals, and their two phases.

Beside them what the paper does not show: how lengths scatter between networks of finite width, and
how a layer answers when its input is pushed a little, which measures the slopes of both maps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit import activations
from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, each, in_groups
from widelimit.lab import networks, passes
from widelimit.theory import angle_map, fluctuations, phases, signal

#: The activation of all figures.
TANH = activations.get("tanh")
#: The three networks of the paper: σ_w, at σ_b = 0.3.
WEIGHT_STDS = (1.3, 2.5, 4.0)
#: σ_b² of all networks.
BIAS_VAR = 0.09
#: Lengths q¹ from which figure 3.1 starts; the first is that of the input 0.
STARTS = (BIAS_VAR, 1.0, 3.0, 6.0, 10.0, 15.0)
#: Those whose way through the layers is shown.
SHOWN_STARTS = (BIAS_VAR, 6.0, 15.0)
#: Correlations of the inputs of figure 3.4, and those that are followed through the layers.
CORRELATIONS, FOLLOWED = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 0.9), (0.2, 0.5, 0.8)


@cache
def fixed_points() -> phases.PhaseDiagram:
    """The fixed points of the three networks, in the order of ``WEIGHT_STDS``.

    Returns:
      The diagram, three points.
    """
    return phases.phase_diagram(TANH, np.array(WEIGHT_STDS) ** 2, BIAS_VAR)


@cache
def maker(widths: tuple[int, ...]) -> Callable:
    """Tanh networks with the paper's biases, in a form that compiles once for each architecture.

    Args:
      widths: as for :class:`widelimit.lab.networks.FullyConnected`.

    Returns:
      A function from a key, σ_w² and inputs to a network and its inputs.
    """

    def make(key, weight_var, x):
        network = networks.FullyConnected(
            key, widths, TANH, weight_var=weight_var, bias_var=BIAS_VAR
        )
        return network, x

    return make


def drawn(
    measure: Callable, widths: tuple[int, ...], weight_var: float, x: Any, keys: jax.Array
) -> Any:
    """A measurement on independent networks, one for each key.

    Args:
      measure: from a network and its inputs, as one tuple, to a tree of arrays.
      widths: of the networks.
      weight_var: σ_w² of all of them.
      x: the inputs of all of them.
      keys: random keys.

    Returns:
      The tree, in float64, with a new first axis for the networks.
    """
    x = jnp.asarray(x, jnp.float32)
    settings = keys, jnp.full(len(keys), weight_var, jnp.float32), jnp.tile(x, (len(keys), 1, 1))
    # Many at once where they are small; a number that divides any count of replicates.
    together = max(one for one in (1, 2, 4, 5) if one == 1 or one * max(widths) <= 200)
    found = passes.measured(maker(widths), measure, *settings, together=together)
    return jax.tree.map(lambda one: np.asarray(one, float), found)


def _lengths(made):
    """The mean square of each layer's units, ``[layers, inputs]``."""
    network, x = made
    return passes.by_layer(lambda h: jnp.mean(h**2, axis=1), network.preactivations(x)[:-1])


def lengths(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Lengths q^l in random tanh networks, from six starting lengths.

    Args:
      key: a random key.
      scale: sets the width.

    Returns:
      ``q``: a grid, ``[61]``; for each network S of ``WEIGHT_STDS``: ``S_map``, the length map on
      that grid; ``S_lengths``, ``[20, layers, starts]``, and ``S_lengths_theory``.

    Source: Poole et al. 2016, figure 1A and 1B; chapter 3, equation (3.3).
    """
    width, depth = {"chapter": 300, "paper": 1000}[scale], 8
    grid, starts = np.linspace(0, 15, 61), np.array(STARTS)
    found = {"q": grid}
    for std, one in each(WEIGHT_STDS, key, "lengths"):
        x = np.sqrt((starts - BIAS_VAR) / std**2)[:, None] * np.ones((1, width))
        widths, keys = (*[width] * (depth + 1), 1), jax.random.split(one, REPLICATES)
        found[f"{std}_map"] = np.asarray(signal.length_map(TANH, grid, std**2, BIAS_VAR))
        found[f"{std}_lengths"] = drawn(_lengths, widths, std**2, x, keys)
        theory = signal.lengths(TANH, starts, depth, std**2, BIAS_VAR)
        found[f"{std}_lengths_theory"] = np.asarray(theory).T
    return found


def draw_networks(axis: Any) -> None:
    """Draw the legend of the three networks above the panels.

    Args:
      axis: of one panel, whose labels are taken.
    """
    axis.figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=3)


def _looks():
    return zip(WEIGHT_STDS, style.KINDS[:3], "os^", strict=True)


def draw_lengths(data: dict[str, np.ndarray]) -> Canvas:
    """The length map with what one layer did, and lengths by layer."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.6), sharey=True)
    axes[0].plot(data["q"], data["q"], color=style.GUIDE, lw=1)
    for (std, color, marker), q in zip(_looks(), fixed_points().var, strict=True):
        measured, theory = data[f"{std}_lengths"], data[f"{std}_lengths_theory"]
        axes[0].plot(data["q"], data[f"{std}_map"], color=style.THEORY, lw=1.2)
        axes[0].plot(q, q, "*", color=color, ms=11, mec=style.THEORY, mew=0.6, zorder=3)
        draw_points(axes[0], theory[0], measured[:, 1], f"σ_w = {std}", marker, color)
        layers = np.arange(1, len(theory) + 1)
        for start in map(STARTS.index, SHOWN_STARTS):
            axes[1].plot(layers, theory[:, start], color=style.THEORY, lw=1)
            draw_points(axes[1], layers, measured[:, :, start], None, marker, color)
    axes[0].set(xlabel="length q of one layer", ylabel="length of the next")
    axes[1].set(xlabel="layer l", ylim=(0, 17), xticks=[1, 2, 4, 6, 8])
    axes[1].set_title("lengths from three starts")
    axes[0].set_title("the length map")
    draw_networks(axes[0])
    return figure


#: Widths and σ_w of figure 3.2, and the layer whose length is taken.
NARROW, NARROW_STD, NARROW_LAYER = (32, 64, 128), 1.3, 7


def _last_length(made):
    return _lengths(made)[-1, 0]


def scatter(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """The variance, over networks, of one layer's mean square.

    Args:
      key: a random key.
      scale: sets the number of networks a replicate.

    Returns:
      ``widths``; ``variance``, ``[20, widths]``; ``variance_theory``; ``alone``: what it would be
      if the layers below added nothing; ``networks``: in a replicate.

    Source: chapter 3, equation (3.12).
    """
    count = {"chapter": 48, "paper": 1000}[scale]
    q = float(fixed_points().var[WEIGHT_STDS.index(NARROW_STD)])
    inherited = fluctuations.at_fixed_point(TANH, q, 0.0, NARROW_STD**2).covariance[0, 0]
    found = []
    for width, one in each(NARROW, key, "widths"):
        x = np.full((1, width), np.sqrt((q - BIAS_VAR) / NARROW_STD**2))
        widths = (*[width] * (NARROW_LAYER + 1), 1)
        keys = jax.random.split(one, REPLICATES * count)
        squares = in_groups(drawn(_last_length, widths, NARROW_STD**2, x, keys))
        found.append(squares.var(axis=1, ddof=1))
    widths = np.array(NARROW)
    return {
        "widths": widths,
        "variance": np.stack(found, axis=1),
        "variance_theory": (2 * q**2 + float(inherited)) / widths,
        "alone": 2 * q**2 / widths,
        "networks": np.array(count),
    }


def draw_scatter(data: dict[str, np.ndarray]) -> Canvas:
    """The variance of :func:`scatter` against the width."""
    figure, axis = plt.subplots(figsize=(5.2, 3.6))
    axis.plot(data["widths"], data["variance_theory"], color=style.THEORY, label="(3.12)")
    axis.plot(data["widths"], data["alone"], "--", color=style.RIVAL, label="2q*²/n, one layer")
    draw_points(axis, data["widths"], data["variance"])
    axis.set(xscale="log", yscale="log", ylabel="variance of the mean square of h")
    style.width_axis(axis, data["widths"])
    axis.set_xlabel("width n")
    axis.legend()
    return figure


#: The grid of the paper's maps, and the layers after which figure 3.3 stops counting.
GRID_STDS, GRID_BIAS_STDS, LAST_COUNTED = np.arange(10, 51) / 10, np.arange(0, 41) / 10, 40


def diagram(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Fixed points and phases of tanh networks over σ_w and σ_b: theory alone.

    Args:
      key: not used.
      scale: not used.

    Returns:
      ``weight_stds``, ``bias_stds``; on their grid, rows being σ_b: ``length``, q*;
      ``correlation``, c*; ``chi_1``; ``layers``: after how many layers lengths that start from the
      input 0 and from 15 are both within 1% of q* for good, at most ``LAST_COUNTED``;
      ``critical_stds``: the critical σ_w at each σ_b.

    Source: Poole et al. 2016, figures 1C, 1D, 2C and 2D.
    """
    weight_var, bias_var = GRID_STDS**2, GRID_BIAS_STDS[:, None] ** 2
    point = phases.phase_diagram(TANH, weight_var, bias_var)
    starts = np.stack([np.broadcast_to(bias_var, point.var.shape), np.full(point.var.shape, 15.0)])
    lengths = np.asarray(signal.lengths(TANH, starts, LAST_COUNTED, weight_var, bias_var))
    off = (np.abs(lengths - point.var[..., None]) > 0.01 * point.var[..., None]).any(axis=0)
    last_off = LAST_COUNTED - np.argmax(off[..., ::-1], axis=-1)
    return {
        "weight_stds": GRID_STDS,
        "bias_stds": GRID_BIAS_STDS,
        "length": point.var,
        "correlation": point.correlation,
        "chi_1": point.chi_1,
        "layers": np.where(off.any(axis=-1), last_off, 0),
        "critical_stds": np.sqrt(phases.critical_weight_var(TANH, GRID_BIAS_STDS**2)),
    }


def _map(axis, data, name, title, **more):
    """One quantity of :func:`diagram` as colours, the three networks as stars; its colour bar."""
    image = axis.pcolormesh(
        data["weight_stds"], data["bias_stds"], data[name], rasterized=True, **more
    )
    axis.plot(WEIGHT_STDS, [BIAS_VAR**0.5] * 3, "*", color="white", mec="black", ms=9, mew=0.6)
    axis.set(title=title, xlabel="σ_w")
    return axis.figure.colorbar(image, ax=axis, location="bottom", shrink=0.9)


def draw_lengths_diagram(data: dict[str, np.ndarray]) -> Canvas:
    """The fixed point q* over the plane, and how fast it is reached."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 4.2), sharey=True)
    _map(axes[0], data, "length", "fixed point q*")
    counted = {"cmap": plt.get_cmap("cividis", 10), "vmin": 0.5, "vmax": 10.5}
    bar = _map(axes[1], data, "layers", "layers until within 1%", **counted)
    bar.set_ticks([1, 2, 4, 6, 8, 10], labels=["1", "2", "4", "6", "8", "≥10"])
    axes[0].set_ylabel("σ_b")
    return figure


def draw_phases(data: dict[str, np.ndarray]) -> Canvas:
    """The fixed point c* and χ₁ over the plane, with the critical line."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 4.2), sharey=True)
    _map(axes[0], data, "correlation", "fixed point c*", vmin=0, vmax=1)
    _map(axes[1], data, "chi_1", "χ₁", vmin=0, vmax=2.5)
    for axis in axes:
        inside = data["critical_stds"] <= GRID_STDS[-1]
        axis.plot(data["critical_stds"][inside], data["bias_stds"][inside], color="white", lw=2)
    axes[0].set_ylabel("σ_b")
    return figure


def _overlaps(h):
    """Correlations of the first input with the others, by layer: ``[layers, inputs − 1]``."""
    products = jnp.mean(h * h[:1], axis=1)
    squares = jnp.mean(h**2, axis=1)
    return products[1:] / jnp.sqrt(squares[0] * squares[1:])


def _correlations(made):
    network, x = made
    return passes.by_layer(_overlaps, network.preactivations(x)[:-1])


def at_correlations(correlations: np.ndarray, width: int, mean_square: float) -> np.ndarray:
    """An input of equal coordinates, and one more for each correlation with it.

    Args:
      correlations: in [−1, 1].
      width: dimension of the inputs, even.
      mean_square: of their coordinates.

    Returns:
      Inputs ``[1 + correlations, width]``, all of one length.
    """
    one, other = np.ones(width), np.tile([1.0, -1.0], width // 2)
    turned = [c * one + np.sqrt(1 - c**2) * other for c in correlations]
    return np.sqrt(mean_square) * np.stack([one, *turned])


def correlations(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Correlations of pairs of inputs whose length is that of the fixed point.

    Args:
      key: a random key.
      scale: sets the width.

    Returns:
      ``c``: a grid, ``[65]``; for each network S: ``S_map``, the correlation map on that grid;
      ``S_correlations``, ``[20, layers, inputs]``, and ``S_correlations_theory``.

    Source: Poole et al. 2016, figure 2A and 2B; chapter 3, equation (3.7).
    """
    width, depth = {"chapter": 300, "paper": 1000}[scale], 16
    grid, inputs = np.linspace(0, 1, 65), np.array(CORRELATIONS)
    found = {"c": grid}
    for (std, q), one in each(zip(WEIGHT_STDS, fixed_points().var, strict=True), key, "pairs"):
        x = at_correlations(inputs, width, (q - BIAS_VAR) / std**2)
        widths, keys = (*[width] * (depth + 1), 1), jax.random.split(one, REPLICATES)
        layer = angle_map.at_fixed_point(TANH, q, std**2)
        found[f"{std}_map"] = layer(grid)
        found[f"{std}_correlations"] = drawn(_correlations, widths, std**2, x, keys)
        first = ((q - BIAS_VAR) * inputs + BIAS_VAR) / q
        found[f"{std}_correlations_theory"] = layer.layers(first, depth)
    return found


def draw_correlations(data: dict[str, np.ndarray]) -> Canvas:
    """The correlation map with what one layer did, and correlations by layer."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.6), sharey=True)
    axes[0].plot(data["c"], data["c"], color=style.GUIDE, lw=1)
    points = fixed_points().correlation
    for (std, color, marker), c in zip(_looks(), points, strict=True):
        measured, theory = data[f"{std}_correlations"], data[f"{std}_correlations_theory"]
        axes[0].plot(data["c"], data[f"{std}_map"], color=style.THEORY, lw=1.2)
        axes[0].plot(c, c, "*", color=color, ms=11, mec=style.THEORY, mew=0.6, zorder=3)
        draw_points(axes[0], theory[0], measured[:, 1], f"σ_w = {std}", marker, color)
        layers = np.arange(1, len(theory) + 1)
        for start in map(CORRELATIONS.index, FOLLOWED):
            axes[1].plot(layers, theory[:, start], color=color, lw=1)
            draw_points(axes[1], layers, measured[:, :, start], None, marker, color)
    axes[0].set(xlabel="correlation c of one layer", ylabel="correlation of the next")
    axes[1].set(xlabel="layer l", xticks=[1, 4, 8, 12, 16])
    axes[0].set_title("the correlation map")
    axes[1].set_title("correlations from three starts")
    draw_networks(axes[0])
    return figure


def _figure(name, panel, title, compute, draw, seconds, data_of=None):
    return Figure(
        name, "poole2016", panel, "03-chaos", title, compute, draw, seconds, data_of=data_of
    )


FIGURES = (
    _figure(
        "poole2016-fig1ab",
        "figure 1A, 1B",
        "The length map, and lengths by layer",
        lengths,
        draw_lengths,
        {"chapter": 3, "paper": 40},
    ),
    _figure(
        "poole2016-scatter",
        "ours",
        "How lengths scatter between networks, against the width",
        scatter,
        draw_scatter,
        {"chapter": 4, "paper": 60},
    ),
    _figure(
        "poole2016-fig1cd",
        "figure 1C, 1D",
        "Fixed points of the length over the plane, and how fast they are reached",
        diagram,
        draw_lengths_diagram,
        {"chapter": 5, "paper": 5},
    ),
    _figure(
        "poole2016-fig2ab",
        "figure 2A, 2B",
        "The correlation map, and correlations by layer",
        correlations,
        draw_correlations,
        {"chapter": 4, "paper": 80},
    ),
    _figure(
        "poole2016-fig2cd",
        "figure 2C, 2D",
        "Order and chaos over the plane",
        diagram,
        draw_phases,
        {"chapter": 5, "paper": 5},
        data_of="poole2016-fig1cd",
    ),
)
