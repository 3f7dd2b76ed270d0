"""The one set-up cell that every chapter begins with, and how it is kept identical."""

from __future__ import annotations

import re

TAGS = ["setup", "hide-input"]

# Installed only where Colab says it is Colab. The reader's jax, jaxlib, flax and numpy are passed
# to pip as constraints: without them a dependency may quietly bring a newer jax than the one that
# Colab's accelerators and other packages were built for.
_TEMPLATE = """\
# @title Set up
# In Colab, install the book's package beside what is already there; elsewhere, install nothing.
import os

if "COLAB_RELEASE_TAG" in os.environ:
    import importlib.util
    import subprocess
    import sys
    import tempfile
    from importlib import metadata

    if importlib.util.find_spec("widelimit") is None:
        source = os.environ.get("WIDELIMIT_SOURCE", "git+@REPOSITORY@")
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as kept:
            for name in ("jax", "jaxlib", "flax", "numpy"):
                print(f"{name}=={metadata.version(name)}", file=kept, flush=True)
            command = ["install", "--quiet", "--constraint", kept.name, f"widelimit @ {source}"]
            pip = subprocess.run(
                [sys.executable, "-m", "pip", *command], capture_output=True, text=True
            )
        if pip.returncode != 0:
            tail = "\\n".join((pip.stdout + pip.stderr).splitlines()[-20:])
            raise RuntimeError(f"pip could not install widelimit from {source}:\\n{tail}")
        importlib.invalidate_caches()

import widelimit

run = widelimit.setup()"""

_IN_TEXT = re.compile(
    r"^```\{code-cell\}(?P<language>[^\n]*)\n:tags: \[setup\b[^\]]*\]\n(?P<source>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def source(repository: str) -> str:
    """The cell's source for a repository URL."""
    return _TEMPLATE.replace("@REPOSITORY@", repository)


def block(repository: str, language: str = "python") -> str:
    """The cell as it stands in a chapter's text; all cells of a text name the same language."""
    tags = ", ".join(TAGS)
    return f"```{{code-cell}} {language}\n:tags: [{tags}]\n\n{source(repository)}\n```"


def write_into(text: str, repository: str, name: str) -> str:
    """The chapter's text with its set-up cell brought up to date."""
    found = list(_IN_TEXT.finditer(text))
    if len(found) != 1:
        raise SystemExit(
            f"{name} has {len(found)} set-up cells and needs one: a ```{{code-cell}} python whose "
            f"next line is ':tags: [{', '.join(TAGS)}]'; 'make sync' then fills it in"
        )
    (old,) = found
    return text[: old.start()] + block(repository, old["language"].strip()) + text[old.end() :]
