"""What the strict comparison lets pass (a drawing, measured digits) and what it does not."""

import os
import re
import subprocess
import sys

import pytest
from nbval.plugin import get_sanitize_patterns

from widelimit.ledger.claim import Claim
from widelimit.ledger.estimate import Estimate


def nbval(book, repo, **variables):
    env = {**os.environ, "PYTHONPATH": str(book.package.parent), **variables}
    options = ["--nbval", "--nbval-current-env", "-q", "-p", "no:cacheprovider"]
    sanitize = ["--nbval-sanitize-with", str(repo / "tests" / "sanitize.cfg")]
    command = [sys.executable, "-m", "pytest", *options, *sanitize, "chapters"]
    return subprocess.run(command, cwd=book.root, env=env, capture_output=True, text=True)


def test_other_digits_and_another_drawing_pass(book, repo):
    result = nbval(book, repo, WIDELIMIT_SEED="7")
    assert result.returncode == 0, result.stdout


def test_another_verdict_fails(book, repo):
    result = nbval(book, repo, WIDELIMIT_SEED="13")
    assert result.returncode == 1
    assert "1 failed, 3 passed" in result.stdout


def claim(**changes) -> Claim:
    stated = {
        "id": "small/first",
        "statement": "One is one.",
        "source": "neal1996, chapter 2",
        "predicted": 1.0,
        "measured": Estimate(1.01, 0.01, 31),
        "rival": 2.0,
        "rival_name": "two",
    }
    return Claim(**{**stated, **changes})


@pytest.fixture(scope="module")
def shown(repo):
    """A claim as nbval compares it: its text and its HTML after masking."""
    patterns = get_sanitize_patterns((repo / "tests" / "sanitize.cfg").read_text(encoding="utf-8"))
    assert len(patterns) == 3

    def masked(**changes):
        texts = claim(**changes)._repr_mimebundle_()[0]
        for regex, replacement in patterns:
            texts = {mime: re.sub(regex, replacement, text) for mime, text in texts.items()}
        return texts

    return masked


def test_the_ledger_s_measured_digits_are_masked(shown):
    assert shown(measured=Estimate(1.02, 0.011, 31)) == shown()


@pytest.mark.parametrize(
    "changes",
    [
        {"predicted": 1.001},
        {"rival": 2.1},
        {"measured": Estimate(1.5, 0.01, 31)},  # the verdict turns
        {"measured": Estimate(1.01, 0.01, 63)},  # another number of replicates
        {"statement": "One is won."},
        {"caveat": "in this chapter"},
    ],
)
def test_nothing_else_of_a_claim_is_masked(shown, changes):
    for mime, text in shown().items():
        assert shown(**changes)[mime] != text, mime
