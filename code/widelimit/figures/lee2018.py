"""Lee et al. 2018: Gaussian processes of deep networks on digits, by depth and by variances."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas
from matplotlib.patheffects import Normal, Stroke

from widelimit.figures import digit_kernels, style
from widelimit.figures.digit_kernels import DeepKernels
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, each
from widelimit.figures.tanh_networks import TANH
from widelimit.theory import deep, phases

#: Training and test images of a split.
TRAIN, TEST = 200, 500
#: The variances of the map.
WEIGHT_VARS, BIAS_VARS = np.linspace(0.25, 4.75, 13), np.linspace(0.05, 2.0, 9)
#: Numbers of hidden layers, and noises σ_ε², of the map.
MAP_DEPTHS, MAP_NOISES = (1, 10, 50), (1e-10, 1e-3)
#: Best settings of tanh networks that the paper reports, as (depth, σ_w², σ_b²).
WINNERS = (
    (20, 1.96, 0.62),
    (2, 1.62, 0.28),
    (1, 1.28, 0.0),
    (50, 2.97, 0.97),
    (7, 3.48, 2.0),
    (3, 3.48, 1.52),
)
#: σ_w² in order and in chaos where depth is varied.
ORDER, CHAOS = 1.0, 4.0
#: Numbers of hidden layers of the fading means.
DEPTHS = np.array([1, 5, *range(10, 101, 10)])
#: Those of the fits in chaos and in order.
CHAOS_FIT, ORDER_FIT = DEPTHS[DEPTHS >= 60], np.array([30, 40, 50, 60])
#: Angles of two inputs at which kernels are shown, in degrees.
ANGLES = np.concatenate([np.arange(0, 20, 1.0), np.arange(20, 181, 4.0)])
#: Allowed error of a layer's dual activation, which changes all pairs of inputs, and smoothly.
ERROR = 1e-8
#: Kinds of fading: name, which of order, edge and chaos, and the noise σ_ε².
FADING = (
    ("chaos", 2, 1e-10),
    ("edge", 1, 1e-10),
    ("order", 0, 1e-10),
    ("order, noisy", 0, 1e-3),
)


@cache
def critical() -> np.ndarray:
    """The critical σ_w² for each of ``BIAS_VARS``.

    Returns:
      Their shape.
    """
    return np.asarray(phases.critical_weight_var(TANH, BIAS_VARS))


def three_networks() -> np.ndarray:
    """σ_w² in order, on the edge, and in chaos, at σ_b² = ``BIAS_VARS[0]``.

    Returns:
      Three numbers.
    """
    return np.array([ORDER, critical()[0], CHAOS])


@cache
def diagram() -> phases.PhaseDiagram:
    """Fixed points of the three networks, and then of ``WINNERS``.

    Returns:
      The diagram, nine points.
    """
    _, weight_var, bias_var = np.array(WINNERS).T
    return phases.phase_diagram(
        TANH,
        np.concatenate([three_networks(), weight_var]),
        np.concatenate([np.full(3, BIAS_VARS[0]), bias_var]),
    )


@cache
def layers() -> deep.Layers:
    """Kernels of the networks of the map, row by row, and then of the three.

    Returns:
      Of each layer, at the cosines of :func:`digit_kernels.nodes` and then of ``ANGLES``.
    """
    weight_var, bias_var = (a.ravel() for a in np.meshgrid(WEIGHT_VARS, BIAS_VARS))
    found = deep.through_layers(
        TANH,
        np.concatenate([digit_kernels.nodes(), np.cos(np.radians(ANGLES))]),
        int(DEPTHS[-1]),
        np.concatenate([weight_var, three_networks()]),
        np.concatenate([bias_var, np.full(3, BIAS_VARS[0])]),
        ERROR,
    )
    return deep.Layers(*map(np.asarray, found))


@cache
def deep_kernels() -> DeepKernels:
    """The same as functions of two images.

    Returns:
      In the order of :func:`layers`.
    """
    var, correlation = layers()
    return DeepKernels(deep.Layers(var, correlation[..., : digit_kernels.NODES]))


def maps(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Test accuracy of the Gaussian process over σ_w² and σ_b², at several depths and noises.

    Args:
      key: a random key.
      scale: sets the number of training images and of splits.

    Returns:
      ``accuracy``: mean over splits, ``[noises, depths, bias_vars, weight_vars]``; ``critical``:
      the critical σ_w² for each of ``BIAS_VARS``.
    """
    train, splits = {"chapter": (TRAIN, 2), "paper": (1000, 10)}[scale]
    kernels, of_map = deep_kernels(), slice(None, len(WEIGHT_VARS) * len(BIAS_VARS))
    found = np.zeros((len(MAP_NOISES), len(MAP_DEPTHS), of_map.stop))
    for _, one in each(range(splits), key, "accuracy over variances"):
        split = digit_kernels.problem(one, train, TEST)
        basis = digit_kernels.basis(split)
        for column, depth in enumerate(MAP_DEPTHS):
            correlation, var = kernels.correlations(basis, [depth], of_map)[0], kernels.var[depth]
            for row, noise_var in enumerate(MAP_NOISES):
                mean = digit_kernels.posterior_means(correlation, var[of_map], split, noise_var)
                found[row, column] += digit_kernels.accuracy(mean, split) / splits
    return {
        "accuracy": found.reshape(*found.shape[:2], len(BIAS_VARS), len(WEIGHT_VARS)),
        "critical": critical(),
    }


def draw_maps(data: dict[str, np.ndarray]) -> Canvas:
    """Accuracy over the variances, with the critical line and the paper's best settings."""
    figure, axes = plt.subplots(2, 3, figsize=(6.6, 5.2), sharex=True, sharey=True)
    for row, noise_var in enumerate(MAP_NOISES):
        for column, depth in enumerate(MAP_DEPTHS):
            axis = axes[row, column]
            image = axis.pcolormesh(
                WEIGHT_VARS,
                BIAS_VARS,
                data["accuracy"][row, column],
                vmin=0.84,
                vmax=0.95,
                shading="nearest",
                rasterized=True,
            )
            line = axis.plot(data["critical"], BIAS_VARS, "--", color="white", lw=2)
            line[0].set_path_effects([Stroke(linewidth=4, foreground=style.THEORY), Normal()])
            axis.set_title(f"L = {depth}, σ_ε² = {noise_var:.0e}".replace("e-0", "e-"), fontsize=10)
    winners = np.array(WINNERS)
    marks = axes[0, 0].plot(winners[:, 1], winners[:, 2], "o", color=style.RIVAL, mec="white")
    axes[0, 0].set(xlim=(0.12, 4.88), ylim=(-0.03, 2.08))
    for axis in axes[-1]:
        axis.set_xlabel("σ_w²")
    for axis in axes[:, 0]:
        axis.set_ylabel("σ_b²")
    names = ["edge of chaos", "the paper's best"]
    figure.legend([line[0], marks[0]], names, loc="outside upper center", ncols=2)
    figure.colorbar(image, ax=axes, label="test accuracy", shrink=0.9, extend="min")
    return figure


def fading(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """How much of a posterior mean, and of its accuracy, is left at large depth.

    Args:
      key: a random key.
      scale: sets the number of training images.

    Returns:
      ``size``: root mean square of the posterior mean over test images and outputs,
      ``[20, kinds, depths]``; ``accuracy``: likewise; ``smoothed``: accuracy of the kernel smoother
      that is the limit in chaos, ``[20]``, from the correlations at the largest depth, and
      ``agreement``: the part of the test images that both put into one class; ``half_noise``: the
      noise at which the size in order is half of what it is at 1e-14, ``[20, len(ORDER_FIT)]``;
      ``rate``: 1/ξ_c of the three networks; ``train``: P.
    """
    train = {"chapter": TRAIN, "paper": 1000}[scale]
    kernels, three = deep_kernels(), slice(-3, None)
    limit = float(diagram().correlation[2])
    rows = []
    for _, one in each(range(REPLICATES), key, "posterior means at large depth"):
        split = digit_kernels.problem(one, train, TEST)
        basis = digit_kernels.basis(split)
        correlation = kernels.correlations(basis, list(DEPTHS), three)
        means = np.stack(
            [
                digit_kernels.posterior_means(
                    correlation[:, network], kernels.var[DEPTHS, network - 3], split, noise_var
                )
                for _, network, noise_var in FADING
            ]
        )
        deepest = correlation[-1, 2]
        smoothed = np.asarray(
            deep.smoother(
                jnp.asarray(deepest[:, :train]),
                jnp.asarray(deepest[:, train:]),
                limit,
                jnp.asarray(split.targets),
            )
        )
        same = np.argmax(smoothed, axis=1) == np.argmax(means[0, -1], axis=1)
        in_order = kernels.correlations(basis, list(ORDER_FIT), three)[:, 0]
        rows.append(
            {
                "size": np.sqrt(np.mean(means**2, axis=(2, 3))),
                "accuracy": digit_kernels.accuracy(means, split),
                "smoothed": digit_kernels.accuracy(smoothed, split),
                "agreement": np.mean(same),
                "half_noise": _half_noise(in_order, kernels.var[ORDER_FIT, -3], split),
            }
        )
    found = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    about = {"rate": 1 / diagram().xi_c[:3], "train": train}
    return {**found, **{name: np.asarray(value) for name, value in about.items()}}


def _half_noise(correlation, var, split):
    """The noise at which the mean has half the size that it has without noise, by network."""
    count, noises = len(split.train), np.geomspace(1e-14, 1, 400)
    found = []
    for one, q in zip(correlation, var, strict=True):
        values, vectors = np.linalg.eigh(one[:, :count])
        along, across = vectors.T @ split.targets, vectors.T @ one[:, count:]
        gain = 1 / (np.maximum(values, 0) + noises[:, None] / q)  # [noises, P]
        squares = np.sum(gain @ ((along @ along.T) * (across @ across.T)) * gain, axis=1)
        # The size falls as noise grows.
        size = np.sqrt(squares / squares[0])
        found.append(np.exp(np.interp(-0.5, -size, np.log(noises))))
    return np.array(found)


def draw_fading(data: dict[str, np.ndarray]) -> Canvas:
    """Sizes and accuracies of posterior means against depth."""
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 6.2), sharex=True)
    for row, ((name, network, _), marker) in enumerate(zip(FADING, "^sov", strict=True)):
        color, size = style.KINDS[row], data["size"][:, row]
        draw_points(axes[0], DEPTHS, size, name, marker, color)
        draw_points(axes[1], DEPTHS, data["accuracy"][:, row], None, marker, color)
        if name in ("chaos", "order, noisy"):
            tail = DEPTHS >= 40
            line = size.mean(0)[-1] * np.exp((DEPTHS[-1] - DEPTHS[tail]) * data["rate"][network])
            axes[0].plot(DEPTHS[tail], line, color=style.THEORY, lw=1.2)
    smoothed = data["smoothed"].mean()
    axes[1].axhline(smoothed, color=style.THEORY, lw=1.2)
    axes[1].text(1, smoothed - 0.002, "kernel smoother", va="top", fontsize=9)
    axes[0].set(yscale="log", ylabel="size of the mean", ylim=(1e-9, 1))
    axes[1].set(ylabel="test accuracy", xlabel="hidden layers L")
    figure.legend(loc="outside upper center", ncols=4)
    return figure


FIGURES = (
    Figure(
        "lee2018-maps",
        "lee2018",
        "figure 3",
        "06-nngp",
        "Accuracy of deep Gaussian processes over the variances, and the edge of chaos",
        maps,
        draw_maps,
        {"chapter": 12, "paper": 600},
    ),
    Figure(
        "lee2018-fading",
        "lee2018",
        "ours",
        "06-nngp",
        "Posterior means fade with depth, and what is left is a kernel smoother",
        fading,
        draw_fading,
        {"chapter": 10, "paper": 300},
    ),
)
