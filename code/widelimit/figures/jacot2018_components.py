"""Jacot, Gabriel & Hongler 2018: convergence along a principal component of the tangent kernel."""

from __future__ import annotations

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit.architectures import fully_connected
from widelimit.figures import style
from widelimit.figures.jacot2018 import (
    BIAS_VAR,
    DEPTH,
    RELU,
    WEIGHT_VAR,
    architecture,
    maker,
)
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, each
from widelimit.lab import data, descent, passes
from widelimit.theory import kernels

#: How much of the second component is missing at the start, for images of mean square 1.
MISSING = 0.5
#: How long networks are trained, in units of 1/λ₂, and in steps of which rate, in units of 1/λ₁.
TIME, RATE = 2.1, 0.7


@cache
def images(count: int) -> np.ndarray:
    """Digits, not centred, in units in which the mean square of a pixel is 1.

    Args:
      count: how many, the same ones in every run.

    Returns:
      Shape ``[count, 64]``.
    """
    x = data.load("digits").x
    x = np.asarray(x[np.random.default_rng(2018).permutation(len(x))[:count]], float)
    return x / np.sqrt(np.mean(x**2))


def components(count: int, bias_var: float) -> tuple[np.ndarray, np.ndarray]:
    """Principal components of the limit's tangent kernel on digits.

    Args:
      count: number of images.
      bias_var: σ_b² = β².

    Returns:
      Eigenvalues, falling, and eigenvectors in columns.
    """
    theta = kernels.ntk(fully_connected(DEPTH, RELU, WEIGHT_VAR, bias_var), images(count))
    rates, modes = np.linalg.eigh(np.asarray(theta))
    return rates[::-1], modes[:, ::-1]


def convergence(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """What networks lack along the second component, and what they make up beside it.

    Args:
      key: a random key.
      scale: sets the number of images and the widths.

    Returns:
      ``widths``; ``count``: of images; ``time``: λ₂t before each step; ``along``, ``across``: root
      mean squares over images, one network each, ``[20, widths, steps]``; ``limit``: along, in the
      limit, by descent and not by flow, ``[steps]``; ``readout_rate``: the rate at which the
      readout alone learns the second component of its own kernel K, over λ₂.
    """
    count, widths = {
        "chapter": (128, (100, 640)),
        "paper": (512, (100, 1000, 10_000)),
    }[scale]
    x = images(count)
    rates, modes = components(count, BIAS_VAR)
    second = modes[:, 1]
    readout = np.linalg.eigvalsh(np.asarray(kernels.nngp(architecture(), x)))[-2]
    rate = RATE / rates[0]
    steps = math.ceil(TIME / (rate * rates[1]))

    def measure(network):
        # The target is the network's own start and half of the component.
        y = network(x) + MISSING * count**0.5 * second[:, None].astype(np.float32)
        _, lacking = descent.descend(network, x, y, rate, steps)
        found = lacking[:, :, 0] / count**0.5
        along = found @ second.astype(np.float32)
        across = jnp.linalg.norm(found - along[:, None] * second.astype(np.float32), axis=1)
        return jnp.stack([jnp.abs(along), across])

    found = []
    for width, one in each(widths, key, "principal components"):
        keys = jax.random.split(one, REPLICATES)
        make = maker(int(width), x.shape[1])
        found.append(np.asarray(passes.measured(make, measure, keys), float))
    along, across = np.stack(found, axis=1).transpose(2, 0, 1, 3)
    return {
        "widths": np.array(widths),
        "count": np.array(count),
        "time": rate * rates[1] * np.arange(steps),
        "along": along,
        "across": across,
        "limit": MISSING * (1 - rate * rates[1]) ** np.arange(steps),
        "readout_rate": np.array(readout / rates[1]),
    }


def draw_convergence(data: dict[str, np.ndarray]) -> Canvas:
    """Two networks of each width, along and across, and the limit."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.8), sharey=True)
    colors = style.width_colors(len(data["widths"]))
    for column, (width, color) in enumerate(zip(data["widths"], colors, strict=True)):
        for axis, name in zip(axes, ("along", "across"), strict=True):
            lines = axis.plot(data["time"], data[name][:2, column].T, color=color, lw=1.2)
            lines[0].set_label(f"n = {width}")
    axes[0].plot(data["time"], data["limit"], color=style.THEORY, lw=2, label="n → ∞")
    axes[1].axhline(0, color=style.THEORY, lw=2)
    for axis, title in zip(axes, ("along the component", "across it"), strict=True):
        axis.set(title=title, xlabel="time λ₂t")
    axes[0].set_ylabel("what is lacking, root mean square")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


FIGURES = (
    Figure(
        "jacot2018-fig3",
        "jacot2018",
        "Figure 3",
        "07-ntk",
        "Convergence along a principal component of the tangent kernel on digits",
        convergence,
        draw_convergence,
        {"chapter": 15, "paper": 4000},
    ),
)
