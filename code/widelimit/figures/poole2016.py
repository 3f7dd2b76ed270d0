"""Poole et al. 2016, figures 1A, 1B, 2A and 2B: the two maps, and signals layer by layer."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, each
from widelimit.figures.tanh_networks import (
    BIAS_VAR,
    TANH,
    WEIGHT_STDS,
    draw_networks,
    fixed_points,
    looks,
    on_networks,
)
from widelimit.lab import passes
from widelimit.theory import angle_map, signal

#: Lengths q¹ from which figure 3.1 starts; the first is that of the input 0.
STARTS = (BIAS_VAR, 1.0, 3.0, 6.0, 10.0, 15.0)
#: Those whose way through the layers is shown.
SHOWN_STARTS = (BIAS_VAR, 6.0, 15.0)
#: Correlations of the inputs of figure 3.4, and those that are followed through the layers.
CORRELATIONS, FOLLOWED = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 0.9), (0.2, 0.5, 0.8)


def by_input(made: tuple) -> jax.Array:
    """The mean square of each hidden layer's units.

    Args:
      made: a network and its inputs.

    Returns:
      Shape ``[layers, inputs]``.
    """
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
        found[f"{std}_lengths"] = on_networks(by_input, widths, std**2, x, keys)
        theory = signal.lengths(TANH, starts, depth, std**2, BIAS_VAR)
        found[f"{std}_lengths_theory"] = np.asarray(theory).T
    return found


def _draw(data, grid, name, fixed, shown):
    """A map with what one layer did, and by layer what becomes of some of the starts."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.6), sharey=True)
    axes[0].plot(data[grid], data[grid], color=style.GUIDE, lw=1)
    for (std, color, marker), point in zip(looks(), fixed, strict=True):
        measured, theory = data[f"{std}_{name}"], data[f"{std}_{name}_theory"]
        axes[0].plot(data[grid], data[f"{std}_map"], color=style.THEORY, lw=1.2)
        axes[0].plot(point, point, "*", color=color, ms=11, mec=style.THEORY, mew=0.6, zorder=3)
        draw_points(axes[0], theory[0], measured[:, 1], f"σ_w = {std}", marker, color)
        layers = np.arange(1, len(theory) + 1)
        for start in shown:
            axes[1].plot(layers, theory[:, start], color=style.THEORY, lw=1)
            draw_points(axes[1], layers, measured[:, :, start], None, marker, color)
    axes[1].set_xlabel("layer l")
    draw_networks(axes[0])
    return figure, axes


def draw_lengths(data: dict[str, np.ndarray]) -> Canvas:
    """The length map with what one layer did, and lengths by layer."""
    shown = map(STARTS.index, SHOWN_STARTS)
    figure, axes = _draw(data, "q", "lengths", fixed_points().var, list(shown))
    axes[0].set(xlabel="length q of one layer", ylabel="length of the next", title="the length map")
    axes[1].set(ylim=(0, 17), xticks=[1, 2, 4, 6, 8], title="lengths from three starts")
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
        found[f"{std}_correlations"] = on_networks(_correlations, widths, std**2, x, keys)
        first = ((q - BIAS_VAR) * inputs + BIAS_VAR) / q
        found[f"{std}_correlations_theory"] = layer.layers(first, depth)
    return found


def draw_correlations(data: dict[str, np.ndarray]) -> Canvas:
    """The correlation map with what one layer did, and correlations by layer."""
    shown = map(CORRELATIONS.index, FOLLOWED)
    figure, axes = _draw(data, "c", "correlations", fixed_points().correlation, list(shown))
    axes[0].set(xlabel="correlation c of one layer", ylabel="correlation of the next")
    axes[0].set_title("the correlation map")
    axes[1].set(xticks=[1, 4, 8, 12, 16], title="correlations from three starts")
    return figure


FIGURES = (
    Figure(
        "poole2016-fig1ab",
        "poole2016",
        "figure 1A, 1B",
        "03-chaos",
        "The length map, and lengths by layer",
        lengths,
        draw_lengths,
        {"chapter": 3, "paper": 40},
    ),
    Figure(
        "poole2016-fig2ab",
        "poole2016",
        "figure 2A, 2B",
        "03-chaos",
        "The correlation map, and correlations by layer",
        correlations,
        draw_correlations,
        {"chapter": 4, "paper": 80},
    ),
)
