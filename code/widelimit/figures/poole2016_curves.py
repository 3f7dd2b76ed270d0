"""Poole et al. 2016, figures 3 and 4C to 4E: a circle on its way through random networks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import NullLocator

from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, each
from widelimit.figures.tanh_networks import (
    BIAS_VAR,
    TANH,
    WEIGHT_STDS,
    circle,
    draw_networks,
    fixed_points,
    looks,
    on_networks,
)
from widelimit.lab import curves as moving_curves
from widelimit.theory import angle_map, curve_fluctuations, curves

#: Points of the circle that figure 3.7 shows and joins, and every how many of them has derivatives.
AROUND, SPARSE = 500, 10
#: Layers of figure 3.7, frequencies that are measured, principal components that are counted.
SHOWN, FREQUENCIES, COMPONENTS = (5, 10), 8, 5


def _geometry(made):
    """Lengths, bends and harmonics of a circle, by layer, and the components of what is shown."""
    network, x = made

    def layers(x):
        first, hidden, _ = network.preactivations(x)
        return jnp.concatenate([first, hidden])

    h = layers(x)
    radius, angle = jnp.sqrt(jnp.sum(x[0] ** 2)), 2 * jnp.pi / AROUND
    sides = jnp.sqrt(jnp.mean((jnp.roll(h, -1, axis=1) - h) ** 2, axis=2))
    spectrum = jnp.mean(jnp.abs(jnp.fft.rfft(h, axis=1)) ** 2, axis=2) / AROUND**2
    once = jnp.where(jnp.arange(FREQUENCIES) == 0, 1, 2)

    # The rows of x are the points of the circle at equal angles.
    t = angle * SPARSE * jnp.arange(AROUND // SPARSE)
    _, v, a = moving_curves.moving(
        lambda t: layers(radius * jnp.stack([jnp.cos(t), jnp.sin(t)], axis=1)), t
    )
    speed, bend = moving_curves.speed(v), moving_curves.curvature(v, a)
    around = 2 * jnp.pi
    return {
        "length": around * jnp.mean(speed, axis=1),
        "curvature": jnp.mean(bend, axis=1),
        "tangent_length": around * jnp.mean(bend * speed, axis=1),
        "polygon": jnp.sum(sides, axis=1),
        "harmonics": once * spectrum[:, :FREQUENCIES],
        "shown": h[jnp.array(SHOWN) - 1],
    }


def circles(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """A circle in the layers of three networks: what it looks like, how long and how bent it is.

    Args:
      key: a random key.
      scale: sets width and depth.

    Returns:
      ``width``; for each network S: ``S_length``, ``S_curvature``, ``S_tangent_length`` and
      ``S_polygon``, the length of the polygon through 500 points, ``[20, layers]``, per root of the
      width where they are lengths; ``S_harmonics``, ``[20, layers, frequencies]``; ``S_shares``,
      the shares of the first five principal components in layers 5 and 10, ``[20, 2, 5]``; each
      also with ``_theory``; ``_drift`` for the first three, n times the relative distance of the
      mean from that limit; and ``S_plane``, one network's curve in its first two components,
      ``[2, 500, 2]``.

    Source: Poole et al. 2016, figures 3 and 4C to 4E; chapter 3, equations (3.15) to (3.18) and
    (3.21).
    """
    width, depth = {"chapter": (200, 12), "paper": (1000, 40)}[scale]
    found = {"width": np.array(width)}
    t = 2 * np.pi / AROUND * np.arange(AROUND)
    for (std, q), one in each(zip(WEIGHT_STDS, fixed_points().var, strict=True), key, "circles"):
        keys, x = jax.random.split(one, REPLICATES), circle(t, std, q)
        drawn = on_networks(_geometry, (2, *[width] * depth, 1), std**2, x, keys)
        shown = drawn.pop("shown")
        shown -= shown.mean(axis=2, keepdims=True)
        # Only the plane of one network is kept: the signs of components are not defined.
        left, _, _ = np.linalg.svd(shown[0], full_matrices=False)
        values = np.linalg.svd(shown, compute_uv=False)
        shares = values**2 / np.sum(values**2, axis=-1, keepdims=True)
        drawn |= {"shares": shares[..., :COMPONENTS]}
        found |= {f"{std}_{name}": value for name, value in drawn.items()}
        found[f"{std}_plane"] = left[..., :2] * values[0, :, None, :2] / width**0.5
        found |= {f"{std}_{name}_theory": value for name, value in _expected(std, q, depth).items()}
        drift = vars(curve_fluctuations.circle(TANH, q, depth, std**2, q - BIAS_VAR))
        found |= {f"{std}_{name}_drift": np.asarray(value) for name, value in drift.items()}
    return found


def _expected(std, q, depth):
    curve = curves.circle(TANH, np.full(depth, q), std**2, q - BIAS_VAR)
    harmonics = np.asarray(curves.harmonics(TANH, q, depth, std**2, q - BIAS_VAR))
    layer = angle_map.at_fixed_point(TANH, q, std**2)
    near = layer.layers(((q - BIAS_VAR) * np.cos(2 * np.pi / AROUND) + BIAS_VAR) / q, depth)
    # A frequency has two components of equal variance; the constant one is not counted.
    moving = harmonics[np.array(SHOWN) - 1, 1:]
    components = -np.sort(-np.repeat(moving / 2, 2, axis=1), axis=1)
    return {
        "length": np.asarray(curve.length),
        "curvature": np.asarray(curve.curvature),
        "tangent_length": np.asarray(curve.tangent_length),
        "polygon": AROUND * np.sqrt(2 * q * (1 - near)),
        "harmonics": harmonics[:, :FREQUENCIES],
        "shares": (components / components.sum(axis=1, keepdims=True))[:, :COMPONENTS],
    }


def draw_planes(data: dict[str, np.ndarray]) -> Canvas:
    """The circle in the plane of its first two components, and the shares of the first five."""
    figure, axes = plt.subplots(3, 3, figsize=(6.4, 6.6), height_ratios=[1, 1, 0.7])
    t = np.linspace(0, 1, AROUND)
    for column, std in enumerate(WEIGHT_STDS):
        for row, layer in enumerate(SHOWN):
            axis, points = axes[row, column], data[f"{std}_plane"][row]
            axis.plot(*np.vstack([points, points[:1]]).T, color=style.GUIDE, lw=0.5)
            axis.scatter(*points.T, c=t, cmap="twilight", s=4, rasterized=True, zorder=2)
            axis.set_aspect("equal", adjustable="datalim")
            axis.set(xticks=[], yticks=[])
            if column == 0:
                axis.set_ylabel(f"layer {layer}")
        axes[0, column].set_title(f"σ_w = {std}")
        axis, places = axes[2, column], np.arange(1, COMPONENTS + 1)
        looks = zip(range(len(SHOWN)), SHOWN, "os", style.KINDS[:2], strict=True)
        for row, layer, marker, color in looks:
            axis.plot(places, data[f"{std}_shares_theory"][row], color=color, lw=1)
            shares = data[f"{std}_shares"][:, row]
            draw_points(axis, places, shares, f"layer {layer}", marker, color)
        axis.set(xticks=places, ylim=(0, 0.66), xlabel="component")
    axes[2, 0].set_ylabel("share of variance")
    axes[2, 2].legend()
    return figure


def draw_lengths_and_bends(data: dict[str, np.ndarray]) -> Canvas:
    """Curvature, length and the length of the tangent's path, by layer."""
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 3.6))
    layers = np.arange(1, data[f"{WEIGHT_STDS[0]}_length"].shape[1] + 1)
    names = {"curvature": "curvature κ", "length": "length", "tangent_length": "tangent's length"}
    for axis, (what, name) in zip(axes, names.items(), strict=True):
        for std, color, marker in looks():
            axis.plot(layers, data[f"{std}_{what}_theory"], color=style.THEORY, lw=1.2)
            draw_points(axis, layers, data[f"{std}_{what}"], f"σ_w = {std}", marker, color)
        axis.set(yscale="log", xlabel="layer l", title=name)
    axes[0].set_yticks([0.3, 0.5, 1, 2, 4], ["0.3", "0.5", "1", "2", "4"])
    axes[0].yaxis.set_minor_locator(NullLocator())
    draw_networks(axes[0])
    return figure


FIGURES = (
    Figure(
        "poole2016-fig3",
        "poole2016",
        "figure 3",
        "03-chaos",
        "A circle in two layers of an ordered and of two chaotic networks",
        circles,
        draw_planes,
        {"chapter": 8, "paper": 600},
    ),
    Figure(
        "poole2016-fig4cde",
        "poole2016",
        "figure 4C to 4E",
        "03-chaos",
        "Curvature and lengths of a circle by layer",
        circles,
        draw_lengths_and_bends,
        {"chapter": 8, "paper": 600},
        data_of="poole2016-fig3",
    ),
)
