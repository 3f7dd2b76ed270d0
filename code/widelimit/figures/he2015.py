"""He, Zhang, Ren & Sun 2015: how much variance rectified networks need, and training with it.

The paper trains convolutional networks on ImageNet. Here the networks are fully connected, of the
same depths, on scikit-learn's digits; every difference is said in the chapter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import NullLocator

from widelimit import activations
from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import REPLICATES, draw_points, each, in_groups
from widelimit.lab import data, networks, training
from widelimit.parametrizations import FAN_AVG, FAN_OUT, STANDARD
from widelimit.theory import initialization

#: The activation of most of this module.
RELU = activations.get("relu")
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
    delta = networks.backpropagated(network, batch, jnp.sum)
    mean_square = lambda values: jnp.mean(values**2)  # noqa: E731
    forward, backward = (networks.by_layer(mean_square, one) for one in (h, delta))
    read = networks.by_layer(lambda one: mean_square(network.activation(one)), h)
    read = jnp.concatenate([jnp.ones(1, jnp.float32), read[:-1]])
    return {"forward": forward, "backward": backward, "weights": backward * read}


def moments(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Second moments by layer, forward, backward and of the weights' gradients, four scalings.

    Args:
      key: a random key.
      scale: ``"chapter"`` or ``"paper"``; sets the number of networks a replicate.

    Returns:
      ``layers``: 1, …, L + 1; for each scaling S and each of forward, backward, weights:
      ``S_forward``, …, ``[20, L + 1]``, and ``S_forward_theory``, …, ``[L + 1]``.

    Source: chapter 2, equations (2.5), (2.8) and (2.9).
    """
    depth, width, count = 20, 64, {"chapter": 25, "paper": 5000}[scale]
    widths = (*[width] * (depth + 1), 1)
    found = {"layers": np.arange(1, depth + 2)}
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
    drawn = networks.measured(make, measure, keys, variances, together=min(count, 100))
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
    squares = networks.by_layer(lambda one: jnp.sum(one**2), h)[:-1]
    return squares, squares**2


def lengths(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """How E|h^l|⁴/(E|h^l|²)² grows from layer to layer in narrow ReLU networks with He's weights.

    Args:
      key: a random key.
      scale: sets the number of networks a replicate.

    Returns:
      ``layers``: 1, …, 4; for each width N of ``NARROW``: ``ratio_N``, ``[20, 4]``, and
      ``ratio_N_theory``, ``[4]``.

    Source: chapter 2, equation (2.13).
    """
    depth, found = 4, {"layers": np.arange(1, 5)}
    for width, one in each(NARROW, key, "lengths"):
        count = {"chapter": 64_000, "paper": 1_920_000}[scale] // width
        make = _maker((*[width] * (depth + 1), 1), "relu")
        second, fourth = _measured(make, _squared_lengths, 2.0, one, count)
        found[f"ratio_{width}"] = fourth / second**2
        growth = initialization.squared_length_growth(RELU, width)
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


#: Width of every hidden layer of the trained networks.
TRAINED_WIDTH = 64
#: Learning rate of plain SGD, and of Adam.
RATES = {"sgd": 0.02, "adam": 0.001}
#: Examples in a batch.
BATCH = 64
#: Updates by SGD.
STEPS = 600


def digits_split(key: jax.Array) -> dict[str, np.ndarray]:
    """Digits for training and testing, in a random order.

    Args:
      key: a random key.

    Returns:
      ``x``, ``[1500, 64]``, and ``test_x``, ``[297, 64]``: pixels centred, all with mean square 1;
      ``y`` and ``test_y``: the classes.
    """
    digits = data.load("digits")
    x = digits.x - digits.x.mean(axis=0)
    x /= np.sqrt(np.mean(x**2))
    order = np.asarray(jax.random.permutation(key, len(x)))
    chosen, rest = order[:1500], order[1500:]
    return {"x": x[chosen], "y": digits.y[chosen], "test_x": x[rest], "test_y": digits.y[rest]}


def _cross_entropy(network, batch, _key=None):
    x, y = batch
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(network(x), y))


@dataclass(frozen=True)
class Start:
    """How some of the networks of a figure start and are trained.

    Args:
      weight_var: σ_w².
      networks: how many of them.
      hidden_biases: whether the biases of the hidden layers are trained; if not they stay 0.
    """

    weight_var: float
    networks: int
    hidden_biases: bool = True


def _optimizer(name):
    """From a network and a setting to the optimizer, which leaves hidden biases if told so."""

    def made(network, setting):
        last = len(network.layers) - 1

        def kept(path, update):
            hidden_bias = path[2].key == "bias" and path[1].key < last
            return update * setting["hidden_biases"] if hidden_bias else update

        keep = lambda updates, _: jax.tree_util.tree_map_with_path(kept, updates)  # noqa: E731
        return optax.chain(getattr(optax, name)(RATES[name]), optax.stateless(keep))

    return made


def trained(
    key: jax.Array, depth: int, optimizer: str, starts: dict[str, Start], steps: int
) -> dict[str, np.ndarray]:
    """Train deep ReLU networks on digits from several starts.

    Args:
      key: a random key.
      depth: number of hidden layers.
      optimizer: ``"sgd"`` or ``"adam"``, at the rate of ``RATES``.
      starts: how networks start, by name.
      steps: number of updates.

    Returns:
      For each start S: ``loss_S``, of the batches, ``[networks, steps]``; ``train_S``, mean loss
      over the training set, and ``test_S``, accuracy, ``[networks, points]``; ``at``: the steps of
      the points; ``entropy``: of the classes in the training set, in nats.
    """
    key_split, key_runs = jax.random.split(key)
    sets = digits_split(key_split)
    widths = (64, *[TRAINED_WIDTH] * depth, 10)

    def make(key, setting):
        return networks.FullyConnected(key, widths, RELU, weight_var=setting["weight_var"])

    def evaluate(network, _setting):
        right = jnp.argmax(network(sets["test_x"]), axis=1) == sets["test_y"]
        return {
            "train": _cross_entropy(network, (sets["x"], sets["y"])),
            "test": jnp.mean(right, dtype=jnp.float32),
        }

    each_run = [start for start in starts.values() for _ in range(start.networks)]
    done = training.train(
        make,
        _cross_entropy,
        _optimizer(optimizer),
        (sets["x"], sets["y"]),
        jax.random.split(key_runs, len(each_run)),
        steps=steps,
        settings={
            "weight_var": jnp.array([start.weight_var for start in each_run]),
            "hidden_biases": jnp.array([float(start.hidden_biases) for start in each_run]),
        },
        batch_size=BATCH,
        evaluate=evaluate,
        description=f"training, {depth} layers, {optimizer}",
    )
    share = np.bincount(sets["y"]) / len(sets["y"])
    found = {"at": np.asarray(done.evaluated_at), "entropy": np.array(-share @ np.log(share))}
    first = 0
    for name, start in starts.items():
        runs = slice(first, first + start.networks)
        first += start.networks
        found[f"loss_{name}"] = np.asarray(done.losses[runs])
        for what, values in done.evaluations.items():
            found[f"{what}_{name}"] = np.asarray(values[runs])
    return found


def shallower(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """SGD at 22 layers: 2/n trains at once, 1/n begins to, by way of the hidden biases.

    Args:
      key: a random key.
      scale: ``"chapter"`` or ``"paper"``; sets the number of networks.

    Returns:
      As :func:`trained`, for the starts ``he`` (2/n), ``lecun`` (1/n) and ``frozen`` (1/n, hidden
      biases not trained).
    """
    count = {"chapter": 4, "paper": 20}[scale]
    starts = {"he": Start(2.0, count), "lecun": Start(1.0, count)}
    return trained(key, 22, "sgd", starts | {"frozen": Start(1.0, count // 2, False)}, STEPS)


def deeper(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """SGD at 30 layers: with variance 1/n the plateau is longer.

    Args:
      key: a random key.
      scale: sets the number of networks.

    Returns:
      As :func:`trained`, for the starts ``he`` and ``lecun``.
    """
    counts = {"chapter": (3, 16), "paper": (20, 50)}[scale]
    starts = {"he": Start(2.0, counts[0]), "lecun": Start(1.0, counts[1])}
    return trained(key, 30, "sgd", starts, STEPS)


def rescued(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Adam at 30 layers, from variance 1/n, for 200 steps.

    Args:
      key: a random key.
      scale: sets the number of networks.

    Returns:
      As :func:`trained`, for the start ``lecun``.
    """
    count = {"chapter": 16, "paper": 50}[scale]
    return trained(key, 30, "adam", {"lecun": Start(1.0, count)}, 200)


def draw_trained(data: dict[str, np.ndarray]) -> Canvas:
    """Loss against steps: of the batches, and how far that of all training data is below log 10."""
    figure, (axis, below) = plt.subplots(2, 1, figsize=(6.4, 6.0), sharex=True)
    looks = {
        "he": (style.KINDS[0], "-", "variance 2/n"),
        "lecun": (style.KINDS[1], "-", "variance 1/n"),
        "frozen": (style.KINDS[3], "--", "1/n, hidden biases held at 0"),
    }
    axis.axhline(np.log(10), color=style.THEORY, lw=1.2, label="log 10")
    for start, (color, dash, label) in looks.items():
        if f"loss_{start}" not in data:
            continue
        loss = data[f"loss_{start}"]
        # Twenty batches together, so that the spread seen is that of the networks.
        smooth = loss.reshape(len(loss), -1, 20).mean(axis=2)
        at = 20 * np.arange(smooth.shape[1]) + 10
        axis.plot(at, smooth.T, dash, color=color, lw=0.7, alpha=0.6)
        axis.plot(at, np.median(smooth, axis=0), dash, color=color, lw=2.4, label=label)
        drop = np.log(10) - data[f"train_{start}"]
        drop = np.where(drop > 0, drop, np.nan)  # a start may lie above log 10
        below.plot(data["at"], drop.T, dash, color=color, lw=1.2, marker="o", ms=3)
    axis.set(ylabel="loss of batches", ylim=(0, 2.9))
    below.set(xlabel="step", ylabel="log 10 − training loss", yscale="log")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def _figure(name, number, title, compute, draw, seconds):
    return Figure(name, "he2015", number, "02-initialization", title, compute, draw, seconds)


FIGURES = (
    _figure(
        "he2015-moments",
        "ours",
        "Second moments of signals, gradients and weight gradients by layer",
        moments,
        draw_moments,
        {"chapter": 8, "paper": 300},
    ),
    _figure(
        "he2015-tapered",
        "ours",
        "Halving widths: one condition forward, another backward",
        tapered,
        draw_tapered,
        {"chapter": 6, "paper": 30},
    ),
    _figure(
        "he2015-lengths",
        "ours",
        "A finite-width correction to the power of the depth: 1 + 5/n a layer",
        lengths,
        draw_lengths,
        {"chapter": 6, "paper": 200},
    ),
    _figure(
        "he2015-22-layers",
        "Figure 2",
        "SGD on 22 rectified layers: 2/n trains at once, 1/n only begins to",
        shallower,
        draw_trained,
        {"chapter": 6, "paper": 30},
    ),
    _figure(
        "he2015-30-layers",
        "Figure 3",
        "SGD on 30 rectified layers: with variance 1/n the plateau is longer",
        deeper,
        draw_trained,
        {"chapter": 10, "paper": 30},
    ),
    _figure(
        "he2015-adam",
        "ours",
        "Adam on 30 rectified layers, from variance 1/n",
        rescued,
        draw_trained,
        {"chapter": 6, "paper": 20},
    ),
)
