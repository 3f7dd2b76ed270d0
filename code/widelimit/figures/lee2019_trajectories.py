"""Lee et al. 2019: outputs, weights and losses of one network and of its linearization."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit.architectures import fully_connected
from widelimit.figures import style
from widelimit.figures.lee2019 import ACTIVATIONS, images
from widelimit.figures.registry import Figure
from widelimit.figures.tangent_networks import maker
from widelimit.lab import descent, passes, tangent
from widelimit.lab.linearized import Linearized
from widelimit.theory import dynamics, kernels

#: The activation, σ_w² and σ_b².
RELU, WEIGHT_VAR, BIAS_VAR = ACTIVATIONS["relu"]
#: Number of hidden layers.
DEPTH = 5
#: Rate, in units of 1/λ₁ of the limit, and steps.
RATE, STEPS = 0.7, 250
#: How many test outputs, and how many hidden weights, are followed.
FOLLOWED = 4


def trajectories(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """One network and its linearization, trained side by side.

    Args:
      key: a random key.
      scale: sets the width and the number of images.

    Returns:
      ``width``; ``network``, ``linearized``: outputs on training and test images before each step,
      ``[steps, images]``; ``own``, ``limit``: those of the linear models with the network's own
      kernel and with the limit's; ``weights``, ``linearized_weights``: how far some weights have
      come, those that move most in the linearization in the first row of the middle hidden layer,
      ``[steps, 4]``; ``weights_apart``: distance of that row from the linearization's at the end,
      over how far this has moved it; ``targets``, ``[images]``.
    """
    width, examples = {"chapter": (320, 32), "paper": (2048, 256)}[scale]
    x, y = images(2 * examples)
    theta = kernels.ntk(fully_connected(DEPTH, RELU, WEIGHT_VAR, BIAS_VAR), x)
    rate = RATE / float(np.linalg.eigvalsh(theta[:examples, :examples])[-1])

    def measure(network):
        def follow(module, middle):
            """Train, and watch outputs and a row of weights; the last axis has both."""
            watch = lambda one: jnp.concatenate(  # noqa: E731
                [one(jnp.asarray(x, jnp.float32))[:, 0], middle(one)[0, :]]
            )
            train, targets = x[:examples], y[:examples, None]
            seen = descent.descend(module, train, targets, rate, STEPS, watch)[1]
            return seen[:, : len(x)], seen[:, len(x) :]

        middle = lambda one: one.layers[1].kernel[...][DEPTH // 2 - 1]  # noqa: E731
        outputs, weights = follow(network, middle)
        linear, moved = follow(Linearized(network), lambda one: middle(one.displacement))
        own = tangent.by_layers(network, x, x)[:, :, 0, 0]
        return outputs, weights - weights[0], linear, moved, own

    make = maker((x.shape[1], *[width] * DEPTH, 1), RELU, BIAS_VAR, WEIGHT_VAR)
    found = [np.asarray(one[0], float) for one in passes.measured(make, measure, key[None])]
    outputs, weights, linear, moved, own = found
    most = np.argsort(-np.abs(moved[-1]))[:FOLLOWED]
    models = {
        name: np.asarray(
            dynamics.trajectory(
                jnp.asarray(kernel)[:, :examples],
                jnp.asarray(outputs[0]),
                jnp.asarray(y[:examples]),
                rate,
                jnp.arange(STEPS),
            )
        )
        for name, kernel in (("own", own), ("limit", theta))
    }
    apart = np.linalg.norm((weights - moved)[-1]) / np.linalg.norm(moved[-1])
    return {
        "width": np.array(width),
        "network": outputs,
        "linearized": linear,
        **models,
        "weights": weights[:, most],
        "linearized_weights": moved[:, most],
        "weights_apart": np.array(apart),
        "targets": y,
    }


def draw_trajectories(data: dict[str, np.ndarray]) -> Canvas:
    """Test outputs, weights, losses, and the distance between the models, against the steps."""
    figure, axes = plt.subplots(2, 2, figsize=(6.8, 5.6), sharex=True)
    count = data["network"].shape[1] // 2
    steps = np.arange(STEPS)
    shown = np.unique(np.geomspace(1, STEPS, 14).astype(int)) - 1
    points = {"marker": "o", "ms": 4, "ls": "none"}
    pairs = (
        (axes[0, 0], data["own"][:, count : count + FOLLOWED], data["network"][:, count:]),
        (axes[0, 1], data["linearized_weights"], data["weights"]),
    )
    for axis, lines, measured in pairs:
        for column in range(FOLLOWED):
            color = style.KINDS[column]
            axis.plot(steps + 1, lines[:, column], color=color, lw=1.2)
            axis.plot(shown + 1, measured[shown, column], color=color, **points)
    axes[0, 0].set(title="outputs at test images")
    axes[0, 1].set(title="change of hidden weights")
    for part, color, where in (
        (slice(count), style.KINDS[0], "training"),
        (slice(count, None), style.KINDS[1], "test"),
    ):
        loss = lambda name, part=part: (  # noqa: E731
            np.mean((data[name] - data["targets"])[:, part] ** 2, axis=1) / 2
        )
        axes[1, 0].plot(steps + 1, loss("own"), color=color, lw=1.2)
        axes[1, 0].plot(shown + 1, loss("network")[shown], color=color, label=where, **points)
    axes[1, 0].set(title="loss over number of images", yscale="log")
    axes[1, 0].legend()
    for name, color, label in (
        ("limit", style.KINDS[0], "limit's kernel"),
        ("own", style.KINDS[1], "own kernel"),
    ):
        apart = (data["network"] - data[name])[:, count:]
        rms = np.sqrt(np.mean(apart**2, axis=1))
        axes[1, 1].plot(steps[1:] + 1, rms[1:], color=color, label=label)
    axes[1, 1].set(title="distance at test images", yscale="log")
    axes[1, 1].legend()
    for axis in axes.flat:
        axis.set_xscale("log")
    for axis in axes[1]:
        axis.set_xlabel("steps + 1")
    return figure


FIGURES = (
    Figure(
        "lee2019-fig3",
        "lee2019",
        "Figure 3",
        "08-linear",
        "One network and its linearization: outputs, weights, losses, and their distance",
        trajectories,
        draw_trajectories,
        {"chapter": 8, "paper": 600},
    ),
)
