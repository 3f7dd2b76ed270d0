"""``make seeds``: drawn from the commit, a table of claims by seeds, and a memory of failures."""

import subprocess

import pytest

from pipeline import seeds
from pipeline.seeds import Outcome


def test_every_claim_holds_at_seeds_given(book, capsys):
    seeds.seeds(book, "01", 20, [3, 4])
    said = capsys.readouterr().out
    assert "repeat with: make seeds SEEDS='3 4'" in said
    assert "[2/2, " in said
    assert "small/first  ✓ ✓  2/2" in said
    assert not (book.root / "chapters" / "regression-seeds.txt").exists()


def test_failures_are_shown_remembered_and_tried_again(book, capsys):
    with pytest.raises(SystemExit, match="2 of 3 runs failed"):
        seeds.seeds(book, "", 20, [13, 99, 5])
    said = capsys.readouterr().out
    assert "small/first  ✗  ?  ✓  1/3" in said
    assert "01-small stopped at seed 99" in said
    assert "no chapter at seed 99" in said
    assert seeds.remembered(book) == {"01-small": [13, 99]}
    with pytest.raises(SystemExit, match="2 of 3 runs failed"):
        seeds.seeds(book, "", 20, [5])


def test_the_commit_chooses(book, tmp_path):
    with pytest.raises(SystemExit, match="seeds are drawn from the commit"):
        seeds.draw(book, 3)
    git = ["git", "-C", str(book.root), "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "one"], check=True)
    commit, drawn = seeds.draw(book, 5)
    assert seeds.draw(book, 5) == (commit, drawn)
    assert len(set(drawn)) == 5
    assert all(0 < seed < 2**31 for seed in drawn)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "two"], check=True)
    assert seeds.draw(book, 5)[1] != drawn


def row(as_expected, reason=None):
    return {"as_expected": as_expected, "expected_disagreement": reason}


def test_the_marks():
    assert seeds.mark(row(True)) == "✓"
    assert seeds.mark(row(True, "the width is finite")) == "e"
    assert seeds.mark(row(False)) == "✗"
    assert seeds.mark(row(False, "and yet it holds")) == "✗"


def test_a_claim_missing_at_a_seed_fails_there():
    outcomes = [
        Outcome("01-a", 1, {"a/x": "✓", "a/y": "e"}),
        Outcome("01-a", 22, {"a/x": "✓"}),
    ]
    text, failed = seeds.table("01-a", outcomes)
    assert text.splitlines() == ["01-a  1 22", "a/x   ✓ ✓   2/2", "a/y   e ?   1/2"]
    assert failed == outcomes[1:]
