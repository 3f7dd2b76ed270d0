"""Theorem blocks without labels, on two pages of one book."""

import os
import re
import subprocess
import sys

PAGE = """\
# A page

:::{prf:definition} Prior

Let $x$ be 1.

:::

:::{prf:theorem} A limit (Neal 1994)

It is

$$x = 1. \\tag{1.1}$$

:::
"""


def build(folder, repo, *extensions):
    for name in ("index", "second"):
        toctree = "\n```{toctree}\nsecond\n```\n" * (name == "index")
        (folder / f"{name}.md").write_text(PAGE + toctree, encoding="utf-8")
    (folder / "conf.py").write_text(
        f"extensions = {['myst_parser', 'sphinx_proof', *extensions]}\n"
        "myst_enable_extensions = ['colon_fence', 'dollarmath']\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", folder, folder / "out"]
    env = {**os.environ, "PYTHONPATH": str(repo / "book")}
    return subprocess.run(command, env=env, capture_output=True, text=True)


def blocks(folder, page):
    html = (folder / "out" / f"{page}.html").read_text(encoding="utf-8")
    return re.findall(
        r'<div class="proof \w+ admonition" id="([^"]+)">\s*<p[^>]*><span[^>]*>([^<]+?)\s*</span>',
        html,
    )


def test_two_pages_build_without_a_warning_and_blocks_are_numbered(tmp_path, repo):
    result = build(tmp_path, repo, "pipeline.theorems")
    assert result.returncode == 0, result.stderr
    assert blocks(tmp_path, "index") == [
        ("index-block-1", "Definition 1"),
        ("index-block-2", "Theorem 1"),
    ]
    assert blocks(tmp_path, "second") == [
        ("second-block-1", "Definition 2"),
        ("second-block-2", "Theorem 2"),
    ]


def test_without_the_extension_the_pages_clash(tmp_path, repo):
    """Why it is there: to be taken out when this fails."""
    result = build(tmp_path, repo)
    assert result.returncode == 1
    assert "duplicate definition label 'definition-0'" in result.stderr
