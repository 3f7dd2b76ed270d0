"""Schoenholz et al. 2017: how deep a random network can be and still be trained."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas
from matplotlib.patheffects import Normal, Stroke

from widelimit import ledger
from widelimit.figures import style
from widelimit.figures.he2015 import digits_split
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import draw_points
from widelimit.figures.schoenholz2017 import BIAS_VAR
from widelimit.figures.tanh_networks import TANH
from widelimit.lab import networks, training
from widelimit.theory import phases

#: σ_w² of the networks: in order, about the edge, in chaos.
ORDERED, AROUND, CHAOTIC = (0.75, 0.9, 1.05), (1.4, 1.761, 2.2), (3.0, 6.0)
#: All of them, in order.
WEIGHT_VARS = (*ORDERED, *AROUND, *CHAOTIC)
#: Numbers of hidden layers, without and with dropout.
DEPTHS, DROPOUT_DEPTHS = (4, 8, 15, 28), (8, 15, 28)
#: Plain SGD: its rate, examples in a batch, and the steps after which accuracy is measured.
RATE, BATCH, BUDGETS = 0.05, 16, (16, 64)
#: Networks of each kind in order, in chaos, and about the edge, where no claim is made.
RUNS, RUNS_CHAOTIC, RUNS_AROUND = 48, 16, 2
#: Examples that are classified to measure the accuracy.
CLASSIFIED = 128
#: Networks count as trained if they classify this share of training examples; chance is 0.1.
TRAINED = 0.4
#: With dropout: the share of units that is kept, and how many networks.
KEEP_PROB, DROPOUT_RUNS = 0.9, 2
#: The multiple of ξ_c that Schoenholz and colleagues draw.
MULTIPLE = 6


def accuracies(
    key: jax.Array,
    runs: dict[float, int],
    depths: tuple[int, ...],
    steps: int,
    chunk: int,
    width: int = 48,
    keep_prob: float = 1.0,
) -> np.ndarray:
    """Train tanh networks on digits, and classify training examples now and then.

    Args:
      key: a random key.
      runs: how many networks there are of each σ_w².
      depths: numbers of hidden layers.
      steps: number of updates.
      chunk: after so many updates, again and again, accuracy is measured.
      width: n, of the hidden layers; the rate is RATE·48/n.
      keep_prob: ρ during training; accuracy is measured without dropout.

    Returns:
      Shares of right classes, ``[depths, networks, points]``, networks in the order of ``runs``.
    """
    key_split, key_runs = jax.random.split(key)
    sets = digits_split(key_split)
    weight_vars = jnp.array([w for w, count in runs.items() for _ in range(count)])

    def loss(network, batch, key):
        x, y = batch
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(network(x, key), y))

    def evaluate(network, _weight_var):
        right = jnp.argmax(network(sets["x"][:CLASSIFIED]), axis=1) == sets["y"][:CLASSIFIED]
        return jnp.mean(right, dtype=jnp.float32)

    found = []
    for index, depth in enumerate(depths):
        widths = (64, *[width] * depth, 10)

        def make(key, weight_var, widths=widths):
            return networks.FullyConnected(
                key, widths, TANH, weight_var=weight_var, bias_var=BIAS_VAR, keep_prob=keep_prob
            )

        done = training.train(
            make,
            loss,
            lambda *_: optax.sgd(RATE * 48 / width),
            (sets["x"], sets["y"]),
            jax.random.split(jax.random.fold_in(key_runs, index), len(weight_vars)),
            steps=steps,
            settings=weight_vars,
            batch_size=BATCH,
            chunk=chunk,
            evaluate=evaluate,
            description=f"training, {depth} layers",
        )
        found.append(np.asarray(done.evaluations, float))
    return np.stack(found)


def _grid(key, scale, runs, depths, keep_prob=1.0):
    width, more = {"chapter": (48, ()), "paper": (300, (48, 72, 110))}[scale]
    depths = (*depths, *more)
    found = accuracies(key, runs, depths, BUDGETS[-1], BUDGETS[0], width, keep_prob)
    at = [1, BUDGETS[-1] // BUDGETS[0]]
    columns = np.repeat(np.arange(len(runs)), list(runs.values()))
    point = phases.phase_diagram(TANH, np.array(list(runs)), BIAS_VAR, keep_prob)
    grid = {f"{w}": found[:, columns == i][:, :, at] for i, w in enumerate(runs)}
    return grid | {
        "depths": np.array(depths),
        "xi_c": np.asarray(point.xi_c),
        "xi_grad": np.abs(np.asarray(point.xi_grad)),
    }


def trainability(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Accuracy over depth and σ_w² after few steps of SGD.

    Args:
      key: a random key.
      scale: sets width and depths.

    Returns:
      For each σ_w² W: accuracies ``W``, ``[depths, networks, 2]``, after 16 and 64 steps;
      ``depths``; ``xi_c`` and the size of ``xi_grad`` by σ_w².

    Source: Schoenholz et al. 2017, figure 5.
    """
    runs = dict.fromkeys(ORDERED, RUNS) | dict.fromkeys(AROUND, RUNS_AROUND)
    runs |= dict.fromkeys(CHAOTIC, RUNS_CHAOTIC)
    return _grid(key, scale, runs, DEPTHS)


def with_dropout(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """The same with dropout.

    Args:
      key: a random key.
      scale: as for :func:`trainability`.

    Returns:
      As :func:`trainability`.
    """
    runs = dict.fromkeys(WEIGHT_VARS, DROPOUT_RUNS)
    return _grid(key, scale, runs, DROPOUT_DEPTHS, KEEP_PROB)


def trained_depth(
    depths: np.ndarray, accuracy: np.ndarray, threshold: float = TRAINED
) -> np.ndarray:
    """The depth at which accuracy falls below a threshold.

    Args:
      depths: rising, ``[depths]``.
      accuracy: at these, ``[..., depths]``.
      threshold: between 0.1, chance, and 1.

    Returns:
      The first crossing, on straight lines between neighbouring points over the logarithm of the
      depth, ``[...]``; NaN if the first point is below, or none.
    """
    below = np.argmax(accuracy < threshold, axis=-1)[..., None]
    above = np.maximum(below - 1, 0)
    before, after = (np.take_along_axis(accuracy, at, -1) for at in (above, below))
    share = (before - threshold) / np.where(below > 0, before - after, np.nan)
    low, high = np.log(depths[above]), np.log(depths[below])
    return np.exp(low + share * (high - low))[..., 0]


def replicates(data: dict[str, np.ndarray], weight_vars: tuple[float, ...]) -> np.ndarray:
    """Accuracies of several kinds of networks, one network of each kind and depth a replicate.

    Args:
      data: from :func:`trainability`.
      weight_vars: which kinds; of all as many networks are taken as there are of the rarest.

    Returns:
      Shape ``[replicates, budgets, kinds, depths]``.
    """
    networks = [data[f"{w}"].transpose(1, 2, 0) for w in weight_vars]
    fewest = min(map(len, networks))
    return np.stack([one[:fewest] for one in networks], axis=2)


def scales_of(data: dict[str, np.ndarray], name: str, weight_vars: tuple[float, ...]) -> np.ndarray:
    """A depth scale at some of the weight variances.

    Args:
      data: from :func:`trainability`.
      name: ``"xi_c"`` or ``"xi_grad"``.
      weight_vars: some of ``WEIGHT_VARS``.

    Returns:
      In layers, in their order.
    """
    return data[name][[WEIGHT_VARS.index(w) for w in weight_vars]]


def draw_grid(data: dict[str, np.ndarray]) -> Canvas:
    """Accuracy as a map over σ_w² and depth, with multiples of ξ_c."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.9), sharey=True)
    depths, columns = data["depths"], np.arange(len(WEIGHT_VARS))
    for budget, axis in enumerate(axes):
        mean = np.stack([data[f"{w}"].mean(axis=1)[:, budget] for w in WEIGHT_VARS], axis=1)
        rows, step = np.arange(len(depths)), np.log(depths[-1] / depths[-2])
        # A row for each depth; the axis goes on beyond the first and the last.
        at = [np.log(depths[0]) - 9 * step, *np.log(depths), np.log(depths[-1]) + 9 * step]
        image = axis.pcolormesh(columns, rows, mean, vmin=0.1, vmax=1, shading="nearest")
        horizon = np.interp(np.log(MULTIPLE * data["xi_c"]), at, [-9, *rows, rows[-1] + 9])
        line = axis.plot(columns, horizon, "--", color="white", lw=2, label=f"{MULTIPLE} ξ_c")
        line[0].set_path_effects([Stroke(linewidth=4, foreground=style.THEORY), Normal()])
        axis.set(title=f"after {BUDGETS[budget]} steps", ylim=(-0.5, len(depths) - 0.5))
        axis.set_xticks(columns, [f"{w:g}" for w in WEIGHT_VARS], rotation=60)
        axis.set_yticks(rows, depths)
        axis.set_xlabel("σ_w²")
    axes[0].set_ylabel("hidden layers")
    figure.legend(handles=line, loc="outside upper center")
    figure.colorbar(image, ax=axes, label="accuracy", shrink=0.9)
    return figure


def draw_boundary(data: dict[str, np.ndarray]) -> Canvas:
    """Trained depth against ξ_c, in order and in chaos, after both budgets."""
    figure, axis = plt.subplots(figsize=(6.4, 4.4))
    for kinds, marker, name in ((ORDERED, "o", "order"), (CHAOTIC, "^", "chaos")):
        for budget, color in enumerate(style.KINDS[:2]):
            found = np.stack(
                [
                    ledger.pseudo_values(partial(trained_depth, data["depths"]), one)
                    for one in replicates(data, kinds)[:, budget].swapaxes(0, 1)
                ],
                axis=1,
            )
            label = f"{name}, {BUDGETS[budget]} steps"
            draw_points(axis, scales_of(data, "xi_c", kinds), found, label, marker, color)
    ends = np.array([1.4, 10.0])
    for multiple, dash in ((2, ":"), (4, "-."), (MULTIPLE, "--")):
        axis.plot(ends, multiple * ends, dash, color=style.GUIDE, lw=1.2, label=f"{multiple} ξ_c")
    axis.set(xscale="log", yscale="log", xlabel="ξ_c", ylabel="trained depth")
    axis.set_xticks([1.5, 2, 3, 4, 6, 9], ["1.5", "2", "3", "4", "6", "9"])
    axis.set_yticks([5, 10, 20, 40], ["5", "10", "20", "40"])
    axis.minorticks_off()
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _figure(name, title, compute, draw, seconds, data_of=None):
    number = "figure 5" if compute is trainability else "with dropout"
    paper, chapter = "schoenholz2017", "04-propagation"
    return Figure(name, paper, number, chapter, title, compute, draw, seconds, data_of)


FIGURES = (
    _figure(
        "schoenholz2017-grid",
        "Accuracy over depth and weight variance after few steps",
        trainability,
        draw_grid,
        {"chapter": 18, "paper": 7000},
    ),
    _figure(
        "schoenholz2017-boundary",
        "Trained depth against the depth scale of correlations",
        trainability,
        draw_boundary,
        {"chapter": 18, "paper": 7000},
        "schoenholz2017-grid",
    ),
    _figure(
        "schoenholz2017-dropout-grid",
        "The same accuracy with dropout",
        with_dropout,
        draw_grid,
        {"chapter": 10, "paper": 4000},
    ),
)
