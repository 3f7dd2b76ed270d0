"""Lee et al. 2018: Gaussian processes against trained networks of growing width, on digits."""

from __future__ import annotations

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from widelimit import activations
from widelimit.architectures import fully_connected
from widelimit.figures import digit_kernels, lee2018, style
from widelimit.figures.registry import Figure
from widelimit.figures.replicates import each
from widelimit.lab import networks, training
from widelimit.theory import kernels

#: Images for training, for the choice of settings, and for testing.
TRAIN, VALIDATION, TEST = 200, 300, 1000
#: Widths of tanh networks; ReLU networks are trained at the last but one.
WIDTHS = (32, 128, 256)
#: Hidden layers of the networks, σ_w² and rates of Adam that are tried, and how often each is.
DEPTH, WEIGHT_VARS, RATES, SEEDS = 2, (0.5, 2.0), (1e-3, 4e-3), 4
#: Steps and images in a batch.
STEPS, BATCH = 300, 50
#: Depths, and for ReLU σ_w² (σ_b² being 0.1), of the Gaussian processes that are tried.
GP_DEPTHS, RELU_WEIGHT_VARS, RELU_BIAS_VAR = (1, 3, 10), (0.5, 1.0, 1.6, 2.0), 0.1
#: σ_ε² of the Gaussian processes.
NOISE_VAR = 1e-10
#: Test accuracies that the paper reports (table 1): data, examples, and network and Gaussian
#: process for ReLU and then for tanh.
TABLE = (
    ("MNIST", "1k", 0.9252, 0.9279, 0.9254, 0.9266),
    ("MNIST", "10k", 0.9771, 0.9765, 0.9745, 0.9773),
    ("MNIST", "50k", 0.9864, 0.9875, 0.9857, 0.9879),
    ("CIFAR-10", "1k", 0.3225, 0.3608, 0.3378, 0.3702),
    ("CIFAR-10", "10k", 0.4545, 0.4780, 0.4429, 0.4766),
    ("CIFAR-10", "45k", 0.5313, 0.5566, 0.5034, 0.5558),
)


def against_width(key: jax.Array, scale: str) -> dict[str, np.ndarray]:
    """Test accuracies on one split, with the settings that were best on other images.

    Args:
      key: a random key.
      scale: sets the widths.

    Returns:
      ``widths``; ``tanh``: of the chosen networks, ``[widths, SEEDS]``, and ``relu``: at one width,
      ``[SEEDS]``; ``tanh_gp``, ``relu_gp``: of the chosen Gaussian processes.
    """
    widths = {"chapter": WIDTHS, "paper": (32, 128, 512, 1024, 2048)}[scale]
    split_key, networks_key = jax.random.split(key)
    problem = digit_kernels.problem(split_key, TRAIN, VALIDATION + TEST)
    found = {
        "widths": np.array(widths),
        "tanh_gp": np.array(_best(_tanh_processes(problem))),
        "relu_gp": np.array(_best(_relu_processes(problem))),
    }
    chosen = []
    for (name, width), one in each(
        [*(("tanh", width) for width in widths), ("relu", widths[-2])], networks_key, "networks"
    ):
        chosen.append(_best(_networks(name, width, one, problem)))
    return {**found, "tanh": np.stack(chosen[:-1]), "relu": chosen[-1]}


def _best(right):
    """Accuracy on the test images of the setting that is best on the others.

    The argument says which images are right, ``[settings, ..., images]``.
    """
    chosen, tested = np.split(right, [VALIDATION], axis=-1)
    settings = chosen.reshape(len(chosen), -1).mean(axis=1)
    return tested[np.argmax(settings)].mean(axis=-1)


def _right(outputs, problem):
    return np.argmax(outputs, axis=-1) == problem.classes


def _tanh_processes(problem):
    table, of_map = lee2018.deep_kernels(), slice(None, -3)
    basis, found = digit_kernels.basis(problem), []
    for depth in GP_DEPTHS:
        correlation = table.correlations(basis, [depth], of_map)[0]
        var = table.var[depth, of_map]
        means = digit_kernels.posterior_means(correlation, var, problem, NOISE_VAR)
        found.append(_right(means, problem))
    return np.concatenate(found)


def _relu_processes(problem):
    x, relu = digit_kernels.digits().x, activations.get("relu")
    inside, both = x[problem.train], x[np.concatenate([problem.train, problem.test])]
    found = []
    for depth, weight_var in product(GP_DEPTHS, RELU_WEIGHT_VARS):
        architecture = fully_connected(depth, relu, weight_var, RELU_BIAS_VAR)
        kernel = np.asarray(kernels.nngp(architecture, inside, both))
        var = np.asarray(kernel[0, 0])  # that of every image
        mean = digit_kernels.posterior_means(kernel / var, var, problem, NOISE_VAR)
        found.append(_right(mean, problem))
    return np.stack(found)


def _networks(name, width, key, problem):
    """Networks of one width at every setting, ``[settings, SEEDS, images]``."""
    x, activation = digit_kernels.digits().x, activations.get(name)
    widths = (x.shape[1], *[width] * DEPTH, digit_kernels.CLASSES)
    grid = np.array(list(product(WEIGHT_VARS, RATES)), np.float32)

    def make(key, setting):
        return networks.FullyConnected(key, widths, activation, weight_var=setting[0])

    def loss(network, batch, key):
        images, targets = batch
        return jnp.mean(jnp.sum((network(images) - targets) ** 2, axis=1)) / 2

    trained = training.train(
        make,
        loss,
        lambda network, setting: optax.adam(setting[1]),
        (x[problem.train], problem.targets),
        jax.random.split(key, len(grid) * SEEDS),
        steps=STEPS,
        settings=np.repeat(grid, SEEDS, axis=0),
        batch_size=BATCH,
        chunk=STEPS,
        evaluate=lambda network, _: network(x[problem.test]),
        description=f"{name}, width {width}",
    )
    outputs = np.asarray(trained.evaluations[:, -1])
    return _right(outputs.reshape(len(grid), SEEDS, *outputs.shape[1:]), problem)


def draw_against_width(data: dict[str, np.ndarray]) -> Canvas:
    """Accuracies of networks against width, and of the Gaussian process."""
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    widths, found = data["widths"], data["tanh"]
    each_one, blue = np.repeat(widths, found.shape[1]), style.EXPERIMENT
    axis.plot(each_one, found.ravel(), "o", color=blue, mfc="none")
    axis.plot(widths, found.mean(axis=1), "o-", color=blue, lw=1, label="tanh networks, mean")
    axis.axhline(data["tanh_gp"], color=style.THEORY, label="Gaussian process")
    axis.set_xscale("log")
    style.width_axis(axis, widths)
    axis.set(xlabel="width n", ylabel="test accuracy")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


FIGURES = (
    Figure(
        "lee2018-width",
        "lee2018",
        "figure 1",
        "06-nngp",
        "Accuracy of trained networks against width, and of the Gaussian process",
        against_width,
        draw_against_width,
        {"chapter": 20, "paper": 1200},
    ),
)
