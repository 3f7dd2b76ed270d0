"""One hidden layer trained at rates around the critical one: linear models and networks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit import activations
from widelimit.architectures import fully_connected
from widelimit.figures import style
from widelimit.figures.lee2019 import ACTIVATIONS, EXAMPLES, LABELS, images
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, each
from widelimit.figures.tangent_networks import maker, on_circle
from widelimit.lab import descent, passes, tangent
from widelimit.lab.linearized import Linearized
from widelimit.theory import catapult, kernels

#: Rates, in units of the critical rate 2/λ₁ of the limit.
RATES = np.array([0.95, 1.05])
#: Steps of all trainings; between which of them the growth of linearizations is measured.
STEPS, BETWEEN = 150, (70, 100)
#: ηλ₁ before training of the networks whose loss is followed, and their widths.
CATAPULT, WIDTHS = 2.6, np.array([128, 512, 2048])
#: ηΘ̂ before training of networks that learn one example.
SHARPNESS = np.array([1.6, 1.9, 2.1, 2.3, 2.6, 3.0])
#: Their activations, with σ_w².
UNITS = {"linear": 1.0, "erf": 1.5, "relu": 2.0}


def _maker(name, width):
    activation, weight_var, bias_var = ACTIVATIONS[name]
    return maker((64, int(width), 1), activation, bias_var, weight_var)


def linear_models(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Linearized networks just below and just above the critical rate of the limit.

    Args:
      key: a random key.
      scale: sets the width.

    Returns:
      ``width``; ``growth``: logarithm of the factor by which f − y grows a step along the first
      eigenvector of the network's kernel, ``BETWEEN`` two steps, at ``RATES``, ``[20, 2]``;
      ``limit``: λ₁ and λ_P of the limit; ``linear``, ``network``: losses of one linearization and
      its network before each step, ``[2, steps]``.
    """
    width = {"chapter": 2048, "paper": 16_384}[scale]
    x, y = images(EXAMPLES)
    activation, weight_var, bias_var = ACTIVATIONS["relu"]
    theta = kernels.ntk(fully_connected(1, activation, weight_var, bias_var), x)
    limit = np.linalg.eigvalsh(theta)

    def measure(network):
        first = jnp.linalg.eigh(tangent.by_layers(network, x, x)[:, :, 0, 0])[1][:, -1]

        def lacking(model):
            run = lambda rate: descent.descend(model, x, y[:, None], rate, STEPS)[1]  # noqa: E731
            return jax.lax.map(run, jnp.float32(2 * RATES / limit[-1]))[..., 0]

        both = lacking(Linearized(network)), lacking(network)
        return jnp.abs(both[0] @ first), *(0.5 * jnp.sum(one**2, axis=2) for one in both)

    keys = jax.random.split(key, REPLICATES)
    found = passes.measured(_maker("relu", width), measure, keys, together=4)
    along, linear, network = (np.asarray(one, float) for one in found)
    start, end = BETWEEN
    return {
        "width": np.array(width),
        "growth": np.log(along[..., end] / along[..., start]) / (end - start),
        "limit": limit[[-1, 0]],
        "linear": linear[0],
        "network": network[0],
    }


def draw_linear_models(data: dict[str, np.ndarray]) -> Canvas:
    """Losses of one network and of its linearization, at both rates."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.8), sharey=True)
    steps = np.arange(STEPS)
    for row, axis in enumerate(axes):
        axis.semilogy(steps, data["linear"][row], color=style.THEORY, label="tangent")
        shown = slice(None, None, 5)
        axis.semilogy(
            steps[shown], data["network"][row, shown], "o", color=style.EXPERIMENT, label="network"
        )
        axis.set(title=f"rate {RATES[row]} · 2/λ₁ of the limit", xlabel="steps", ylim=(1e-6, 1e6))
    axes[0].set_ylabel("loss")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def catapults(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """What networks do at rates around the critical one.

    Args:
      key: a random key.
      scale: sets the width of the networks that learn one example.

    Returns:
      For ReLU networks that learn images from ηλ₁ = ``CATAPULT``: ``peak``: the largest loss,
      ``[20, widths]``; ``losses``: of one network of each width before each step, ``[widths,
      steps]``. ``width``; for networks without biases that learn one example: ``linear_after``,
      ``erf_after``, ``relu_after``: ηΘ̂ after training from ``SHARPNESS``, ``[20, rates]``;
      ``grid``, ``limit``: before and after, for linear units in the limit.
    """
    width = {"chapter": 16_384, "paper": 65_536}[scale]
    of_images, of_one = jax.random.split(key)
    x, y = images(EXAMPLES)

    def losses_of(network):
        first = jnp.linalg.eigvalsh(tangent.by_layers(network, x, x)[:, :, 0, 0])[-1]
        _, lacking = descent.descend(network, x, y[:, None], CATAPULT / first, STEPS)
        return 0.5 * jnp.sum(lacking**2, axis=(1, 2))

    losses = []
    for one_width, one in each(WIDTHS, of_images, "catapults"):
        keys = jax.random.split(one, REPLICATES)
        losses.append(passes.measured(_maker("relu", one_width), losses_of, keys, together=4))
    losses = np.stack(losses, axis=1).astype(float)
    example = 2**0.5 * on_circle(np.zeros(1))
    sharpness = lambda network: tangent.by_layers(network, example, example)[0, 0, 0, 0]  # noqa: E731

    def measure(network):
        first = sharpness(network)

        def train(start):
            trained, _ = descent.descend(network, example, np.zeros((1, 1)), start / first, STEPS)
            return start * sharpness(trained) / first

        return jax.lax.map(train, jnp.float32(SHARPNESS))

    found = {}
    for name, one in each(UNITS, of_one, "one example"):
        make = maker((2, width, 1), activations.get(name), 0.0, UNITS[name])
        after = passes.measured(make, measure, jax.random.split(one, REPLICATES), together=4)
        found[f"{name}_after"] = np.asarray(after, float)
    grid = np.concatenate([[SHARPNESS[0], 2], np.linspace(2.02, 2.8, 40)])
    return {
        "peak": np.max(losses, axis=2),
        "losses": losses[0],
        "width": np.array(width),
        **found,
        "grid": grid,
        "limit": np.array([catapult.linear_units(one) for one in grid]),
    }


def draw_catapults(data: dict[str, np.ndarray]) -> Canvas:
    """Losses from a rate that is too large, and what becomes of the kernel at all rates."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 4.4))
    shown = np.arange(30)
    colors = style.width_colors(len(WIDTHS))
    for loss, width, color in zip(data["losses"], WIDTHS, colors, strict=True):
        axes[0].semilogy(shown, loss[shown], color=color, label=f"n = {width}")
    # From the fifth step on, when what is not along the first eigenvector has been learned.
    rise = np.arange(13)
    line = data["losses"][-1, 5] * (CATAPULT - 1.0) ** (2 * (rise - 5))
    axes[0].semilogy(rise, line, color=style.GUIDE, lw=1, label="linear model")
    axes[0].set(title=f"16 digits, ηλ̂₁ = {CATAPULT} at the start", xlabel="steps", ylabel="loss")
    axes[1].plot(data["grid"], data["limit"], color=style.THEORY, lw=1.2, label="linear, n → ∞")
    near = np.array([2, 2.35])
    line = [catapult.relu_units(one) for one in near]
    axes[1].plot(near, line, ":", color=style.THEORY, lw=1.6, label="ReLU, near 2")
    ends = SHARPNESS[[0, -1]]
    axes[1].plot(ends, ends, "--", color=style.RIVAL, label="kernel fixed")
    for row, (name, label) in enumerate({"linear": "linear", **LABELS}.items()):
        # Squares stand a little to the right, so that neither hides the other.
        at = SHARPNESS + 0.03 * (name == "erf")
        after = data[f"{name}_after"]
        draw_points(axes[1], at, after, label, "^os"[row], style.KINDS[row])
    axes[1].set(title="one example", xlabel="ηΘ̂ at the start", ylabel="ηΘ̂ at the end")
    for axis in axes:
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return figure


FIGURES = (
    Figure(
        "lee2019-critical",
        "lee2019",
        "ours",
        "08-linear",
        "A linearized network and the network itself just below and above the critical rate",
        linear_models,
        draw_linear_models,
        {"chapter": 7, "paper": 120},
    ),
    Figure(
        "lewkowycz2020-catapult",
        "lewkowycz2020",
        "ours",
        "08-linear",
        "What networks do above the critical rate of their linearization",
        catapults,
        draw_catapults,
        {"chapter": 9, "paper": 60},
    ),
)
