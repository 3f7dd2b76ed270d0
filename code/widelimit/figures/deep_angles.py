"""What depth does to the angle between two inputs: the kernel of a deep network as a function."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit.figures import digit_kernels, lee2018, style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import draw_points, each
from widelimit.figures.tanh_networks import many_networks
from widelimit.lab import passes

#: Numbers of hidden layers that are shown, and measured.
DEPTHS, MEASURED = (1, 3, 10, 30, 100), (1, 3, 10, 30)
#: Angles of the measurements, in degrees.
AT = np.array([10, 30, 60, 90, 120, 150, 180])
#: What the three networks are called.
NAMES = ("order", "edge", "chaos")


def covariances(made: tuple) -> jax.Array:
    """The covariance of a layer's units, between the first input and all of them.

    Args:
      made: a network and its inputs.

    Returns:
      Means over units, by layer, ``[layers, inputs]``.
    """
    network, x = made
    hidden = network.preactivations(x)[:-1]
    return passes.by_layer(lambda h: jnp.mean(h * h[:1], axis=1), hidden)


def angles(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Correlations of deep networks' outputs against the angle between two inputs.

    Args:
      key: a random key.
      scale: sets the width.

    Returns:
      ``curves``: ``[len(DEPTHS), 3, angles]``; ``order``, ``edge``, ``chaos``:
      measured, ``[20, len(MEASURED), len(AT)]``.
    """
    width = {"chapter": 200, "paper": 2000}[scale]
    weight_vars, bias_var = lee2018.three_networks(), lee2018.BIAS_VARS[0]
    curves = lee2018.layers().correlation[list(DEPTHS), -3:, digit_kernels.NODES :]
    found = {"curves": curves}
    turned = np.radians(np.concatenate([[0], AT]))
    x = 2**0.5 * np.stack([np.cos(turned), np.sin(turned)], axis=1)
    # The output with L hidden layers is a unit of layer L + 1.
    widths, layers = (2, *[width] * (max(MEASURED) + 1), 1), list(MEASURED)
    for (name, weight_var), one in each(zip(NAMES, weight_vars, strict=True), key, "angles"):
        cov = many_networks(covariances, widths, weight_var, x, one, 1, bias_var)[:, layers]
        # Every angle has its input on the same circle; the first one gives the length.
        found[name] = cov[..., 1:] / cov[..., :1]
    return found


def draw_angles(data: dict[str, np.ndarray]) -> Canvas:
    """Correlations against the angle, one panel for each phase."""
    figure, axes = plt.subplots(1, 3, figsize=(6.6, 3.6), sharey=True)
    colors = style.width_colors(len(DEPTHS))
    for column, (axis, name) in enumerate(zip(axes, NAMES, strict=True)):
        for row, (depth, color) in enumerate(zip(DEPTHS, colors, strict=True)):
            curve = data["curves"][row, column]
            axis.plot(lee2018.ANGLES, curve, color=color, label=f"L = {depth}")
            if depth in MEASURED:
                draw_points(axis, AT, data[name][:, MEASURED.index(depth)], color=color)
        axis.set(title=name, xlabel="angle of the inputs", xticks=[0, 90, 180])
        axis.set_xticklabels(["0°", "90°", "180°"])
    axes[0].set_ylabel("correlation of outputs")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=5, columnspacing=1)
    return figure


FIGURES = (
    Figure(
        "lee2018-angles",
        "lee2018",
        "ours",
        "06-nngp",
        "A deep kernel as a function of one angle, in order, on the edge, and in chaos",
        angles,
        draw_angles,
        {"chapter": 8, "paper": 200},
    ),
)
