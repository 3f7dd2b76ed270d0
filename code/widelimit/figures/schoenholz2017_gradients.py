"""Schoenholz et al. 2017: gradients vanish or explode by χ₁ a layer, at finite width by less."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import draw_points, each
from widelimit.figures.schoenholz2017 import BIAS_VAR
from widelimit.figures.tanh_networks import TANH, many_networks
from widelimit.lab import passes
from widelimit.theory import gradient_growth, phases

#: σ_w² of the networks, with the edge in the middle, and how many a replicate has of each: the
#: first ones measure the 1/n term.
NETWORKS = {1.0: 300, 1.5: 24, 1.761: 20, 3.0: 40, 4.0: 16}
#: Their σ_w².
WEIGHT_VARS = tuple(NETWORKS)
#: Number of hidden layers, and those over which growth is fitted: both ends leave a trace.
DEPTH, FITTED = 48, np.arange(9, 40)
#: Dimension of the input.
INPUTS = 10


def logarithms(made: tuple) -> jax.Array:
    """The logarithm of the mean square of δ^l, the derivative of the output in h^l.

    Args:
      made: a network, one input, and with dropout a key.

    Returns:
      One number for each hidden layer.
    """
    network, x, *masks = made
    gradients = passes.backpropagated(network, x, jnp.sum, *masks)
    return jnp.log(passes.mean_squares(gradients[:-1]))


def one_input(weight_var: float, q: float) -> np.ndarray:
    """An input that has length q in the first layer.

    Args:
      weight_var: σ_w².
      q: q¹.

    Returns:
      Shape ``[1, INPUTS]``.
    """
    return np.full((1, INPUTS), np.sqrt((q - BIAS_VAR) / weight_var))


def gradients(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Squared gradients by layer in random networks, and their growth.

    Args:
      key: a random key.
      scale: sets the width.

    Returns:
      ``width``; for each σ_w² W: ``W_logarithm``, of the mean squares, averaged over networks,
      ``[20, depth]``; ``W_growth``, the terms log χ₁, drift, spread and dependence, ``[4]``.

    Source: Schoenholz et al. 2017; chapter 4, equations (4.6), (4.8) and (4.9).
    """
    width = {"chapter": 50, "paper": 300}[scale]
    widths, found = (INPUTS, *[width] * DEPTH, 1), {"width": np.array(width)}
    point = phases.phase_diagram(TANH, np.array(WEIGHT_VARS), BIAS_VAR)
    for (weight_var, q), one in each(zip(WEIGHT_VARS, point.var, strict=True), key, "gradients"):
        x, count = one_input(weight_var, q), NETWORKS[weight_var]
        drawn = many_networks(logarithms, widths, weight_var, x, one, count, BIAS_VAR)
        growth = gradient_growth.at_fixed_point(TANH, q, weight_var, BIAS_VAR)
        terms = growth.limit, growth.drift, growth.spread, growth.dependence
        found[f"{weight_var}_logarithm"] = drawn
        found[f"{weight_var}_growth"] = np.array(terms)
    return found


def growth(logarithm: np.ndarray, fitted: np.ndarray = FITTED) -> np.ndarray:
    """The measured growth of the logarithm of a squared gradient, a layer downwards.

    Args:
      logarithm: by layer, ``[replicates, depth]``.
      fitted: the layers of the fit.

    Returns:
      Least-squares slopes, ``[replicates]``.
    """
    centred = fitted - fitted.mean()
    return -logarithm[:, fitted - 1] @ centred / (centred @ centred)


def predicted(data: dict[str, np.ndarray], weight_var: float) -> float:
    """The growth that is predicted at the width of the networks.

    Args:
      data: from :func:`gradients`.
      weight_var: one of ``WEIGHT_VARS``.

    Returns:
      In nats a layer.
    """
    terms = gradient_growth.GradientGrowth(*data[f"{weight_var}_growth"])
    return terms.at_width(int(data["width"]))


def draw_gradients(data: dict[str, np.ndarray]) -> Canvas:
    """Squared gradients by layer, over that of the last layer of the fit."""
    figure, axis = plt.subplots(figsize=(6.4, 4.4))
    layers, shown, top = np.arange(1, DEPTH + 1), np.arange(3, DEPTH + 1, 9), FITTED[-1]
    for weight_var, color, marker in zip(WEIGHT_VARS, style.KINDS, "os^Dv", strict=False):
        found = data[f"{weight_var}_logarithm"]
        found = (found - found[:, top - 1 : top]) / np.log(10)
        rate = predicted(data, weight_var) / np.log(10)
        limit = data[f"{weight_var}_growth"][0] / np.log(10)
        axis.plot(layers, rate * (top - layers), color=style.THEORY, lw=1.2)
        axis.plot(layers, limit * (top - layers), ":", color=style.GUIDE, lw=1.2)
        draw_points(axis, shown, found[:, shown - 1], f"σ_w² = {weight_var}", marker, color)
    axis.set(xlabel="layer l", ylabel="log₁₀ of the squared gradient")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


FIGURES = (
    Figure(
        "schoenholz2017-gradients",
        "schoenholz2017",
        "section 4",
        "04-propagation",
        "Squared gradients by layer, vanishing and exploding",
        gradients,
        draw_gradients,
        {"chapter": 9, "paper": 90},
    ),
)
