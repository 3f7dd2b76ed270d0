"""Poole et al. 2016, figure 4G: how a decision boundary bends, seen from each layer."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import NullLocator

from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, in_groups
from widelimit.figures.tanh_networks import TANH, circle, fixed_points, on_networks
from widelimit.lab import boundaries
from widelimit.progress import clock
from widelimit.theory import susceptibility

#: The network of the paper: σ_w = 4, the last of the three.
WEIGHT_STD, DEPTH = 4.0, 10
#: The largest and the smallest principal curvatures that are kept.
EXTREMES = 4
#: Where on the circle the first crossing is looked for.
ANGLES = 64


def _bends(made):
    """Second fundamental forms where the output crosses 0 on the circle of the inputs' radius."""
    network, x = made
    radius = jnp.sqrt(jnp.sum(x[0] ** 2))

    def at(angle):
        return radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)])

    grid = jnp.linspace(0, 2 * jnp.pi, ANGLES, dtype=jnp.float32)
    angle, found = boundaries.crossing(lambda angle: network(at(angle)[None])[0, 0], grid)
    return boundaries.second_form(*boundaries.derivatives(network, at(angle))), found


def boundary(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Principal curvatures of the surface f = 0 as a surface in each layer.

    Args:
      key: a random key.
      scale: sets the number of networks a replicate.

    Returns:
      ``layers``; ``total``, the sum of the squares of all curvatures, ``[20, layers]``;
      ``total_theory``; ``extremes``: the four smallest and the four largest curvatures,
      ``[20, layers, 8]``; ``radius``: √(n·q*), the length of a signal; ``width``.

    Raises:
      ValueError: a network whose output does not change its sign; another key helps.

    Source: Poole et al. 2016, figure 4G; chapter 3, equation (3.20).
    """
    width, count = {"chapter": (200, 2), "paper": (200, 40)}[scale]
    q, w = float(fixed_points().var[-1]), WEIGHT_STD**2
    x = circle(np.zeros(1), WEIGHT_STD, q)
    keys = jax.random.split(key, REPLICATES * count)
    with clock("boundaries", {"chapter": 4, "paper": 60}[scale]):
        forms, crossed = on_networks(_bends, (2, *[width] * DEPTH, 1), w, x, keys)
        if not crossed.all():
            raise ValueError("an output has one sign on the whole circle; try another key")
        bends = np.linalg.eigvalsh(forms)
    extremes = np.concatenate([bends[..., :EXTREMES], bends[..., -EXTREMES:]], axis=-1)
    theory = susceptibility.boundary_curvature(TANH, np.full(DEPTH, q), w)
    return {
        "layers": np.arange(1, DEPTH + 1),
        "total": in_groups(np.sum(bends**2, axis=-1)).mean(axis=1),
        "total_theory": np.asarray(theory),
        "extremes": in_groups(extremes).mean(axis=1),
        "radius": np.array(np.sqrt(width * q)),
        "width": np.array(width),
    }


def draw_boundary(data: dict[str, np.ndarray]) -> Canvas:
    """The root of the sum of squares with its prediction, and the extreme curvatures."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.6))
    layers, radius = data["layers"], data["radius"]
    axes[0].plot(layers, radius * np.sqrt(data["total_theory"]), color=style.THEORY)
    draw_points(axes[0], layers, radius * np.sqrt(data["total"]))
    axes[0].set(yscale="log", title="root of the sum of squares", ylabel="curvature × radius")
    for index in range(2 * EXTREMES):
        color = style.KINDS[0] if index < EXTREMES else style.KINDS[1]
        marker = "v" if index < EXTREMES else "^"
        draw_points(axes[1], layers, radius * data["extremes"][..., index], None, marker, color)
    axes[1].set_yscale("symlog", linthresh=10, linscale=0.3)
    ticks = [-1000, -100, -10, 10, 100, 1000]
    axes[1].set_yticks(ticks, [f"{tick:,}".replace("-", "−") for tick in ticks])
    axes[1].yaxis.set_minor_locator(NullLocator())
    axes[1].set_title("four smallest, four largest")
    for axis in axes:
        axis.set(xlabel="layer l", xticks=layers[1::2])
    return figure


FIGURES = (
    Figure(
        "poole2016-fig4g",
        "poole2016",
        "figure 4G",
        "03-chaos",
        "Curvature of a decision boundary, seen from each layer",
        boundary,
        draw_boundary,
        {"chapter": 4, "paper": 60},
    ),
)
