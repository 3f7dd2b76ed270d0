"""'make elsewhere' runs chapters again, rounded as an older processor rounds."""

import subprocess
import sys

import pytest

from pipeline import suite


def test_it_asks_for_an_older_processor(book, monkeypatch):
    asked = {}

    def run(command, **options):
        asked.update(options, command=command)
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(SystemExit) as stopped:
        suite.elsewhere(book, "01")
    assert stopped.value.code == 3
    assert asked["env"]["XLA_FLAGS"] == "--xla_cpu_max_isa=SSE4_2"
    assert asked["command"][0] == sys.executable
    assert asked["command"][-1] == "chapters/01-small.ipynb"
    assert "--nbval" in asked["command"]


def test_a_chapter_there_is_not(book):
    with pytest.raises(SystemExit, match="no chapter starts with '77'"):
        suite.elsewhere(book, "77")
