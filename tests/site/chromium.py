"""Which Chromium tests the pages, and what its absence means."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

import pytest

VARIABLE = "WIDELIMIT_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome")
REMEDY = (
    "the pages are tested in Chromium, and none is here: install it (Debian: apt-get install "
    f"chromium) or set {VARIABLE} to one; then run make test"
)

# A fresh profile that asks nobody for anything of its own accord; nothing here needs a GPU.
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No name is looked up: whatever a page asks of another host fails at once, and is noted.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def find(environment: Mapping[str, str]) -> str | None:
    """The path of a Chromium, the environment's own choice first; None where there is none.

    Raises:
      ValueError: the environment names one that cannot be run.
    """
    path = environment.get("PATH")
    if chosen := environment.get(VARIABLE):
        if found := shutil.which(chosen, path=path):
            return found
        raise ValueError(f"{VARIABLE} is {chosen!r}, which is no program; name one or unset it")
    return next((found for name in NAMES if (found := shutil.which(name, path=path))), None)


def required(environment: Mapping[str, str]) -> str:
    """The path of a Chromium; where there is none, the test fails under CI, and is skipped else."""
    if found := find(environment):
        return found
    if environment.get("CI", "").lower() in ("", "0", "false"):
        pytest.skip(REMEDY)
    pytest.fail(REMEDY, pytrace=False)


def flags() -> list[str]:
    """What Chromium is started with; it refuses its sandbox to root."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [*FLAGS, *(["--no-sandbox"] if root else [])]
