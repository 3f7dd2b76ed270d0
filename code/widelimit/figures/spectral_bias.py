"""Harmonics on a circle: how fast wide networks learn each of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit import activations
from widelimit.architectures import fully_connected
from widelimit.figures import style, tangent_networks
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, in_groups
from widelimit.figures.tangent_networks import on_circle
from widelimit.lab import descent, networks, passes
from widelimit.theory import kernels

#: The activation; one hidden layer; σ_w² and σ_b².
RELU = activations.get("relu")
WEIGHT_VAR, BIAS_VAR = 2.0, 1.0
#: Number of examples, evenly spaced, and the harmonics in the target.
EXAMPLES, HARMONICS = 32, np.array([1, 2, 3, 4, 6])
#: Amplitude of each in the target.
AMPLITUDE = 0.02
#: Steps of gradient descent, at half the critical rate of the limit.
STEPS = 660
#: Number of angles from which spectra are computed, and harmonics drawn.
GRID, SHOWN = 4096, np.arange(1, 33)


def turns(count: int) -> np.ndarray:
    """Evenly spaced angles.

    Args:
      count: how many.

    Returns:
      In radians, from 0.
    """
    return 2 * np.pi * np.arange(count) / count


def spectrum(kernel: np.ndarray) -> np.ndarray:
    """Eigenvalues of a kernel among evenly spaced points of a circle, by harmonic.

    Args:
      kernel: between the first point and all, ``[points]``, an even number, and even in the angle.

    Returns:
      Eigenvalues of harmonics 0, 1, …, points/2, those of the matrix over the number of points.
    """
    return np.fft.rfft(kernel).real / len(kernel)


def limits(points: int, bias_var: float = BIAS_VAR) -> kernels.Kernels:
    """Spectra of both kernels of the limit.

    Args:
      points: number of examples.
      bias_var: σ_b².

    Returns:
      Each of shape ``[points/2 + 1]``.
    """
    x = on_circle(turns(points))
    both = kernels.nngp_and_ntk(fully_connected(1, RELU, WEIGHT_VAR, bias_var), x[:1], x)
    return kernels.Kernels(*(spectrum(np.asarray(one)[0]) for one in both))


def maker(width: int, bias_var: float, depth: int = 1):
    """The network at finite width.

    Args:
      width: n.
      bias_var: σ_b².
      depth: number of hidden layers.

    Returns:
      As :func:`widelimit.figures.tangent_networks.maker`.
    """
    return tangent_networks.maker((2, *[width] * depth, 1), RELU, bias_var, WEIGHT_VAR)


def lacking(network: networks.FullyConnected, rate: float, steps: int) -> jax.Array:
    """Train a network on its own start and all harmonics, and follow what it lacks of each.

    Args:
      network: the network.
      rate: η.
      steps: of gradient descent.

    Returns:
      Before each step the part of each harmonic that is missing, 1 at the start, ``[steps,
      harmonics]``.
    """
    angle = turns(EXAMPLES)
    waves = np.cos(np.outer(angle, HARMONICS)).astype(np.float32)
    x = on_circle(angle)
    y = network(x) + np.float32(AMPLITUDE) * waves.sum(axis=1, keepdims=True)
    _, missing = descent.descend(network, x, y, rate, steps)
    return -jnp.einsum("spo,ph->sh", missing, waves) * np.float32(2 / EXAMPLES / AMPLITUDE)


def harmonics(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """What networks lack of each harmonic while they learn, and the spectra of the limit.

    Args:
      key: a random key.
      scale: sets width and number of networks.

    Returns:
      ``width``; ``time``: t, before each step; ``missing``: mean over networks, ``[20, steps,
      harmonics]``; ``rates``: those of the limit among the examples, ``[harmonics]``;
      ``ntk``, ``nngp``: eigenvalues by harmonic 1 … 32, of the kernels on the whole circle.
    """
    width, count = {"chapter": (2048, 2), "paper": (8192, 10)}[scale]
    among = limits(EXAMPLES).ntk * EXAMPLES
    rate = float(1 / among.max())
    measure = lambda network: lacking(network, rate, STEPS)  # noqa: E731
    keys = jax.random.split(key, REPLICATES * count)
    found = passes.measured(maker(width, BIAS_VAR), measure, keys, together=2)
    whole = limits(GRID)
    return {
        "width": np.array(width),
        "time": rate * np.arange(STEPS),
        "missing": in_groups(np.asarray(found, float)).mean(axis=1),
        "rates": among[HARMONICS],
        "ntk": whole.ntk[SHOWN],
        "nngp": whole.nngp[SHOWN],
    }


def draw_harmonics(data: dict[str, np.ndarray]) -> Canvas:
    """What is missing of some harmonics against time, and the spectra of both kernels."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 4.0))
    time, chosen = data["time"], (0, 1, 2, 4)
    for row, column in enumerate(chosen):
        line = (1 - data["rates"][column] * time[1]) ** np.arange(len(time))
        axes[0].plot(time, line, color=style.THEORY, lw=1)
        at = np.unique(np.geomspace(1, len(time), 9).astype(int)) - 1
        label, missing = f"{HARMONICS[column]}", data["missing"][:, at, column]
        draw_points(axes[0], time[at], missing, label, "os^D"[row], style.KINDS[row])
    axes[0].set_xscale("symlog", linthresh=float(time[1]))
    axes[0].set(title="learning", xlabel="time t", ylabel="missing part", ylim=(-0.05, 1.05))
    axes[0].legend(title="harmonic", fontsize=9)
    for row, (name, label) in enumerate((("ntk", "Θ: all layers"), ("nngp", "K: the readout"))):
        fill = {"mfc": "white"} if row else {}
        axes[1].loglog(SHOWN, data[name], "o^"[row], ms=4, color=style.THEORY, label=label, **fill)
        guide = data[name][-1] * (SHOWN / SHOWN[-1]) ** (-2.0 - 2 * row)
        axes[1].loglog(SHOWN, guide, color=style.GUIDE, lw=1)
    axes[1].set(title="eigenvalues", xlabel="harmonic k")
    axes[1].legend(fontsize=9)
    return figure


FIGURES = (
    Figure(
        "jacot2018-harmonics",
        "jacot2018",
        "ours",
        "07-ntk",
        "How fast wide networks learn the harmonics of a function on a circle",
        harmonics,
        draw_harmonics,
        {"chapter": 8, "paper": 120},
    ),
)
