"""Glorot & Bengio 2010: what passes through a tanh network at initialization, forward and back.

Their figures 6 and 7 show one network each, on images of shapes. Here the images are handwritten
digits enlarged to the same 32 × 32 pixels, centred and with mean square 1, and every number is a
mean over independent networks.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas
from scipy.special import ndtr

from widelimit import activations
from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, each
from widelimit.lab import networks, passes
from widelimit.lab.data import load, standardized
from widelimit.parametrizations import FAN_AVG, STANDARD, Parametrization
from widelimit.theory import initialization, signal

#: The activation of both figures.
TANH = activations.get("tanh")
#: The two initializations: parametrization and σ_w². All weights are uniform, all biases 0.
INITIALIZATIONS = {"standard": (STANDARD, 1 / 3), "normalized": (FAN_AVG, 1.0)}
#: Number of hidden layers.
DEPTH = 5
#: Widths from the input to the output.
WIDTHS = (1024, *[1000] * DEPTH, 10)


def enlarged_digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first digits of scikit-learn's set, each pixel repeated to 4 × 4.

    Args:
      count: how many images.

    Returns:
      Images as rows of 1024 numbers, float32, centred and scaled as the whole set is: there each
      pixel has mean 0, and all have mean square 1; their classes.
    """
    digits = load("digits")
    x = standardized(digits.x).reshape(-1, 8, 8)
    x = np.kron(x, np.ones((4, 4), np.float32)).reshape(len(x), -1)
    return x[:count], digits.y[:count]


def _log_loss(outputs, labels):
    return jnp.sum(optax.softmax_cross_entropy_with_integer_labels(outputs, labels))


def signals(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Activations and back-propagated gradients of every hidden layer, at both initializations.

    Args:
      key: a random key.
      scale: ``"chapter"`` or ``"paper"``; sets the number of images.

    Returns:
      For each initialization I: ``I_activations`` and ``I_gradients``, densities ``[20, 5, bins]``,
      the same with ``_theory``, ``[5, bins]``, and with ``_edges``, ``[bins + 1]``; mean squares
      ``I_signal`` of h^1, …, h^5 and ``I_gradient`` of δ^1, …, δ^5, ``[20, 5]``, and the same with
      ``_theory``, ``[5]``. Each δ is in units of the root mean square of the same image's gradient
      at the output.

    Source: chapter 2, equations (2.6) and (2.8).
    """
    x, labels = enlarged_digits({"chapter": 24, "paper": 500}[scale])
    found = {}
    for (name, (parametrization, weight_var)), one in each(INITIALIZATIONS.items(), key, "signals"):
        theory = _predicted(parametrization, weight_var, x)
        make = partial(
            networks.FullyConnected,
            widths=WIDTHS,
            activation=TANH,
            weight_var=weight_var,
            law="uniform",
            parametrization=parametrization,
        )
        edges = theory["activations_edges"], theory["gradients_edges"]
        measure = partial(_measure, x=x, labels=labels, edges=edges)
        drawn = passes.measured(make, measure, jax.random.split(one, REPLICATES))
        found |= {f"{name}_{what}": value for what, value in (theory | drawn).items()}
    return {name: np.asarray(value, float) for name, value in found.items()}


def _measure(network, x, labels, edges):
    h = network.preactivations(x)
    delta = passes.backpropagated(network, x, partial(_log_loss, labels=labels))
    unit = jnp.sqrt(jnp.mean(delta[-1][-1] ** 2, axis=1, keepdims=True))
    # Hidden layers alone: the last stack is the output.
    h, delta = h[:-1], [stack / unit for stack in delta[:-1]]
    density = lambda one, at: jnp.histogram(one, at, density=True)[0]  # noqa: E731
    return {
        "activations": passes.by_layer(lambda one: density(network.activation(one), edges[0]), h),
        "gradients": passes.by_layer(lambda one: density(one, edges[1]), delta),
        "signal": passes.mean_squares(h),
        "gradient": passes.mean_squares(delta),
    }


def _predicted(parametrization: Parametrization, weight_var: float, x: np.ndarray):
    """Laws of tanh(h^l) and δ^l as the width grows, averaged over the images."""
    variances = initialization.weight_variances(parametrization, WIDTHS, weight_var)
    forward, backward = variances * WIDTHS[:-1], variances * WIDTHS[1:]
    q = [forward[0] * np.mean(x.astype(float) ** 2, axis=1)]
    for factor in forward[1:-1]:
        q.append(np.asarray(signal.length_map(TANH, q[-1], factor, 0.0)))
    scale = np.ones(len(x))  # mean square of W^T δ, image by image
    scales = []
    for factor, length in zip(backward[:0:-1], q[::-1], strict=True):
        scales.insert(0, factor * scale)
        scale = np.asarray(signal.mean_square(TANH, length, order=1)) * scales[0]
    return _densities(np.array(q), np.array(scales))


def _densities(q, scales):
    """Histograms and mean squares as they would be at infinite width; axes: layers, images."""
    z = np.linspace(-6, 6, 241)
    weight = np.exp(-(z**2) / 2) / np.sum(np.exp(-(z**2) / 2))
    slope = np.asarray(TANH.derivative(jnp.asarray(z * np.sqrt(q)[..., None])))
    gradient = np.mean(scales[..., None] * slope**2 * weight, axis=1).sum(axis=-1)

    edges = np.linspace(-1, 1, 102)
    # The ends of tanh are at infinity.
    below = ndtr(np.arctanh(np.clip(edges, -1 + 1e-15, 1 - 1e-15)) / np.sqrt(q)[..., None])
    reach = 3 * np.sqrt(gradient.max())
    gradient_edges = np.linspace(-reach, reach, 102)
    inside = []
    # A given h leaves δ Gaussian; the bins' mass is averaged over h and over the images.
    for deviation in np.sqrt(scales)[..., None] * slope:  # one layer at a time: it is large
        mass = np.diff(ndtr(gradient_edges / deviation[..., None]), axis=-1)
        inside.append(np.mean(np.einsum("izb,z->ib", mass, weight), axis=0))
    inside = np.array(inside)
    inside /= inside.sum(axis=-1, keepdims=True)
    return {
        "activations_edges": edges,
        "activations_theory": np.mean(np.diff(below, axis=-1), axis=1) / np.diff(edges),
        "gradients_edges": gradient_edges,
        "gradients_theory": inside / np.diff(gradient_edges),
        "signal_theory": np.mean(q, axis=1),
        "gradient_theory": gradient,
    }


def _draw(data, what, label):
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 5.6))
    for axis, name in zip(axes, INITIALIZATIONS, strict=True):
        edges = data[f"{name}_{what}_edges"]
        at = (edges[1:] + edges[:-1]) / 2
        for layer, color in enumerate(style.width_colors(DEPTH)):
            axis.plot(at, data[f"{name}_{what}_theory"][layer], color=style.THEORY, lw=1)
            found = data[f"{name}_{what}"][:, layer, 2::4]
            draw_points(axis, at[2::4], found, f"layer {layer + 1}", color=color)
        axis.set(title=name, ylabel="density", xlim=edges[[0, -1]], ylim=(0, None))
    axes[0].legend()
    axes[1].set_xlabel(label)
    return figure


def draw_activations(data: dict[str, np.ndarray]) -> Canvas:
    """Histograms of the activations in :func:`signals`, standard above and normalized below."""
    return _draw(data, "activations", "activation")


def draw_gradients(data: dict[str, np.ndarray]) -> Canvas:
    """Histograms of the back-propagated gradients in :func:`signals`, likewise."""
    return _draw(data, "gradients", "gradient, relative to the output's")


FIGURES = (
    Figure(
        "glorot2010-fig6",
        "glorot2010",
        "Figure 6",
        "02-initialization",
        "Activations by layer, standard and normalized initialization",
        signals,
        draw_activations,
        {"chapter": 8, "paper": 60},
    ),
    Figure(
        "glorot2010-fig7",
        "glorot2010",
        "Figure 7",
        "02-initialization",
        "Back-propagated gradients by layer, standard and normalized initialization",
        signals,
        draw_gradients,
        {"chapter": 8, "paper": 60},
        data_of="glorot2010-fig6",
    ),
)
