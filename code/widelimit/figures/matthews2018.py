"""Matthews et al. 2018: how soon deep networks of finite width become Gaussian processes."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit import activations
from widelimit.architectures import fully_connected
from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, each, in_groups
from widelimit.lab import networks, passes
from widelimit.theory import fluctuations, kernels

#: σ_w² and σ_b²; the paper's 0.8 is that of a ReLU of twice the variance.
WEIGHT_VAR, BIAS_VAR = 1.6, 0.2
#: Number of inputs and their dimension; they are standard normal. The kernels are compared at the
#: first few.
INPUTS, FEW, DIMENSION = 10, 5, 4
#: The length of the kernel in which distributions are compared.
LENGTHSCALE = 0.5
#: Samples of the paper's estimate.
SAMPLES = 2000
#: Widths at which covariances are measured, and the distributions.
WIDTHS, MMD_WIDTHS = np.array([32, 64, 128]), np.array([16, 32, 64])
#: Numbers of hidden layers of either figure.
DEPTHS, MMD_DEPTHS = (1, 3, 10), (1, 2, 3)
#: The activations of either figure.
ERF, RELU = activations.get("erf"), activations.get("relu")


@cache
def _maker(width, depth, activation):
    """Networks with one more hidden layer than the deepest, which is never read."""

    def make(key, x):
        widths = (DIMENSION, *[width] * (depth + 1), 1)
        return networks.FullyConnected(
            key, widths, activation, weight_var=WEIGHT_VAR, bias_var=BIAS_VAR
        ), x

    return make


def conditional_covariances(made: tuple) -> jax.Array:
    """The covariance of each layer's units, given the layers below.

    Args:
      made: a network and its inputs.

    Returns:
      Of layers 2, 3, …, so that entry L − 1 is that of an output after L hidden layers, ``[layers,
      inputs, inputs]``.
    """
    network, x = made
    *hidden, _ = network.preactivations(x)

    def covariance(h):
        act = network.activation(h)
        return WEIGHT_VAR / h.shape[1] * jnp.matmul(act, act.T, precision="highest") + BIAS_VAR

    return passes.by_layer(covariance, hidden)


def _inputs():
    """The same ones in every run: with other inputs the level of all curves is another."""
    return np.random.default_rng(2018).standard_normal((INPUTS, DIMENSION))


def _measured(measure, width, depth, activation, x, key, count, together):
    x = jnp.asarray(x, jnp.float32)
    settings = jax.random.split(key, count), jnp.tile(x, (count, 1, 1))
    make = _maker(width, depth, activation)
    return np.asarray(passes.measured(make, measure, *settings, together=together), float)


def kernel_errors(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """How far the covariance of a network's outputs, given its hidden layers, is from the kernel.

    Args:
      key: a random key.
      scale: sets the number of networks.

    Returns:
      ``error``: root mean square over networks of the relative distance in the Frobenius norm,
      ``[20, depths, widths]``; ``predicted``: its coefficient of 1/√n, ``[depths]``, and
      ``alone``: what the noise of the last layer alone would make it.

    Source: chapter 6, equation (6.7).
    """
    count = {"chapter": 24, "paper": 200}[scale] * REPLICATES
    x = _inputs()[:FEW]
    limits = [
        np.asarray(kernels.nngp(fully_connected(depth, ERF, WEIGHT_VAR, BIAS_VAR), x))
        for depth in DEPTHS
    ]
    error = np.zeros((REPLICATES, len(DEPTHS), len(WIDTHS)))
    for (column, width), one in each(enumerate(WIDTHS), key, "kernels of networks"):
        measure = conditional_covariances
        found = _measured(measure, int(width), max(DEPTHS), ERF, x, one, count, 4)
        for row, (depth, limit) in enumerate(zip(DEPTHS, limits, strict=True)):
            apart = np.sum((found[:, depth - 1] - limit) ** 2, axis=(1, 2)) / np.sum(limit**2)
            error[:, row, column] = np.sqrt(in_groups(apart).mean(axis=1))
    predicted, alone = map(np.sqrt, _mean_squares(x))
    return {"error": error, "predicted": predicted, "alone": alone}


def _mean_squares(x):
    """n times the mean square of the relative distance, and what of it the last layer adds."""
    cov = WEIGHT_VAR * x @ x.T / DIMENSION + BIAS_VAR
    total, alone, size = np.zeros((3, len(DEPTHS)))
    # Each input is in as many pairs as there are others, each pair in the matrix twice.
    once = 1 / (len(x) - 1)
    weight = np.array([once, once, 2])
    for i, j in combinations(range(len(x)), 2):
        whole = _fluctuations((cov[i, i], cov[j, j], cov[i, j]), max(DEPTHS) + 1)
        for row, depth in enumerate(DEPTHS):
            total[row] += weight @ np.diagonal(whole.covariance[depth])
            size[row] += weight @ whole.state[depth] ** 2
            last = _fluctuations(whole.state[depth - 1], 2)
            alone[row] += weight @ np.diagonal(last.covariance[1])
    return total / size, alone / size


def _fluctuations(state, depth):
    """From two variances and a covariance that are known."""
    u, v, cov = state
    return fluctuations.by_layer(ERF, u, v, cov / np.sqrt(u * v), depth, WEIGHT_VAR, BIAS_VAR)


def draw_kernel_errors(data: dict[str, np.ndarray]) -> Canvas:
    """Relative distances of kernels against width."""
    figure, axis = plt.subplots(figsize=(6.4, 3.8))
    for row, (depth, marker) in enumerate(zip(DEPTHS, "os^", strict=True)):
        color = style.KINDS[row]
        line = data["predicted"][row] / np.sqrt(WIDTHS)
        axis.loglog(WIDTHS, line, color=style.THEORY, lw=1.2)
        name = f"{depth} hidden layer" + "s" * (depth > 1)
        draw_points(axis, WIDTHS, data["error"][:, row], name, marker, color)
    style.width_axis(axis, WIDTHS)
    axis.set(xlabel="width n", ylabel="relative error of K")
    axis.set_yticks([0.05, 0.1, 0.2, 0.3], ["0.05", "0.1", "0.2", "0.3"])
    axis.minorticks_off()
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def discrepancies(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """The distance of a network's outputs from the Gaussian process, against width.

    Args:
      key: a random key.
      scale: sets the number of networks.

    Returns:
      ``mmd2``: estimates of MMD², unbiased for the frequencies, which are the same 400 for all
      points, ``[20, depths, widths]``; ``floor``: the standard
      deviation of the estimate from ``SAMPLES`` outputs of either where there is no difference,
      ``[depths]``.

    Source: chapter 6, equation (6.8).
    """
    count = {"chapter": 512, "paper": 10_000}[scale] * REPLICATES
    frequencies, networks_key = jax.random.split(key)
    x = _inputs()
    normal = np.asarray(jax.random.normal(frequencies, (400, INPUTS)), float)
    limits = np.stack(
        [
            np.asarray(kernels.nngp(fully_connected(depth, RELU, WEIGHT_VAR, BIAS_VAR), x))
            for depth in MMD_DEPTHS
        ]
    )
    eye = np.eye(INPUTS)
    roots = np.linalg.cholesky(np.linalg.inv(LENGTHSCALE**2 * eye + 2 * limits))
    omega = normal @ np.swapaxes(roots, 1, 2)  # [depths, frequencies, inputs]
    size = np.linalg.det(eye + 2 * limits / LENGTHSCALE**2) ** -0.5
    found = np.zeros((REPLICATES, len(MMD_DEPTHS), len(MMD_WIDTHS)))
    for (column, width), one in each(enumerate(MMD_WIDTHS), networks_key, "distributions"):
        measure, depth = conditional_covariances, max(MMD_DEPTHS)
        covariance = _measured(measure, int(width), depth, RELU, x, one, count, 64)
        away = covariance[:, : len(MMD_DEPTHS)] - limits
        for row in range(len(MMD_DEPTHS)):
            outer = (omega[row][:, :, None] * omega[row][:, None]).reshape(len(normal), -1)
            forms = away[:, row].reshape(count, -1) @ outer.T
            gap = np.expm1(-forms / 2).reshape(REPLICATES, -1, len(normal))
            mean, networks_each = gap.mean(axis=1), gap.shape[1]
            square = mean**2 - gap.var(axis=1, ddof=1) / networks_each
            found[:, row, column] = size[row] * square.mean(axis=1)
    return {"mmd2": found, "floor": _floor(limits)}


def _floor(limits):
    """Of the unbiased estimate of MMD², from as many samples of each of two equal Gaussians."""
    eye, scaled = np.eye(INPUTS), limits / LENGTHSCALE**2
    both = np.linalg.det(eye + 4 * scaled) ** -0.5  # E k(f, f′)²
    one = np.linalg.det(eye + 2 * scaled) ** -0.5  # E k(f, f′)
    once = eye + scaled
    shared = np.linalg.det(once) ** -1
    shared *= np.linalg.det(eye + 2 * scaled @ np.linalg.inv(once)) ** -0.5  # E[k(f, f′) k(f, f″)]
    return np.sqrt(8 * (both - 2 * shared + one**2)) / SAMPLES


def draw_discrepancies(data: dict[str, np.ndarray]) -> Canvas:
    """MMD² against width, with guides of slope −2."""
    figure, axis = plt.subplots(figsize=(6.4, 3.8))
    for row, (depth, marker) in enumerate(zip(MMD_DEPTHS, "os^", strict=True)):
        found, color = data["mmd2"][:, row], style.KINDS[row]
        line = found.mean(0)[-1] * (MMD_WIDTHS[-1] / MMD_WIDTHS) ** 2
        axis.loglog(MMD_WIDTHS, line, color=style.THEORY, lw=1.2)
        name = f"{depth} hidden layer" + "s" * (depth > 1)
        draw_points(axis, MMD_WIDTHS, found, name, marker, color)
    floor = f"noise of {SAMPLES} samples"
    axis.axhspan(*data["floor"][[0, -1]], color=style.GUIDE, alpha=0.25, lw=0, label=floor)
    style.width_axis(axis, MMD_WIDTHS)
    axis.set(xlabel="width n", ylabel="MMD²")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


FIGURES = (
    Figure(
        "matthews2018-kernels",
        "matthews2018",
        "ours",
        "06-nngp",
        "Distance of a wide network's kernel from its limit",
        kernel_errors,
        draw_kernel_errors,
        {"chapter": 10, "paper": 100},
    ),
    Figure(
        "matthews2018-mmd",
        "matthews2018",
        "MMD against width",
        "06-nngp",
        "Distance of a wide network's outputs from the Gaussian process",
        discrepancies,
        draw_discrepancies,
        {"chapter": 12, "paper": 200},
    ),
)
