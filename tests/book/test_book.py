"""The book as it stands: every stored chapter, the links, the commands the README names."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from pipeline import check, skeleton, sync
from pipeline.__main__ import main
from pipeline.book import Book

HERE = Book(Path(__file__).resolve().parents[2])


@pytest.mark.parametrize("chapter", HERE.chapters(), ids=lambda chapter: chapter.slug)
def test_a_stored_chapter_is_as_it_must_be(chapter):
    assert check.problems(HERE, chapter) == []


def test_no_notebook_is_without_its_text():
    texts = {chapter.notebook.name for chapter in HERE.chapters()}
    assert {path.name for path in (HERE.root / "chapters").glob("*.ipynb")} <= texts


def test_links_and_addresses_are_the_book_s():
    assert sync.unlinked(HERE) == {}


def test_the_address_is_written_once(repo):
    """Whatever else names the repository or the site is written by ``make sync``."""
    tracked = subprocess.run(
        ["git", "grep", "-lF", "-e", HERE.repository, "-e", HERE.site],
        cwd=repo,
        capture_output=True,
        text=True,
    ).stdout.split()
    pairs = {str(p.relative_to(repo)) for c in HERE.chapters() for p in (c.text, c.notebook)}
    written = {"README.md", "CITATION.cff", "pyproject.toml"}
    assert set(tracked) <= {"_config.yml", *written, *pairs}


def test_a_new_address_is_written_wherever_it_stands(book, capsys):
    config = book.root / "_config.yml"
    moved = config.read_text(encoding="utf-8").replace(book.repository, "https://github.com/Some/b")
    config.write_text(moved, encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["--root", str(book.root), "check"])
    said = capsys.readouterr().out
    for name in ("README.md", "CITATION.cff", "pyproject.toml"):
        assert f"{name} is not as the book would write it" in said
    main(["--root", str(book.root), "sync"])
    main(["--root", str(book.root), "check"])
    citation = yaml.safe_load((book.root / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["repository-code"] == "https://github.com/Some/b"
    assert citation["url"] == citation["preferred-citation"]["url"] == "https://some.github.io/b/"
    project = tomllib.loads((book.root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"] == {
        "Homepage": "https://some.github.io/b/",
        "Source": "https://github.com/Some/b",
        "Issues": "https://github.com/Some/b/issues",
        "Changelog": "https://github.com/Some/b/blob/main/CHANGELOG.md",
    }
    readme = (book.root / "README.md").read_text(encoding="utf-8")
    assert "https://some.github.io/b/chapters/01-small.html" in readme


def test_a_line_for_an_address_may_not_go(book):
    citation = book.root / "CITATION.cff"
    text = citation.read_text(encoding="utf-8").replace("repository-code:", "repository:")
    citation.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=r"CITATION\.cff: no line gives 'repository-code'"):
        sync.sync_links(book)


def test_make_lists_its_targets(repo):
    said = subprocess.run(["make"], cwd=repo, capture_output=True, text=True, check=True).stdout
    listed = set(re.findall(r"^  make ([a-z-]+)", said, re.MULTILINE))
    named = {"book", "test", "serve", "execute", "sync", "lint", "venv", "new", "seeds", "bench"}
    assert named <= listed


def test_constraints_name_no_place(repo):
    for name in ("constraints.txt", "constraints-colab.txt"):
        for line in (repo / name).read_text(encoding="utf-8").splitlines():
            assert re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), (name, line)


def test_a_new_chapter_has_the_whole_anatomy(book):
    skeleton.new(book, "02-second-thing")
    chapter = book.chapters("02")[0]
    text = chapter.text.read_text(encoding="utf-8")
    assert re.findall(r"^#+ (.+)$", text, re.MULTILINE)[0] == "2 Second thing"
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        "Where we stand",
        "Words and symbols",
        "The result",
        "The key figures, rebuilt",
        "Claims",
        "What it does not say",
        "Exercises",
        "For the reading group",
    ]
    assert text.count("**Exercise 2.") == text.count("<details><summary>Solution") == 5
    assert not re.search("@[A-Z]+@", text)
    problems = check.problems(book, chapter)
    assert problems
    assert all("make execute" in problem for problem in problems)


@pytest.mark.parametrize("slug", ["", "second", "2-second", "02-Second", "01-small"])
def test_a_bad_or_taken_name_is_refused(book, slug):
    with pytest.raises(SystemExit, match=r"no chapter name|exists"):
        skeleton.new(book, slug)


def test_the_placeholder_is_noticed_before_publishing(book, capsys):
    root = ["--root", str(book.root)]
    config = book.root / "_config.yml"
    text = config.read_text(encoding="utf-8").replace(book.repository, "https://github.com/OWNER/b")
    config.write_text(text, encoding="utf-8")
    main([*root, "publish-check", "--remind"])
    assert capsys.readouterr().out.startswith("not ready to publish")
    with pytest.raises(SystemExit, match="put the real URL there"):
        main([*root, "publish-check"])
    config.write_text(text.replace("OWNER", "someone"), encoding="utf-8")
    main([*root, "publish-check"])
    assert "ready to publish from https://github.com/someone/b" in capsys.readouterr().out


@pytest.mark.parametrize("url", ["", "github.com/a/b", "https://github.com/a/b/"])
def test_an_ill_formed_address_is_named(book, url):
    (book.root / "_config.yml").write_text(f"repository:\n  url: '{url}'\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"repository\.url is"):
        _ = book.repository


def test_check_speaks_of_everything_at_once(book, chapter, capsys):
    main(["--root", str(book.root), "check"])
    assert "nothing to object to" in capsys.readouterr().out
    chapter.notebook.unlink()
    (book.root / "README.md").write_text(
        "<!-- links: written by make sync -->\n<!-- end of links -->\n", encoding="utf-8"
    )
    with pytest.raises(SystemExit):
        main(["--root", str(book.root), "check"])
    said = capsys.readouterr().out
    assert "has no notebook" in said
    assert "README.md" in said
