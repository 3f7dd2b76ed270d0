"""One hidden layer trained at rates around the critical one: linear models and networks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit.architectures import fully_connected
from widelimit.figures import style
from widelimit.figures.lee2019 import ACTIVATIONS, EXAMPLES, LABELS, images
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, each
from widelimit.figures.tangent_networks import maker
from widelimit.lab import descent, passes, tangent
from widelimit.lab.linearized import Linearized
from widelimit.theory import kernels

#: Rates of the linearizations, in units of their own critical rate 2/λ₁.
RATES = np.array([0.95, 1.05])
#: Steps of all trainings; between which of them the growth of linearizations is measured.
STEPS, BETWEEN = 150, (50, 90)
#: ηλ₁ of networks at the start.
SHARPNESS = np.array([1.6, 1.9, 2.1, 2.3, 2.6, 3.0])
#: That of the networks whose loss is followed, and their widths.
CATAPULT, WIDTHS = 2.6, np.array([128, 512, 2048])


def _maker(name, width):
    activation, weight_var, bias_var = ACTIVATIONS[name]
    return maker((64, int(width), 1), activation, bias_var, weight_var)


def _top(network, x):
    """λ₁ of the tangent kernel."""
    return jnp.linalg.eigvalsh(tangent.by_layers(network, x, x)[:, :, 0, 0])[-1]


def linear_models(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Linearized networks just below and just above the critical rate.

    Args:
      key: a random key.
      scale: sets the width.

    Returns:
      ``width``; ``growth``: logarithm of the factor by which the norm of f − y grows a step,
      ``BETWEEN`` two of them, at ``RATES``, ``[20, 2]``; ``threshold``: the critical rate, as the
      growth at the higher of the rates tells it, ``[20]``; ``limit_critical``,
      ``limit_sufficient``: 2/λ₁ and 2/(λ₁ + λ_P) of the limit; ``linear``, ``network``: losses of
      one linearization and its network before each step, ``[2, steps]``.
    """
    width = {"chapter": 2048, "paper": 16_384}[scale]
    x, y = images(EXAMPLES)
    activation, weight_var, bias_var = ACTIVATIONS["relu"]
    theta = kernels.ntk(fully_connected(1, activation, weight_var, bias_var), x)
    limit = np.linalg.eigvalsh(theta)

    def measure(network):
        rates = jnp.float32(RATES) * 2 / _top(network, x)
        size = lambda model: jax.lax.map(  # noqa: E731
            lambda rate: jnp.linalg.norm(
                descent.descend(model, x, y[:, None], rate, STEPS)[1], axis=(1, 2)
            ),
            rates,
        )
        return size(Linearized(network)), size(network), rates

    keys = jax.random.split(key, REPLICATES)
    found = passes.measured(_maker("relu", width), measure, keys, together=4)
    linear, network, rates = (np.asarray(one, float) for one in found)
    first, last = BETWEEN
    growth = np.log(linear[..., last] / linear[..., first]) / (last - first)
    return {
        "width": np.array(width),
        "growth": growth,
        # Along the first eigenvector the factor is 1 − ηλ₁, which is below −1 at that rate.
        "threshold": 2 * rates[:, 1] / (1 + np.exp(growth[:, 1])),
        "limit_critical": np.array(2 / limit[-1]),
        "limit_sufficient": np.array(2 / (limit[-1] + limit[0])),
        "linear": linear[0] ** 2 / 2,
        "network": network[0] ** 2 / 2,
    }


def draw_linear_models(data: dict[str, np.ndarray]) -> Canvas:
    """Losses of one network and of its linearization, at both rates."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.8), sharey=True)
    steps = np.arange(STEPS)
    for row, axis in enumerate(axes):
        axis.semilogy(steps, data["linear"][row], color=style.THEORY, label="linearization")
        shown = slice(None, None, 5)
        axis.semilogy(
            steps[shown], data["network"][row, shown], "o", color=style.EXPERIMENT, label="network"
        )
        axis.set(title=f"rate {RATES[row]} · 2/λ₁", xlabel="steps", ylim=(1e-6, 1e6))
    axes[0].set_ylabel("loss")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def catapult(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """What networks do at rates around the critical one.

    Args:
      key: a random key.
      scale: sets the width of the networks whose rate is varied.

    Returns:
      ``width``; ``relu_after``, ``erf_after``: ηλ₁ after training from ``SHARPNESS``, ``[20,
      rates]``; for ReLU from ``CATAPULT``: ``peak``: the largest loss, ``[20, widths]``;
      ``losses``: of one network of each width before each step, ``[widths, steps]``.
    """
    width = {"chapter": 1024, "paper": 4096}[scale]
    x, y = images(EXAMPLES)

    def measure(network, sharpness=SHARPNESS):
        first = _top(network, x)

        def train(start):
            trained, lacking = descent.descend(network, x, y[:, None], start / first, STEPS)
            return start * _top(trained, x) / first, 0.5 * jnp.sum(lacking**2, axis=(1, 2))

        return jax.lax.map(train, jnp.float32(sharpness))

    at_one_rate = lambda network: measure(network, np.array([CATAPULT]))  # noqa: E731
    found = {"width": np.array(width)}
    of_rates, of_widths = jax.random.split(key)
    for name, one in each(ACTIVATIONS, of_rates, "rates"):
        keys = jax.random.split(one, REPLICATES)
        after, _ = passes.measured(_maker(name, width), measure, keys, together=4)
        found[f"{name}_after"] = np.asarray(after, float)
    losses = []
    for one_width, one in each(WIDTHS, of_widths, "catapults"):
        keys = jax.random.split(one, REPLICATES)
        _, loss = passes.measured(_maker("relu", one_width), at_one_rate, keys, together=4)
        losses.append(np.asarray(loss, float)[:, 0])
    losses = np.stack(losses, axis=1)
    return found | {"peak": np.max(losses, axis=2), "losses": losses[0]}


def draw_catapult(data: dict[str, np.ndarray]) -> Canvas:
    """Losses from a rate that is too large, and what becomes of the kernel at all rates."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 4.2))
    shown = np.arange(30)
    for loss, width, color in zip(
        data["losses"], WIDTHS, style.width_colors(len(WIDTHS)), strict=True
    ):
        axes[0].semilogy(shown, loss[shown], color=color, label=f"n = {width}")
    start, rise = data["losses"][-1, 1], np.arange(1, 12)
    line = start * (CATAPULT - 1.0) ** (2 * (rise - 1))
    axes[0].semilogy(rise, line, color=style.GUIDE, lw=1, label="linear model")
    axes[0].set(title=f"ReLU, ηλ₁ = {CATAPULT} at the start", xlabel="steps", ylabel="loss")
    for row, name in enumerate(ACTIVATIONS):
        draw_points(
            axes[1], SHARPNESS, data[f"{name}_after"], LABELS[name], "os"[row], style.KINDS[row]
        )
    ends = np.array([SHARPNESS[0], 2, SHARPNESS[-1]])
    axes[1].plot(ends, 2 - np.abs(ends - 2), color=style.THEORY, lw=1.2, label="mirrored at 2")
    axes[1].plot(ends[1:], ends[1:], "--", color=style.RIVAL, label="kernel does not move")
    axes[1].set(title="all rates", xlabel="ηλ₁ at the start", ylabel="ηλ₁ at the end")
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
        "lee2019-catapult",
        "lewkowycz2020",
        "ours",
        "08-linear",
        "What networks do above the critical rate of their linearization",
        catapult,
        draw_catapult,
        {"chapter": 9, "paper": 60},
    ),
)
