"""How lengths scatter between random tanh networks of finite width; a figure of ours."""

from __future__ import annotations

import jax
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit.figures import style
from widelimit.figures.poole2016 import by_input
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, each, in_groups
from widelimit.figures.tanh_networks import BIAS_VAR, TANH, WEIGHT_STDS, fixed_points, on_networks
from widelimit.theory import fluctuations

#: Widths and σ_w of figure 3.2, and the layer whose length is taken.
WIDTHS, STD, LAYER = (32, 64, 128), 1.3, 7


def _last_length(made):
    return by_input(made)[-1, 0]


def scatter(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """The variance, over networks, of one layer's mean square.

    Args:
      key: a random key.
      scale: sets the number of networks a replicate.

    Returns:
      ``widths``; ``variance``, ``[20, widths]``; ``variance_theory``; ``alone``: what it would be
      if the layers below added nothing.

    Source: chapter 3, equation (3.12).
    """
    count = {"chapter": 48, "paper": 1000}[scale]
    q = float(fixed_points().var[WEIGHT_STDS.index(STD)])
    inherited = fluctuations.at_fixed_point(TANH, q, 0.0, STD**2).covariance[0, 0]
    found = []
    for width, one in each(WIDTHS, key, "widths"):
        x = np.full((1, width), np.sqrt((q - BIAS_VAR) / STD**2))
        widths = (*[width] * (LAYER + 1), 1)
        keys = jax.random.split(one, REPLICATES * count)
        squares = in_groups(on_networks(_last_length, widths, STD**2, x, keys))
        found.append(squares.var(axis=1, ddof=1))
    widths = np.array(WIDTHS)
    return {
        "widths": widths,
        "variance": np.stack(found, axis=1),
        "variance_theory": (2 * q**2 + float(inherited)) / widths,
        "alone": 2 * q**2 / widths,
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


FIGURES = (
    Figure(
        "poole2016-scatter",
        "poole2016",
        "ours",
        "03-chaos",
        "How lengths scatter between networks, against the width",
        scatter,
        draw_scatter,
        {"chapter": 4, "paper": 60},
    ),
)
