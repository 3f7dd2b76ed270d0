"""What the package says of itself: one version, one set of facts, and links that lead somewhere."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from markdown_it import MarkdownIt

import widelimit


@pytest.fixture
def project(repo) -> dict:
    """The ``[project]`` table."""
    return tomllib.loads((repo / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def citation(repo) -> dict:
    """``CITATION.cff``."""
    return yaml.safe_load((repo / "CITATION.cff").read_text(encoding="utf-8"))


def test_there_is_one_version_and_one_date(repo, project, citation):
    changes = (repo / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", changes, re.MULTILINE)
    assert headings[0] == ("Unreleased", "")
    version, date = headings[1]
    assert project["version"] == widelimit.__version__ == version
    assert citation["version"] == citation["preferred-citation"]["version"] == version
    assert str(citation["date-released"]) == date
    assert citation["preferred-citation"]["year"] == int(date[:4])


def test_every_heading_of_the_changelog_is_in_form(repo):
    changes = (repo / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"^### (.+)$", changes, re.MULTILINE))
    assert sections <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    dated = re.findall(r"^## \[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}$", changes, re.MULTILINE)
    assert len(dated) + 1 == len(re.findall("^## ", changes, re.MULTILINE))


def test_the_citation_and_the_package_say_the_same(project, citation):
    assert citation["authors"] == citation["preferred-citation"]["authors"] == project["authors"]
    assert citation["title"] == citation["preferred-citation"]["title"]
    assert citation["keywords"] == project["keywords"]
    assert citation["license"] == [project["license"], "CC-BY-4.0"]


def test_the_citation_is_valid(repo):
    command = [sys.executable, "-m", "check_jsonschema", "CITATION.cff"]
    schema = ["--builtin-schema", "vendor.citation-file-format"]
    done = subprocess.run([*command, *schema], cwd=repo, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_link_of_the_readme_works_without_the_files_beside_it(repo):
    """It is the package's description too; only the picture must be seen in a clone and a fork."""
    readme = (repo / "README.md").read_text(encoding="utf-8")
    tokens = MarkdownIt().parse(readme)
    inline = [part for token in tokens for part in token.children or []]
    addresses = [part.attrs["href"] for part in inline if part.type == "link_open"]
    addresses += [part.attrs["src"] for part in inline if part.type == "image"]
    addresses += re.findall(r'<[^>]* href="([^"]*)"', readme)
    assert addresses
    assert re.findall(r'<img src="([^"]*)"', readme) == ["book/_static/line.svg"]
    assert (repo / "book" / "_static" / "line.svg").is_file()
    assert [address for address in addresses if not address.startswith(("https://", "#"))] == []
    # A name that no link defines is left as it was typed.
    assert [part.content for part in inline if part.type == "text" and "][" in part.content] == []
