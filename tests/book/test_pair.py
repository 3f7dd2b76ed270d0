"""From text to notebook: what is kept, what is run again, and that equal means byte-equal."""

import pytest

from pipeline import check, execute, notebook, sync


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def runs(monkeypatch):
    """Counts the executions."""
    count = []
    run = execute.run
    monkeypatch.setattr(execute, "run", lambda *a: count.append(1) or run(*a))
    return count


def test_the_executed_pair_is_in_order(book, chapter):
    assert check.problems(book, chapter) == []
    stored = notebook.read(chapter.notebook)
    assert [cell.id for cell in stored.cells] == [f"01-small-{i:03d}" for i in range(7)]
    assert set(stored.metadata) == {"kernelspec", "language_info", "widelimit"}
    assert stored.metadata.language_info == {"name": "python"}
    assert all("execution" not in cell.metadata for cell in stored.cells)
    assert stored.cells[3].outputs[0].text == "hello there\n"


def test_running_again_changes_no_byte(book, chapter):
    before = chapter.notebook.read_bytes()
    execute.execute(book, force=True)
    assert chapter.notebook.read_bytes() == before


def test_what_is_up_to_date_is_not_run(book, chapter, runs):
    sync.sync(book)
    execute.execute(book)
    assert runs == []


def test_a_change_of_prose_keeps_outputs_and_runs_nothing(book, chapter, runs):
    before = notebook.read(chapter.notebook)
    edit(chapter.text, "More prose.", "Other prose.")
    assert any("run 'make sync'" in p for p in check.problems(book, chapter))
    execute.execute(book)
    assert runs == []
    assert check.problems(book, chapter) == []
    after = notebook.read(chapter.notebook)
    assert after.cells[4].source == "Other prose."
    assert notebook.code_cells(after) == notebook.code_cells(before)


def test_a_new_address_keeps_outputs_and_runs_nothing(book, chapter, runs):
    edit(book.root / "_config.yml", book.repository, "https://github.com/someone/some-book")
    assert any("set-up cell differs" in p for p in check.problems(book, chapter))
    execute.execute(book)
    assert runs == []
    assert check.problems(book, chapter) == []
    assert "git+https://github.com/someone/some-book" in chapter.text.read_text(encoding="utf-8")
    readme = (book.root / "README.md").read_text(encoding="utf-8")
    assert "someone/some-book/blob/main/chapters/01-small.ipynb" in readme
    assert "OWNER" not in readme


def test_a_changed_cell_loses_its_output_and_is_run(book, chapter, runs):
    edit(chapter.text, "words.greet()", "words.greet(); print(2)")
    sync.sync(book)
    stored = notebook.read(chapter.notebook)
    assert stored.cells[3].outputs == []
    assert stored.cells[5].outputs != []
    assert any("run 'make execute'" in p for p in check.problems(book, chapter))
    sync.sync(book)  # a second time, too, it must not pass for fresh
    assert any("run 'make execute'" in p for p in check.problems(book, chapter))
    execute.execute(book)
    assert runs == [1]
    assert check.problems(book, chapter) == []


def test_a_changed_module_makes_the_chapter_stale(book, chapter, runs):
    edit(book.package / "deeper" / "secret.py", "there", "here")
    assert any("stale" in p for p in check.problems(book, chapter))
    execute.execute(book, "01")
    assert runs == [1]
    assert check.problems(book, chapter) == []


def test_a_chapter_that_stops_stores_nothing(book, chapter):
    edit(chapter.text, "words.greet()", "1 / 0")
    with pytest.raises(SystemExit, match=r"(?s)01-small stopped.*ZeroDivisionError"):
        execute.execute(book)
    assert "ZeroDivisionError" not in chapter.notebook.read_text(encoding="utf-8")


def test_the_environment_of_a_run_is_the_default_one(book, monkeypatch):
    monkeypatch.setenv("WIDELIMIT_SEED", "5")
    env = execute.environment(book)
    assert "WIDELIMIT_SEED" not in env
    assert env["WIDELIMIT_PROGRESS"] == "0"


def test_an_unknown_chapter_is_named(book):
    with pytest.raises(SystemExit, match="no chapter starts with '07'; there are: 01-small"):
        book.chapters("07")


def test_a_link_to_another_page_leads_to_the_published_book(book, chapter):
    (book.root / "book" / "notation.md").write_text("# Notation\n", encoding="utf-8")
    (book.root / "book" / "cite.md").write_text("# Cite\n", encoding="utf-8")
    edit(
        chapter.text,
        "More prose.",
        "See [it](../book/cite.md#why) and [this](../book/notation.md).",
    )
    sync.sync(book)
    stored = notebook.read(chapter.notebook)
    assert stored.cells[4].source == (
        f"See [it]({book.site}book/cite.html#why) and [this]({book.site}book/notation.html)."
    )
    assert check.problems(book, chapter) == []


def test_a_link_to_no_page_is_refused(book, chapter):
    for target in ("02-next.md", "../README.md", "/book/notation.md"):
        text = chapter.text.read_text(encoding="utf-8")
        edit(chapter.text, "More prose.", f"See [it]({target}).")
        sync.sync(book)
        assert any(target in problem for problem in check.problems(book, chapter)), target
        chapter.text.write_text(text, encoding="utf-8")


def test_what_looks_like_a_link_in_code_or_mathematics_is_none(book, chapter):
    (book.root / "book" / "b.md").write_text("# B\n", encoding="utf-8")
    words = "Write `[a](../book/b.md)` or $[0](../book/b.md)$."
    edit(chapter.text, "More prose.", words)
    sync.sync(book)
    assert notebook.read(chapter.notebook).cells[4].source == words


def test_other_links_stay_as_they_are(book, chapter):
    links = "[a](https://example.org/a.md) [b](mailto:a@example.org)"
    edit(chapter.text, "More prose.", links)
    sync.sync(book)
    assert notebook.read(chapter.notebook).cells[4].source == links
