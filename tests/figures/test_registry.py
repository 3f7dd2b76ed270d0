"""The registry finds figures in whatever modules there are; the style is the same everywhere."""

import os
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Drawing

import widelimit.figures
from widelimit.figures import registry, style
from widelimit.figures.registry import Figure

FIELDS = {
    "name": "made2000-fig1",
    "paper": "made2000",
    "number": "Figure 1",
    "chapter": "98-made",
    "title": "Nothing",
    "compute": lambda key, scale: {},
    "draw": lambda data: None,
    "seconds": {"chapter": 1, "paper": 60},
}

MODULE = """
from widelimit.figures.registry import Figure
FIGURES = tuple(
    Figure(name=name, paper="made2000", number="Figure 1", chapter={chapter!r}, title="Nothing",
           compute=lambda key, scale: {{}}, draw=lambda data: None,
           seconds={{"chapter": 1, "paper": 60}})
    for name in {names!r}
)
"""


@pytest.fixture
def add_module(tmp_path, monkeypatch):
    """Write a module that the package `widelimit.figures` then holds, alone."""
    monkeypatch.setattr(widelimit.figures, "__path__", [str(tmp_path)])
    added = []

    def add(module, source):
        (tmp_path / f"{module}.py").write_text(source)
        added.append(f"widelimit.figures.{module}")

    yield add
    for name in added:
        sys.modules.pop(name, None)
        vars(widelimit.figures).pop(name.rpartition(".")[2], None)


def test_finds_every_figure_by_chapter(add_module):
    add_module("aaa2000", MODULE.format(chapter="99-late", names=["aaa2000-fig1"]))
    add_module("zzz2000", MODULE.format(chapter="98-soon", names=["zzz2000-fig2", "zzz2000-fig1"]))
    found = registry.figures()
    assert list(found) == ["zzz2000-fig2", "zzz2000-fig1", "aaa2000-fig1"]
    assert all(name == figure.name for name, figure in found.items())
    assert registry.get("aaa2000-fig1") is found["aaa2000-fig1"]


def test_the_figures_of_the_book():
    found = registry.figures()
    assert found
    for name, figure in found.items():
        assert name.startswith(f"{figure.paper}-"), f"{name} does not begin with its paper's key"
        assert callable(figure.compute)
        assert callable(figure.draw)


def test_unknown_name_suggests_the_nearest(add_module):
    add_module("zzz2000", MODULE.format(chapter="98-soon", names=["zzz2000-fig1", "zzz2000-fig2"]))
    with pytest.raises(ValueError, match=r"'ZZZ2000-fg2'.*did you mean 'zzz2000-fig2'\?"):
        registry.get("ZZZ2000-fg2")


def test_unknown_name_in_an_empty_book(monkeypatch):
    monkeypatch.setattr(widelimit.figures, "__path__", [])
    with pytest.raises(ValueError, match="there are none yet"):
        registry.get("anything")


def test_two_figures_of_one_name_are_refused(add_module):
    for module in ("yyy2000", "zzz2000"):
        add_module(module, MODULE.format(chapter="98-soon", names=["same-fig1"]))
    with pytest.raises(ValueError, match=r"'same-fig1'.*figures\.yyy2000.*figures\.zzz2000"):
        registry.figures()


def test_an_entry_that_is_no_figure_is_refused(add_module):
    add_module("zzz2000", "FIGURES = ('zzz2000-fig1',)")
    with pytest.raises(TypeError, match=r"zzz2000\.FIGURES holds 'zzz2000-fig1'"):
        registry.figures()


@pytest.mark.parametrize("name", ["", "Fig 1", "a/b", "../a", "a--b", "a-", "fig_1"])
def test_a_name_must_serve_as_a_file_name(name):
    with pytest.raises(ValueError, match="name="):
        Figure(**{**FIELDS, "name": name})


@pytest.mark.parametrize(
    "seconds", [{}, {"chapter": 1}, {"chapter": 1, "paper": 0}, {"chapter": 1, "paper": 1, "x": 1}]
)
def test_seconds_are_given_for_each_scale(seconds):
    with pytest.raises(ValueError, match="seconds="):
        Figure(**{**FIELDS, "seconds": seconds})


def test_importing_the_registry_and_style_sets_nothing():
    code = (
        "import sys, widelimit.figures, widelimit.figures.registry, widelimit.figures.style\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'jax' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


DRAW = """
import sys, numpy as np, matplotlib
matplotlib.use("agg")
from matplotlib import pyplot as plt
from widelimit.figures import style
style.apply()
figure, (left, right) = plt.subplots(1, 2)
x = np.linspace(0, 1, 20)
left.plot(x, x**2, color=style.THEORY, label=r"$\\sigma_w^2$")
left.errorbar(x, x**2, 0.1, fmt="o", color=style.EXPERIMENT, label="measured")
left.fill_between(x, x, x**2)
left.legend()
right.imshow(np.outer(x, x))
right.scatter(x, x)
sys.stdout.buffer.write(style.svg_bytes(figure))
assert not plt.get_fignums()
"""


def test_svg_is_the_same_bytes_in_another_process():
    first, second = (
        subprocess.run(
            [sys.executable, "-c", DRAW],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    )
    assert first == second
    assert first.startswith(b"<?xml")
    assert b"<dc:date>" not in first
    assert b"<text" not in first  # glyphs are outlines


def test_svg_bytes_leaves_the_settings_alone():
    before = dict(matplotlib.rcParams)
    assert b"<svg" in style.svg_bytes(Drawing())
    assert dict(matplotlib.rcParams) == before


def test_apply_makes_the_style_current():
    with matplotlib.rc_context():
        style.apply()
        assert Drawing().get_size_inches().tolist() == [6.4, 3.6]


def lightness(color):
    """CIE L*, what is left of a colour in grey print."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 116 * np.cbrt(np.dot([0.2126, 0.7152, 0.0722], linear)) - 16


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_width_colors_darken_with_width_towards_theory(n):
    steps = [lightness(color) for color in style.width_colors(n)]
    assert len(steps) == n
    assert all(np.diff(steps) < -3)  # a visible step, also in grey
    assert 100 - steps[0] > 20  # stands out from white
    assert steps[-1] > lightness(style.THEORY)


def test_width_colors_needs_a_count():
    with pytest.raises(ValueError, match="n=0"):
        style.width_colors(0)


def test_roles_differ_in_grey():
    roles = [style.THEORY, style.EXPERIMENT, style.RIVAL, style.GUIDE]
    marks = sorted(map(lightness, roles[:2] + roles[3:]))
    assert min(np.diff(marks)) > 10
