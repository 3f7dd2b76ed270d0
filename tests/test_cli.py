"""The command line: what it prints, what it writes, and how it fails."""

import hashlib
import json
import os
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure as Drawing

import widelimit
import widelimit.figures
from widelimit import cli, progress
from widelimit.figures import registry
from widelimit.figures.registry import Figure
from widelimit.ledger import Claim, Estimate
from widelimit.notebook import Run


def compute(key, scale):
    points = {"chapter": 5, "paper": 50}[scale]
    return {"x": np.arange(points), "y": jax.random.normal(key, (points,), dtype="float64")}


def draw(data):
    drawing = Drawing()
    drawing.subplots().plot(data["x"], data["y"])
    return drawing


def made(name="made2000-fig1", **changes):
    fields = {
        "name": name,
        "paper": "made2000",
        "number": "Figure 1",
        "chapter": "01-made",
        "title": "A random walk that was never walked, over five points or fifty of them",
        "compute": compute,
        "draw": draw,
        "seconds": {"chapter": 0.5, "paper": 5400},
    }
    return Figure(**{**fields, **changes})


@pytest.fixture
def book(monkeypatch):
    """Put figures in the place of the book's."""
    for name in ("WIDELIMIT_SCALE", "WIDELIMIT_SEED", "WIDELIMIT_PROGRESS"):
        monkeypatch.delenv(name, raising=False)

    def holds(*figures):
        monkeypatch.setattr(registry, "figures", lambda: {f.name: f for f in figures})

    holds(made(), made("made2000-fig2"))
    return holds


def run(capsys, *argv):
    """Exit code, stdout and stderr of a command; an error is exactly one line."""
    code = cli.main(argv)
    out, err = capsys.readouterr()
    assert (code == 0) == (err == "")
    assert err.count("\n") == (code != 0)
    assert err == "" or err.startswith("widelimit: ")
    return code, out, err


def read(folder, name="made2000-fig1"):
    with np.load(folder / f"{name}.npz") as stored:
        data = dict(stored)
    return data, json.loads((folder / f"{name}.json").read_text())


def test_lists_the_figures(book, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run(capsys, "figures")
    assert code == 0
    header, first, title, second, _ = out.splitlines()
    assert header.split("  ")[0] == "figure"
    for part in ("made2000-fig1", "made2000", "01-made", "0.5 s", "1.5 h"):
        assert part in first
    assert title == f"  Figure 1: {made().title}"
    assert second.startswith("made2000-fig2")


def test_the_list_fits_the_terminal(book, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    _, out, _ = run(capsys, "figures")
    assert max(map(len, out.splitlines())) <= 60
    assert "made2000-fig1" in out
    assert "…" in out


def test_a_figure_leaves_data_provenance_and_drawing(book, capsys, tmp_path):
    before = jax.config.jax_enable_x64
    folder = tmp_path / "new" / "folder"
    code, out, _ = run(capsys, "figure", "made2000-fig1", "--out", str(folder))
    assert code == 0
    assert out.split() == [str(folder / f"made2000-fig1.{end}") for end in ("npz", "json", "svg")]
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".npz", ".svg"]
    assert jax.config.jax_enable_x64 == before  # 64 bits while it ran, and no longer

    data, provenance = read(folder)
    assert data["y"].dtype == np.float64
    wanted = {
        "name": "made2000-fig1",
        "paper": "made2000",
        "number": "Figure 1",
        "chapter": "01-made",
        "scale": "chapter",
        "seed": 0,
    }
    assert wanted.items() <= provenance.items()
    assert set(provenance["versions"]) == {
        *("widelimit", "jax", "jaxlib", "numpy", "matplotlib", "python")
    }
    assert provenance["versions"]["jax"] == jax.__version__
    assert provenance["device"]["platform"] == jax.devices()[0].platform
    assert 0 <= provenance["seconds"] < 60
    for name, array in data.items():
        entry = provenance["arrays"][name]
        assert entry["sha256"] == hashlib.sha256(array.tobytes()).hexdigest()
        assert entry["shape"] == list(array.shape)


def test_the_same_command_writes_the_same_bytes(book, capsys, tmp_path):
    for folder in ("a", "b"):
        run(capsys, "figure", "made2000-fig1", "--out", str(tmp_path / folder))
    for end in ("npz", "svg"):
        first, second = (tmp_path / folder / f"made2000-fig1.{end}" for folder in "ab")
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("how", ["environment", "options"])
def test_scale_and_seed(book, capsys, tmp_path, monkeypatch, how):
    monkeypatch.setenv("WIDELIMIT_SCALE", "paper" if how == "environment" else "chapter")
    monkeypatch.setenv("WIDELIMIT_SEED", "7" if how == "environment" else "8")
    options = [] if how == "environment" else ["--scale", "paper", "--seed", "7"]
    assert run(capsys, "figure", "made2000-fig1", "--out", str(tmp_path), *options)[0] == 0
    data, provenance = read(tmp_path)
    assert (provenance["scale"], provenance["seed"]) == ("paper", 7)
    try:
        jax.config.update("jax_enable_x64", True)
        key = Run(7, "paper", draws_figures=True).key("made2000-fig1")  # as in a chapter
        np.testing.assert_array_equal(data["y"], compute(key, "paper")["y"])
    finally:
        jax.config.update("jax_enable_x64", False)
    run(
        capsys, "figure", "made2000-fig1", "--out", str(tmp_path), "--scale", "paper", "--seed", "6"
    )
    assert not np.array_equal(read(tmp_path)[0]["y"], data["y"])


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([], "COMMAND"),
        (["figur"], "invalid choice: 'figur'"),
        (["figure"], "NAME"),
        (["figure", "made2000-fig3"], "no figure is called 'made2000-fig3'; did you mean 'made"),
        (["figure", "made2000-fig1", "--scale", "huge"], "invalid choice: 'huge'"),
        (["figure", "made2000-fig1", "--seed", "-1"], "'-1' is not a whole number"),
        (["figure", "made2000-fig1", "--seed", str(2**32)], "is not a whole number"),
        (["figures", "all"], "unrecognized arguments: all"),
        (["ledger", "--format", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_wrong_usage_is_two(book, capsys, argv, why):
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert why in err


@pytest.mark.parametrize(
    ("variable", "value"), [("WIDELIMIT_SCALE", "big"), ("WIDELIMIT_SEED", "x")]
)
def test_a_wrong_environment_is_two(book, capsys, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    code, _, err = run(capsys, "figure", "made2000-fig1")
    assert code == 2
    assert variable in err
    assert value in err


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_is_found_before_the_work(book, capsys, tmp_path, place):
    def never(key, scale):
        raise AssertionError("computed although the result has nowhere to go")

    book(made(compute=never))
    (tmp_path / "file").touch()
    code, _, err = run(capsys, "figure", "made2000-fig1", "--out", str(tmp_path / place))
    assert code == 1
    assert f"cannot write to {tmp_path / place}" in err


def test_a_failed_drawing_loses_no_data(book, capsys, tmp_path):
    def broken(data):
        raise KeyError("z")

    book(made(draw=broken))
    code, _, err = run(capsys, "figure", "made2000-fig1", "--out", str(tmp_path))
    assert code == 1
    assert "drawing made2000-fig1 failed (KeyError: 'z')" in err
    assert str(tmp_path / "made2000-fig1.npz") in err
    assert read(tmp_path)[0]["x"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("depth=0: give\n at least 1"), "widelimit: depth=0: give at least 1"),
        (ZeroDivisionError("division by zero"), "widelimit: ZeroDivisionError: division by zero"),
        (KeyboardInterrupt(), "widelimit: interrupted"),
    ],
)
def test_any_other_failure_is_one(book, capsys, tmp_path, error, line):
    def fail(key, scale):
        raise error

    book(made(compute=fail))
    code, _, err = run(capsys, "figure", "made2000-fig1", "--out", str(tmp_path))
    assert (code, err) == (1, line + "\n")
    assert not list(tmp_path.iterdir())
    assert not jax.config.jax_enable_x64


def test_data_that_would_need_pickling_are_refused(book, capsys, tmp_path):
    book(made(compute=lambda key, scale: {"x": np.array([None])}))
    code, _, err = run(capsys, "figure", "made2000-fig1", "--out", str(tmp_path))
    assert code == 1
    assert "'x' is no plain array" in err


@pytest.fixture
def chapters(tmp_path):
    """A book with one executed chapter of two claims."""
    folder = tmp_path / "chapters"
    folder.mkdir()
    (tmp_path / "_config.yml").touch()
    outputs = []
    for id, predicted in (("made/holds", 1.0), ("made/fails", 3.0)):
        shown = Claim(
            id=id,
            statement="One is one",
            source="made2000, eq. (1)",
            predicted=predicted,
            measured=Estimate(1.001, 0.001, 31),
            rival=2.0,
            rival_name="two",
        )
        data, metadata = shown._repr_mimebundle_()
        outputs.append({"output_type": "execute_result", "data": data, "metadata": metadata})
    cells = [{"cell_type": "code", "outputs": outputs}]
    (folder / "01-made.ipynb").write_text(json.dumps({"cells": cells}))
    return folder


def test_ledger(chapters, capsys, monkeypatch):
    monkeypatch.chdir(chapters.parent)
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(capsys, "ledger")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert out.splitlines()[-1] == "2 claims: 1 holds; 0 holds with a caveat; 1 does not hold"


def test_ledger_formats(chapters, capsys):
    _, out, _ = run(capsys, "ledger", "--format", "json", "--chapters", str(chapters))
    rows = json.loads(out)
    assert [row["verdict"] for row in rows] == ["holds", "does not hold"]
    assert len(rows[0]) == 11
    _, out, _ = run(capsys, "ledger", "--format", "csv", "--chapters", str(chapters))
    assert out.splitlines()[0] == ",".join(rows[0])
    assert len(out.splitlines()) == 3


def test_ledger_without_a_book(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "ledger")
    assert code == 1
    assert "--chapters" in err
    code, _, err = run(capsys, "ledger", "--chapters", "absent")
    assert code == 1
    assert "absent holds no notebook" in err


def test_help_and_version(capsys):
    assert run(capsys, "--version")[:2] == (0, f"widelimit {widelimit.__version__}\n")
    for argv in (["--help"], ["figures", "--help"], ["figure", "--help"], ["ledger", "--help"]):
        code, out, _ = run(capsys, *argv)
        assert code == 0
        assert out.startswith("usage: python -m widelimit")


# End to end, in a process of its own.


def process(*argv, **options):
    return subprocess.run(
        [sys.executable, "-m", "widelimit", *argv], capture_output=True, text=True, **options
    )


def test_process_version_needs_no_jax():
    done = process("--version")
    assert (done.returncode, done.stderr) == (0, "")
    code = "import sys, widelimit.cli; assert not {'jax', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_process_ledger(chapters):
    done = process("ledger", "--format", "json", cwd=chapters)
    assert (done.returncode, done.stderr) == (0, "")
    assert [row["id"] for row in json.loads(done.stdout)] == ["made/holds", "made/fails"]


@pytest.mark.parametrize(
    ("argv", "code"), [(["nothing"], 2), (["ledger", "--chapters", "absent"], 1)]
)
def test_process_fails_in_one_line(tmp_path, argv, code):
    done = process(*argv, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1


def test_process_survives_a_closed_pipe(chapters):
    reading, writing = os.pipe()
    os.close(reading)
    argv = [sys.executable, "-m", "widelimit", "ledger", "--chapters", str(chapters)]
    done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


# Progress.


@pytest.mark.parametrize(("choice", "shown"), [("0", False), ("1", True), ("", False)])
def test_progress_by_choice_else_by_terminal(monkeypatch, choice, shown):
    monkeypatch.setenv("WIDELIMIT_PROGRESS", choice)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert progress.enabled() == shown
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert progress.enabled() == (choice != "0")


def test_progress_in_a_notebook(monkeypatch):
    from ipykernel.iostream import OutStream

    monkeypatch.delenv("WIDELIMIT_PROGRESS", raising=False)
    monkeypatch.setattr(sys, "stderr", OutStream.__new__(OutStream))
    monkeypatch.setattr(OutStream, "isatty", lambda self: False)
    assert progress.enabled()


@pytest.mark.parametrize("choice", ["0", "1"])
def test_short_work_shows_nothing(monkeypatch, capfd, choice):
    monkeypatch.setenv("WIDELIMIT_PROGRESS", choice)
    with progress.clock("soon", 1):
        assert list(progress.track(range(5), "short")) == [0, 1, 2, 3, 4]
    assert capfd.readouterr().err.strip() == ""


@pytest.mark.parametrize("seconds", [None, 0.2])
def test_long_work_shows_the_time_and_wipes_it(monkeypatch, capfd, seconds):
    monkeypatch.setenv("WIDELIMIT_PROGRESS", "1")
    monkeypatch.setattr(progress, "DELAY", 0.1)
    with progress.clock("patience", seconds):
        time.sleep(1.2)
    err = capfd.readouterr().err
    assert "patience: " in err
    assert ("of about" in err) == (seconds is not None)
    assert err.rpartition("\r")[0].rpartition("\r")[2].strip() == ""


def test_long_loops_show_their_bar(monkeypatch, capfd):
    monkeypatch.setenv("WIDELIMIT_PROGRESS", "1")
    monkeypatch.setattr(progress, "DELAY", 0.1)
    for _ in progress.track((time.sleep(0.15) for _ in range(4)), "steps", total=4):
        pass
    err = capfd.readouterr().err
    assert "steps" in err
    assert "/4" in err
