"""Poole et al. 2016, figures 1C, 1D, 2C and 2D: fixed points and phases over σ_w and σ_b."""

from __future__ import annotations

import jax
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit.figures.registry import Figure
from widelimit.figures.tanh_networks import BIAS_VAR, TANH, WEIGHT_STDS
from widelimit.theory import phases, signal

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


FIGURES = (
    Figure(
        "poole2016-fig1cd",
        "poole2016",
        "figure 1C, 1D",
        "03-chaos",
        "Fixed points of the length over the plane, and how fast they are reached",
        diagram,
        draw_lengths_diagram,
        {"chapter": 5, "paper": 5},
    ),
    Figure(
        "poole2016-fig2cd",
        "poole2016",
        "figure 2C, 2D",
        "03-chaos",
        "Order and chaos over the plane",
        diagram,
        draw_phases,
        {"chapter": 5, "paper": 5},
        data_of="poole2016-fig1cd",
    ),
)
