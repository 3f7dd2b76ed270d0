"""What a chapter's first cell sets up, and how a figure reaches the page."""

import base64
import json
from html import unescape

import jax
import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas

import widelimit
from widelimit.figures import style
from widelimit.notebook import Run, setup

VARIABLES = ("WIDELIMIT_SEED", "WIDELIMIT_SCALE", "WIDELIMIT_DRAW")
RUN = Run(seed=0, scale="chapter", draws_figures=True)


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """No variable set, and JAX and matplotlib as they were, whatever a test does."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    before = jax.config.jax_enable_x64
    with matplotlib.rc_context():
        yield
    jax.config.update("jax_enable_x64", before)


def test_setup_sets_double_precision_and_the_style():
    jax.config.update("jax_enable_x64", False)
    assert setup() == Run(seed=0, scale="chapter", draws_figures=True)
    assert jax.numpy.ones(()).dtype == jax.numpy.float64
    assert matplotlib.rcParams["svg.hashsalt"] == style.RC["svg.hashsalt"]
    assert setup() == setup()  # again does no harm


def test_setup_is_the_packages():
    assert widelimit.setup is setup or widelimit.setup() == setup()


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("WIDELIMIT_SEED", "17", "seed", 17),
        ("WIDELIMIT_SEED", "4294967295", "seed", 2**32 - 1),
        ("WIDELIMIT_SEED", "", "seed", 0),
        ("WIDELIMIT_SCALE", "", "scale", "chapter"),
        ("WIDELIMIT_SCALE", "paper", "scale", "paper"),
        ("WIDELIMIT_DRAW", "0", "draws_figures", False),
        ("WIDELIMIT_DRAW", "1", "draws_figures", True),
    ],
)
def test_setup_reads_the_environment(monkeypatch, variable, value, field, expected):
    monkeypatch.setenv(variable, value)
    assert getattr(setup(), field) == expected


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(("WIDELIMIT_SEED", value) for value in ("-1", "1.5", "seven", "1e3", "²", "4294967296")),
        *(("WIDELIMIT_SCALE", value) for value in ("Chapter", "huge")),
    ],
)
def test_setup_names_a_bad_variable(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    before = jax.config.jax_enable_x64
    with pytest.raises(ValueError, match=f"{variable} is '{value}'"):
        setup()
    assert jax.config.jax_enable_x64 == before  # refused before anything is set


def numbers(key):
    return np.asarray(jax.random.normal(key, (8,)))


def test_keys_depend_on_name_and_seed_alone():
    np.testing.assert_array_equal(numbers(RUN.key("a")), numbers(Run(0, "paper", False).key("a")))
    several = [numbers(Run(seed, "chapter", True).key(n)) for seed in range(3) for n in ("a", "b")]
    assert len(np.unique(several, axis=0)) == 6


def test_keys_of_replicates_differ():
    keys = RUN.keys("a", 20)
    assert keys.shape == (20,)
    drawn = np.array([numbers(key) for key in keys])
    assert len(np.unique(drawn, axis=0)) == 20
    np.testing.assert_array_equal(drawn, [numbers(key) for key in RUN.keys("a", 20)])
    assert not np.any(drawn == numbers(RUN.key("a")))
    # Nor the keys that an experiment makes by folding numbers into its own.
    folded = [numbers(jax.random.fold_in(RUN.key("a"), i)) for i in range(20)]
    assert len(np.unique([*drawn, *folded], axis=0)) == 40


@pytest.fixture
def shown(monkeypatch):
    """Whatever is displayed, as (data, metadata)."""
    outputs = []

    def display(data, *, raw, metadata):
        assert raw
        outputs.append((data, metadata))

    # Without a kernel IPython's own would print.
    monkeypatch.setattr("IPython.display.display", display)
    return outputs


def draw(data):
    canvas = Canvas()
    canvas.subplots().plot(data)
    return canvas


WORDS = {"number": "1.2", "caption": "Points lie on lines.", "alt": "A rising line."}


def test_show_is_one_output_with_words(shown):
    assert RUN.show(draw, [1, 2, 3], **WORDS) is None
    ((data, metadata),) = shown
    assert set(data) == {"text/html", "text/plain"}
    html = data["text/html"]
    assert 'id="figure-1-2"' in html
    assert 'alt="A rising line."' in html
    assert "<strong>Figure 1.2.</strong> Points lie on lines.</figcaption>" in html
    assert data["text/plain"] == "Figure 1.2. Points lie on lines.\n[A rising line.]"
    svg = base64.b64decode(html.partition("base64,")[2].partition('"')[0])
    assert svg == style.svg_bytes(draw([1, 2, 3]))
    about = {"number": "1.2", "caption": WORDS["caption"], "alt": WORDS["alt"], "bytes": len(svg)}
    assert metadata == {"widelimit": {"figure": about}}
    assert json.dumps([data, metadata])


def test_show_escapes_what_it_says(shown):
    nasty = 'a < b & "c" <script>alert(1)</script>'
    RUN.show(draw, [1], number="1.10", caption=nasty, alt=nasty)
    ((data, metadata),) = shown
    html = data["text/html"]
    assert "<script" not in html
    alt = html.partition('alt="')[2].partition('"')[0]
    assert unescape(alt) == nasty
    assert unescape(html).count(nasty) == 2
    assert nasty in data["text/plain"]
    assert metadata["widelimit"]["figure"]["caption"] == nasty
    assert 'id="figure-1-10"' in html


def never(data):
    raise AssertionError("drawn")


def test_show_draws_nothing_when_told_so(shown):
    Run(0, "chapter", False).show(never, None, **WORDS)
    assert shown == []


@pytest.mark.parametrize("draws_figures", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        *(
            ({"number": bad}, "number is")
            for bad in ("", "1", "1.", ".2", "1.2.3", "a.1", "1.2 ", "1.²")
        ),
        ({"caption": " "}, "figure 1.2: caption is empty"),
        ({"alt": ""}, "figure 1.2: alt is empty"),
    ],
)
def test_show_refuses(change, message, draws_figures, shown):
    # Also when nothing is drawn: a run at another seed must not find less.
    with pytest.raises(ValueError, match=message):
        Run(0, "chapter", draws_figures).show(never, None, **{**WORDS, **change})
    assert shown == []
