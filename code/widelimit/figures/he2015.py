"""He, Zhang, Ren & Sun 2015: training rectified networks of 22 and 30 layers from two variances.

The paper trains convolutional networks on ImageNet. Here the networks are fully connected, of the
same depths, on scikit-learn's digits; every difference is said in the chapter.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit import activations
from widelimit.figures import style
from widelimit.figures.registry import Figure
from widelimit.lab import networks, training
from widelimit.lab.data import load, standardized

#: The activation of all networks.
RELU = activations.get("relu")

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
    digits = load("digits")
    x = standardized(digits.x)
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
        rates = networks.of_parameters(
            network,
            lambda index, kind: setting["hidden_biases"] if kind == "bias" and index < last else 1,
        )
        return networks.scaled(getattr(optax, name)(RATES[name]), rates)

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
      For each start S: ``S_loss``, of the batches, ``[networks, steps]``; ``S_train``, mean loss
      over the training set, and ``S_test``, accuracy, ``[networks, points]``; ``at``: the steps of
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
        found[f"{name}_loss"] = np.asarray(done.losses[runs])
        for what, values in done.evaluations.items():
            found[f"{name}_{what}"] = np.asarray(values[runs])
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
        if f"{start}_loss" not in data:
            continue
        loss = data[f"{start}_loss"]
        # Twenty batches together, so that the spread seen is that of the networks.
        smooth = loss.reshape(len(loss), -1, 20).mean(axis=2)
        at = 20 * np.arange(smooth.shape[1]) + 10
        axis.plot(at, smooth.T, dash, color=color, lw=0.7, alpha=0.6)
        axis.plot(at, np.median(smooth, axis=0), dash, color=color, lw=2.4, label=label)
        drop = np.log(10) - data[f"{start}_train"]
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
