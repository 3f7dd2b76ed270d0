"""Jacot, Gabriel & Hongler 2018: the tangent kernel on a circle, and what trained networks do."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas
from scipy.stats import norm

from widelimit import activations
from widelimit.architectures import fully_connected
from widelimit.figures import style, tangent_networks
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, each, in_groups
from widelimit.figures.tangent_networks import on_circle
from widelimit.figures.trained_readouts import spread
from widelimit.lab import descent, passes, tangent
from widelimit.theory import dynamics, kernels, regression

#: The activation.
RELU = activations.get("relu")
#: Number of hidden layers (the paper counts weight layers, one more), σ_w² and σ_b² = β².
DEPTH, WEIGHT_VAR, BIAS_VAR = 3, 1.0, 0.01
#: Angles γ at which figures are drawn, in radians.
ANGLES = np.linspace(-np.pi, np.pi, 61)
#: Angles of the four examples of the ensemble, in radians, and their targets.
TRAIN_AT, TARGETS = np.array([-2.2, -0.8, 0.6, 2.0]), np.array([0.3, -0.3, 0.2, -0.1])
#: Number of examples for the kernel's movement; for how long it is trained, in steps of rate 1 of
#: the loss averaged over them.
EXAMPLES, TIME = 20, 200
#: Quantiles of the ensemble.
QUANTILES = np.array([0.1, 0.5, 0.9])


def architecture() -> object:
    """The network in the limit.

    Returns:
      As :func:`widelimit.architectures.fully_connected`.
    """
    return fully_connected(DEPTH, RELU, WEIGHT_VAR, BIAS_VAR)


def maker(width: int, inputs: int = 2, bias_var: float = BIAS_VAR):
    """The network at finite width.

    Args:
      width: n.
      inputs: dimension of the inputs.
      bias_var: σ_b².

    Returns:
      As :func:`widelimit.figures.tangent_networks.maker`.
    """
    return tangent_networks.maker((inputs, *[width] * DEPTH, 1), RELU, bias_var, WEIGHT_VAR)


def kernel_on_circle(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Tangent kernels between one input and all others, before and after training.

    Args:
      key: a random key.
      scale: sets the wider width, and the rate.

    Returns:
      ``widths``; ``kernels``: Θ̂(x₀, x) at the angles, before and after, ``[widths, networks, 2,
      61]``; ``limit``: Θ, ``[61]``.
    """
    widths, count = {"chapter": ((500, 1000), 5), "paper": ((500, 10_000), 10)}[scale]
    of_inputs, of_networks = jax.random.split(key)
    x = np.asarray(jax.random.normal(of_inputs, (EXAMPLES, 2)), float)
    y = x[:, :1] * x[:, 1:]
    rate = 1.0
    if scale == "chapter":
        # Fewer and longer steps: as long as none is too long the time alone matters.
        most = float(np.linalg.eigvalsh(kernels.ntk(architecture(), x))[-1]) / EXAMPLES
        rate = TIME / math.ceil(TIME * most)

    def measure(network):
        trained, _ = descent.descend(network, x, y, rate / EXAMPLES, round(TIME / rate))
        at, around = on_circle(np.zeros(1)), on_circle(ANGLES)
        two = [tangent.by_layers(one, at, around)[0, :, 0, 0] for one in (network, trained)]
        return jnp.stack(two)

    found = [
        passes.measured(maker(width), measure, jax.random.split(one, count))
        for width, one in each(widths, of_networks, "kernels on the circle")
    ]
    limit = kernels.ntk(architecture(), on_circle(np.zeros(1)), on_circle(ANGLES))[0]
    return {
        "widths": np.array(widths),
        "kernels": np.asarray(found, float),
        "limit": np.asarray(limit),
    }


def draw_kernel_on_circle(data: dict[str, np.ndarray]) -> Canvas:
    """Kernels of some networks of two widths and the limit, before and after training."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.8), sharey=True)
    for column, axis in enumerate(axes):
        for row, (width, color) in enumerate(zip(data["widths"], style.KINDS[:2], strict=True)):
            lines = axis.plot(ANGLES, data["kernels"][row, :, column].T, color=color, lw=0.9)
            lines[0].set_label(f"n = {width}")
        axis.plot(ANGLES, data["limit"], color=style.THEORY, lw=2, label="n → ∞")
        axis.set(title=("before training", "after training")[column], xlabel="angle γ")
        axis.set_xticks([-np.pi, 0, np.pi], ["−π", "0", "π"])
    axes[0].set_ylabel("kernel between angles 0 and γ")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def ensemble(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Trained networks on the circle, and the Gaussian process that they become.

    Args:
      key: a random key.
      scale: sets the wider width, and the rate.

    Returns:
      ``widths``; ``narrow``, ``wide``: outputs at the angles, ``[20, networks, 61]``; ``mean``,
      ``std``: of the limit after the same training, ``[61]``; ``posterior_std``: of the posterior
      with Θ as its covariance; ``readout_mean``: of networks whose readout alone is trained.
    """
    widths, counts = {"chapter": ((50, 256), (10, 10)), "paper": ((50, 1000), (40, 20))}[scale]
    x, around = on_circle(TRAIN_AT), on_circle(ANGLES)
    both = kernels.nngp_and_ntk(architecture(), np.concatenate([x, around]))
    nngp, ntk = (dynamics.Gram.cut(kernel, len(x)) for kernel in both)
    training = dynamics.of(ntk, nngp, jnp.asarray(TARGETS))
    most = float(training.rates[-1])
    rate, steps = {"chapter": (0.7 / most, 80), "paper": (1 / len(x), 1000)}[scale]

    def measure(network):
        trained, _ = descent.descend(network, x, TARGETS[:, None], rate, steps)
        return trained(around)[:, 0]

    found = {}
    sizes = zip(("narrow", "wide"), widths, counts, strict=True)
    for (name, width, count), one in each(sizes, key, "ensembles"):
        keys = jax.random.split(one, REPLICATES * count)
        outputs = passes.measured(maker(width), measure, keys, together=4)
        found[name] = in_groups(np.asarray(outputs, float))
    limit = training.descent(rate, steps)
    posterior = dynamics.of(ntk, ntk, jnp.asarray(TARGETS)).flow(np.inf)
    readout = regression.condition(*nngp, jnp.asarray(TARGETS), 0.0)
    return {
        "widths": np.array(widths),
        **found,
        "mean": np.asarray(limit.mean),
        "std": spread(limit.covariance),
        "posterior_std": spread(posterior.covariance),
        "readout_mean": np.asarray(readout.mean),
    }


def draw_ensemble(data: dict[str, np.ndarray]) -> Canvas:
    """Ten networks of each width, and quantiles of the limit."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.8), sharey=True)
    for axis, name, width in zip(axes, ("narrow", "wide"), data["widths"], strict=True):
        some = data[name].reshape(-1, len(ANGLES))[:10]
        lines = axis.plot(ANGLES, some.T, color=style.EXPERIMENT, lw=0.8, alpha=0.6)
        lines[0].set_label("ten networks")
        for quantile in QUANTILES:
            line = data["mean"] + norm.ppf(quantile) * data["std"]
            axis.plot(ANGLES, line, color=style.THEORY, lw=2 if quantile == 0.5 else 1.2)
        axis.plot([], [], color=style.THEORY, label="P10, P50, P90 of the limit")
        axis.plot(TRAIN_AT, TARGETS, "k+", ms=9, mew=2)
        axis.set(title=f"width {width}", xlabel="angle γ")
        axis.set_xticks([-np.pi, 0, np.pi], ["−π", "0", "π"])
    axes[0].set_ylabel("output")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


FIGURES = (
    Figure(
        "jacot2018-fig1",
        "jacot2018",
        "Figure 1",
        "07-ntk",
        "The tangent kernel on a circle before and after training, at two widths",
        kernel_on_circle,
        draw_kernel_on_circle,
        {"chapter": 15, "paper": 2000},
    ),
    Figure(
        "jacot2018-fig2",
        "jacot2018",
        "Figure 2",
        "07-ntk",
        "Networks trained on four points of a circle, and quantiles of the limit",
        ensemble,
        draw_ensemble,
        {"chapter": 8, "paper": 900},
    ),
)
