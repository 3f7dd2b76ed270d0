"""The variance count, measured: mean squares by layer, halving widths, and the spread of lengths.

These are figures of ours, of what Glorot & Bengio 2010 and He et al. 2015 derive, and of the
correction at finite width, whose law for Jacobians is in Hanin 2018.
"""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import NullLocator

from widelimit import activations
from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, each, in_groups
from widelimit.lab import networks, passes
from widelimit.parametrizations import FAN_AVG, FAN_OUT, STANDARD
from widelimit.theory import initialization

#: The scalings of figure 2.3: activation, law of the weights, σ_w².
SCALINGS = {
    "he": ("relu", "gaussian", 2.0),
    "lecun": ("relu", "gaussian", 1.0),
    "uniform_linear": ("linear", "uniform", 1 / 3),
    "uniform": ("relu", "uniform", 1 / 3),
}


@cache
def _maker(widths, phi, law="gaussian", parametrization=STANDARD):
    """From a key and σ_w² to a network; one function for equal arguments, so it compiles once."""
    return lambda key, weight_var: networks.FullyConnected(
        key,
        widths,
        activations.get(phi),
        weight_var=weight_var,
        law=law,
        parametrization=parametrization,
    )


def _passes(network):
    """Mean squares by layer: of h^l, of δ^l where the loss is the output, of ∂/∂W^l."""
    batch = jnp.ones((1, network.widths[0]), jnp.float32)
    h = network.preactivations(batch)
    delta = passes.backpropagated(network, batch, jnp.sum)
    forward, backward = passes.mean_squares(h), passes.mean_squares(delta)
    read = passes.mean_squares([network.activation(one) for one in h])
    read = jnp.concatenate([jnp.ones(1, jnp.float32), read[:-1]])
    return {"forward": forward, "backward": backward, "weights": backward * read}


def moments(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Second moments by layer, forward, backward and of the weights' gradients, four scalings.

    Args:
      key: a random key.
      scale: ``"chapter"`` or ``"paper"``; sets the number of networks a replicate.

    Returns:
      ``layers``: 1, …, L + 1; ``networks``: averaged in a replicate; for each scaling S and each of
      forward, backward, weights: ``S_forward``, …, ``[20, L + 1]``, and ``S_forward_theory``, …,
      ``[L + 1]``.

    Source: chapter 2, equations (2.5), (2.8) and (2.9).
    """
    depth, width, count = 20, 64, {"chapter": 25, "paper": 5000}[scale]
    widths = (*[width] * (depth + 1), 1)
    found = {"layers": np.arange(1, depth + 2), "networks": np.array(count)}
    for (name, (phi, law, weight_var)), one in each(SCALINGS.items(), key, "second moments"):
        drawn = _measured(_maker(widths, phi, law), _passes, weight_var, one, count)
        found |= {f"{name}_{what}": value for what, value in drawn.items()}
        arguments = (activations.get(phi), STANDARD, widths, weight_var)
        forward = initialization.forward_moments(*arguments)
        backward = initialization.backward_moments(*arguments)
        read = np.r_[1.0, initialization.gain(arguments[0]) * forward[:-1]]
        found |= {
            f"{name}_forward_theory": forward,
            f"{name}_backward_theory": backward,
            f"{name}_weights_theory": backward * read,
        }
    return found


def draw_moments(data: dict[str, np.ndarray]) -> Canvas:
    """Forward and backward moments of :func:`moments` by layer, and the weights' gradients."""
    figure, axes = plt.subplots(3, 1, figsize=(6.4, 8.4), sharex=True)
    labels = {
        "he": "ReLU, variance 2/n",
        "lecun": "ReLU, variance 1/n",
        "uniform_linear": "linear, U(±1/√n)",
        "uniform": "ReLU, U(±1/√n)",
    }
    names = {"forward": "signal, E h²", "backward": "gradient, E δ²", "weights": "E (∂f/∂W)²"}
    layers = data["layers"]
    for axis, (what, name) in zip(axes, names.items(), strict=True):
        shown = slice(0, -1)  # the hidden layers
        looks = zip(labels.items(), "os^D", style.KINDS[:4], strict=True)
        for (scaling, label), marker, color in looks:
            theory, found = data[f"{scaling}_{what}_theory"], data[f"{scaling}_{what}"]
            axis.plot(layers[shown], theory[shown], color=style.THEORY, lw=1.2)
            draw_points(axis, layers[shown], found[:, shown], label, marker, color)
        axis.set(ylabel=name, yscale="log")
    axes[-1].set(xlabel="layer l", xticks=[1, 5, 10, 15, 20])
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _measured(make, measure, weight_var, key, count):
    """Means over ``count`` networks a replicate, trees of ``[20, ...]``."""
    keys = jax.random.split(key, REPLICATES * count)
    variances = jnp.full(len(keys), weight_var, jnp.float32)
    drawn = passes.measured(make, measure, keys, variances, together=min(count, 100))
    return jax.tree.map(lambda one: np.asarray(in_groups(one), float).mean(axis=1), drawn)


#: The widths of figure 2.4, halved from layer to layer.
TAPERED = (256, 128, 64, 32, 16, 1)


def tapered(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Second moments in a linear network whose widths halve, for three ways of counting a fan.

    Args:
      key: a random key.
      scale: sets the number of networks a replicate.

    Returns:
      ``layers``: 1, …, 4; for each of fan_in, fan_out, fan_avg: ``F_forward`` and ``F_backward``,
      ``[20, 4]``, and the same names with ``_theory``, ``[4]``.

    Source: chapter 2, equations (2.5) and (2.8).
    """
    count = {"chapter": 60, "paper": 1000}[scale]
    hidden = slice(0, len(TAPERED) - 2)
    found = {"layers": np.arange(1, len(TAPERED) - 1)}
    fans = {"fan_in": STANDARD, "fan_out": FAN_OUT, "fan_avg": FAN_AVG}
    for (name, parametrization), one in each(fans.items(), key, "halving widths"):
        make = _maker(TAPERED, "linear", parametrization=parametrization)
        drawn = _measured(make, _passes, 1.0, one, count)
        arguments = (activations.get("linear"), parametrization, TAPERED, 1.0)
        predicted = {
            "forward": initialization.forward_moments(*arguments),
            "backward": initialization.backward_moments(*arguments),
        }
        for what, theory in predicted.items():
            # Gradients in units of those at the last hidden layer.
            unit = theory[len(TAPERED) - 3] if what == "backward" else 1.0
            found[f"{name}_{what}"] = drawn[what][:, hidden] / unit
            found[f"{name}_{what}_theory"] = theory[hidden] / unit
    return found


def draw_tapered(data: dict[str, np.ndarray]) -> Canvas:
    """The two directions of :func:`tapered` side by side."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.6), sharex=True)
    labels = {"fan_in": "1/fan_in", "fan_avg": "1/fan_avg", "fan_out": "1/fan_out"}
    for axis, what in zip(axes, ("forward", "backward"), strict=True):
        for (fan, label), marker, color in zip(labels.items(), "os^", style.KINDS[:3], strict=True):
            axis.plot(data["layers"], data[f"{fan}_{what}_theory"], color=style.THEORY, lw=1.2)
            draw_points(axis, data["layers"], data[f"{fan}_{what}"], label, marker, color)
        axis.set(yscale="log", xlabel="layer l", xticks=data["layers"])
    axes[0].set_title("signal, E h²")
    axes[1].set_title("gradient, E δ²")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


#: The widths of figure 2.5.
NARROW = (8, 32)


def _squared_lengths(network):
    """Squared lengths of h^l by layer, and their squares, for an input of ones."""
    h = network.preactivations(jnp.ones((1, network.widths[0]), jnp.float32))
    squares = passes.by_layer(lambda one: jnp.sum(one**2), h)[:-1]
    return squares, squares**2


def lengths(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """How E|h^l|⁴/(E|h^l|²)² grows from layer to layer in narrow ReLU networks with He's weights.

    Args:
      key: a random key.
      scale: sets the number of networks a replicate.

    Returns:
      ``layers``: 1, …, 4; for each width N of ``NARROW``: ``ratio_N``, ``[20, 4]``,
      ``ratio_N_theory``, ``[4]``, and ``networks_N``: averaged in a replicate.

    Source: chapter 2, equation (2.13).
    """
    depth, found = 4, {"layers": np.arange(1, 5)}
    for width, one in each(NARROW, key, "lengths"):
        count = {"chapter": 64_000, "paper": 1_920_000}[scale] // width
        make = _maker((*[width] * (depth + 1), 1), "relu")
        second, fourth = _measured(make, _squared_lengths, 2.0, one, count)
        found[f"networks_{width}"] = np.array(count)
        found[f"ratio_{width}"] = fourth / second**2
        growth = initialization.length_growth(activations.get("relu"), width)
        found[f"ratio_{width}_theory"] = (1 + 2 / width) * growth ** np.arange(depth)
    return found


def draw_lengths(data: dict[str, np.ndarray]) -> Canvas:
    """The ratios of :func:`lengths` by layer, one panel a width; linear units are the rival."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.6), sharey=True)
    layers = data["layers"]
    for axis, width in zip(axes, NARROW, strict=True):
        axis.plot(layers, data[f"ratio_{width}_theory"], color=style.THEORY, label="1 + 5/n")
        rival = (1 + 2 / width) ** layers
        axis.plot(layers, rival, "--", color=style.RIVAL, label="1 + 2/n")
        draw_points(axis, layers, data[f"ratio_{width}"])
        axis.set(yscale="log", xlabel="layer l", title=f"n = {width}", xticks=layers)
        axis.set_yticks([1, 2, 3, 4, 5], ["1", "2", "3", "4", "5"])
        axis.yaxis.set_minor_locator(NullLocator())
    axes[0].set_ylabel("E|h|⁴ / (E|h|²)²")
    axes[0].legend()
    return figure


def _figure(name, paper, title, compute, draw, seconds):
    return Figure(name, paper, "ours", "02-initialization", title, compute, draw, seconds)


FIGURES = (
    _figure(
        "he2015-moments",
        "he2015",
        "Second moments of signals, gradients and weight gradients by layer",
        moments,
        draw_moments,
        {"chapter": 4, "paper": 380},
    ),
    _figure(
        "glorot2010-tapered",
        "glorot2010",
        "Halving widths: one condition forward, another backward",
        tapered,
        draw_tapered,
        {"chapter": 5, "paper": 30},
    ),
    _figure(
        "hanin2018-lengths",
        "hanin2018",
        "A finite-width correction to the power of the depth: 1 + 5/n a layer",
        lengths,
        draw_lengths,
        {"chapter": 4, "paper": 80},
    ),
)
