"""Poole et al. 2016, figure 5: what linear readouts of random networks can fit."""

from __future__ import annotations

from functools import cache

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
    circle,
    fixed_points,
    on_networks,
)
from widelimit.theory import curves, regression

#: Of figure 3.10: σ_w, outputs, points on half a circle, and the ridge over outputs times q*.
EXPRESSIVE_STD, OUTPUTS, HALF, RIDGE = 4.0, 60, 200, 1e-6
#: Hidden layers of the deep networks, and widths of the shallow ones.
DEPTHS, SHALLOW_WIDTHS = (1, 4, 10), (50, 1000)


@cache
def targets() -> np.ndarray:
    """Sines and cosines with 1, 2, … periods on the half circle, of length 1.

    Returns:
      Shape ``[points, 2, frequencies]``.
    """
    turns = 2 * np.pi * np.outer(np.arange(HALF) / HALF, np.arange(1, HALF // 4 + 1))
    return np.stack([np.sin(turns), np.cos(turns)], axis=1) / np.sqrt(HALF / 2)


def _readouts(made):
    """Outputs of random readouts of each depth of ``DEPTHS``: units of the layer above are such."""
    network, x = made
    first, hidden, _ = network.preactivations(x)
    h = jnp.concatenate([first, hidden])
    return h[jnp.array(DEPTHS), :, :OUTPUTS]


def _outputs(made):
    network, x = made
    return network(x)[None]


def expressivity(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """How well linear readouts of random networks fit waves on half a circle.

    Args:
      key: a random key.
      scale: sets the width of the deep networks.

    Returns:
      ``frequencies``; ``width``, of the deep networks; for each depth D: ``deep_D``, the loss of
      ridge regression by frequency, ``[20, frequencies]``, ``deep_D_theory``, and ``output_D``, one
      output along the half circle; for each width N of one hidden layer: ``shallow_N``; and for
      each of these ``_dimensions``, ``[20]``: what all waves of a basis together gain. The depths
      are those of one network.

    Source: Poole et al. 2016, figure 5; chapter 3, equation (3.22).
    """
    width = {"chapter": 200, "paper": 1000}[scale]
    index = WEIGHT_STDS.index(EXPRESSIVE_STD)
    w, q = EXPRESSIVE_STD**2, float(fixed_points().var[index])
    t = np.pi * np.arange(HALF) / HALF
    x = circle(t, EXPRESSIVE_STD, q)
    waves = targets().reshape(HALF, -1)
    found = {"frequencies": np.arange(1, HALF // 4 + 1), "width": np.array(width)}
    runs = {tuple(f"deep_{depth}" for depth in DEPTHS): (2, *[width] * (max(DEPTHS) + 1), 1)}
    runs |= {(f"shallow_{n}",): (2, n, OUTPUTS) for n in SHALLOW_WIDTHS}
    ridge = RIDGE * OUTPUTS * q
    for (names, widths), one in each(runs.items(), key, "networks"):
        measure = _outputs if len(names) == 1 else _readouts
        outputs = on_networks(measure, widths, w, x, jax.random.split(one, REPLICATES))
        gram = outputs @ outputs.swapaxes(2, 3) + ridge * np.eye(HALF)
        inverse = ridge * np.linalg.inv(gram)
        losses = np.sum(waves * (inverse @ waves), axis=2)
        dimensions = HALF - np.trace(inverse, axis1=2, axis2=3)
        for index, name in enumerate(names):
            found[name] = losses[:, index].reshape(REPLICATES, 2, -1).mean(axis=1)
            found[f"{name}_dimensions"] = dimensions[:, index]
            if name.startswith("deep"):
                found[name.replace("deep", "output")] = outputs[0, index, :, 0]
    harmonics = np.asarray(curves.harmonics(TANH, q, max(DEPTHS) + 1, w, q - BIAS_VAR))
    waves_of = np.cos(np.outer(t, np.arange(harmonics.shape[1])))
    apart = np.abs(np.subtract.outer(np.arange(HALF), np.arange(HALF)))
    for depth in DEPTHS:
        kernel = (waves_of @ harmonics[depth])[apart]
        losses = regression.random_features_loss(
            jnp.asarray(kernel), jnp.asarray(waves), OUTPUTS, ridge
        )
        found[f"deep_{depth}_theory"] = np.asarray(losses).reshape(2, -1).mean(axis=0)
    return found


def draw_expressivity(data: dict[str, np.ndarray]) -> Canvas:
    """Outputs along the half circle, and losses by frequency for depths and for widths."""
    figure = plt.figure(figsize=(6.4, 6.2))
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.25])
    panels = top.subplots(1, 3, sharey=True)
    t = np.arange(HALF) / HALF
    for axis, depth in zip(panels, DEPTHS, strict=True):
        axis.plot(t, data[f"output_{depth}"], color=style.EXPERIMENT, lw=1)
        axis.set(title=f"L = {depth}", xlabel="angle / π", xticks=[0, 0.5, 1])
    panels[0].set_ylabel("one output")
    axes = bottom.subplots(1, 2, sharey=True)
    frequencies, shown = data["frequencies"], slice(0, None, 3)
    for depth, marker, color in zip(DEPTHS, "os^", style.width_colors(3), strict=True):
        axes[0].plot(frequencies, data[f"deep_{depth}_theory"], color=style.THEORY, lw=1)
        found = data[f"deep_{depth}"][:, shown]
        draw_points(axes[0], frequencies[shown], found, f"L = {depth}", marker, color)
    axes[1].plot(frequencies, data["deep_1_theory"], color=style.THEORY, lw=1)
    for n, marker, color in zip(
        SHALLOW_WIDTHS, "D^", (style.KINDS[1], style.KINDS[3]), strict=True
    ):
        found = data[f"shallow_{n}"][:, shown]
        draw_points(axes[1], frequencies[shown], found, f"n = {n:,}", marker, color)
    axes[0].set(ylabel="loss", title="depths, at one width", ylim=(-0.05, 1.45), yticks=[0, 0.5, 1])
    axes[1].set_title("widths, one hidden layer")
    for axis in axes:
        axis.set_xlabel("periods of the wave")
        axis.legend(ncols=2, loc="upper center", columnspacing=1, handletextpad=0.3)
    return figure


FIGURES = (
    Figure(
        "poole2016-fig5",
        "poole2016",
        "figure 5",
        "03-chaos",
        "What linear readouts of deep and of shallow random networks can fit",
        expressivity,
        draw_expressivity,
        {"chapter": 8, "paper": 60},
    ),
)
