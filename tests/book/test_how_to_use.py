"""What the page about using the book says one can do, done."""

import contextlib
import io
import re

import pytest
import yaml

from widelimit import cli


@pytest.fixture(scope="module")
def page(repo):
    """The page's text."""
    return (repo / "book" / "how-to-use.md").read_text(encoding="utf-8")


def blocks(page, language):
    """The fenced blocks in a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


def lines_of(text):
    """A block's lines of output: no prompt, no empty line, no space at the end."""
    return [line.rstrip() for line in text.splitlines() if line.strip() and line[0] != "$"]


def cell_of(repo, exercise):
    """The code cell that follows the solution of an exercise of chapter 1."""
    text = (repo / "chapters" / "01-neal.md").read_text(encoding="utf-8")
    return re.search(
        rf"^# (?:@title )?Solution of exercise {exercise}\n(.*?)^```$", text, re.M | re.S
    )[1]


def test_the_example_prints_what_stands_below_it(page):
    (program,) = [block for block in blocks(page, "python") if block.startswith("import")]
    (shown,) = [block for block in blocks(page, "text") if block.startswith("[[")]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program, {})
    numbers = re.compile(r"\d\.\d+")
    now, then = ([float(n) for n in numbers.findall(text)] for text in (printed.getvalue(), shown))
    assert len(then) == 9
    assert now == pytest.approx(then, abs=1e-6)


@pytest.mark.parametrize("command", ["figures", "ledger"])
def test_the_commands_print_what_stands_there(page, command, repo, capsys, monkeypatch):
    monkeypatch.chdir(repo)
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main([command]) == 0
    printed = lines_of(capsys.readouterr().out)
    head = printed[0]
    (shown,) = [lines_of(block) for block in blocks(page, "text") if head in block]
    assert len(shown) > 2
    assert [line for line in shown if line not in printed] == []


def test_the_experiments_change_what_is_there(page, repo):
    assert cell_of(repo, "1.6").count("width=1000") == 1
    assert cell_of(repo, "1.4").count('"relu"') == 1
    assert "predicted=15," in cell_of(repo, "1.4")
    assert "%env WIDELIMIT_SEED=" in page


def test_the_prediction_for_sines(page):
    from widelimit import activations
    from widelimit.theory import gaussian

    (program,) = [block for block in blocks(page, "python") if block.startswith("sin")]
    *setting, last = program.splitlines()
    names = {"activations": activations, "gaussian": gaussian}
    exec("\n".join(setting), names)
    stated = float(re.search(r"Write `predicted=([\d.]+)`", page)[1])
    assert float(eval(last, names)) == pytest.approx(stated, abs=5e-4)


def test_the_targets_exist(page, repo):
    makefile = (repo / "Makefile").read_text(encoding="utf-8")
    commands = "\n".join([*blocks(page, "sh"), *re.findall("`(.*?)`", page)])
    named = set(re.findall(r"\bmake ([a-z]+)", commands))
    assert named >= {"book", "serve", "test"}
    assert [target for target in named if not re.search(rf"^{target}:", makefile, re.M)] == []


def test_the_weeks_named_for_a_short_course_need_only_each_other(page, repo):
    text = (repo / "book" / "curriculum.yml").read_text(encoding="utf-8")
    weeks = {week["week"]: week for week in yaml.safe_load(text)["weeks"]}
    listed = re.search(r"Take weeks ([\d, and]+):", page)[1]
    chosen = {int(number) for number in re.findall(r"\d+", listed)}
    assert len(chosen) == 6
    for number in chosen:
        needs = " ".join(weeks[number][field] for field in ("before", "do"))
        named = re.findall(r"[Ww]eeks? (\d+)(?: and (\d+))?", needs)
        assert {int(n) for pair in named for n in pair if n} <= chosen, number
