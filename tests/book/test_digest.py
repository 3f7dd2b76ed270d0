"""The digest moves when an output could, and only then."""

import pytest

from pipeline import digest, notebook


def code(book, chapter):
    return digests(book, chapter)["code"]


def digests(book, chapter):
    return digest.of_chapter(book, chapter, notebook.sources(notebook.from_text(book, chapter)))


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("words.py", '"hello"', '"goodbye"'),  # what the chapter imports
        ("deeper/secret.py", '"there"', '"here"'),  # what that imports, relatively
        ("deeper/__init__.py", "", "import os\n"),  # a package on the way
        ("notebook.py", "self.seed / 1e9", "self.seed / 1e8"),  # imported inside setup()
    ],
)
def test_code_that_runs_moves_it(book, chapter, module, old, new):
    before = code(book, chapter)
    edit(book.package / module, old, new)
    assert code(book, chapter) != before


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("words.py", '"""Say it."""', '"""Say it kindly."""'),  # a docstring
        ("words.py", '    """Say it."""\n', ""),
        ("deeper/secret.py", "# a comment", "# another"),
        ("unused.py", "1", "2"),  # a module that no cell reaches
    ],
)
def test_what_changes_no_output_leaves_it(book, chapter, module, old, new):
    before = digests(book, chapter)
    edit(book.package / module, old, new)
    assert digests(book, chapter) == before


def test_prose_moves_only_the_text_and_a_cell_moves_both(book, chapter):
    first = digests(book, chapter)
    edit(chapter.text, "More prose", "Much more prose")
    second = digests(book, chapter)
    assert (second["text"] != first["text"], second["code"] == first["code"]) == (True, True)
    edit(chapter.text, "words.greet()", "words.greet() or 1")
    assert code(book, chapter) != first["code"]


def test_an_absolute_and_a_named_import_are_followed(book, chapter):
    (book.package / "unused.py").write_text("import widelimit.far\n", encoding="utf-8")
    (book.package / "far.py").write_text("X = 1\n", encoding="utf-8")
    line = 'import importlib\nimportlib.import_module("widelimit.unused")\n'
    edit(chapter.text, "words.greet()", line + "words.greet()")
    before = code(book, chapter)
    edit(book.package / "far.py", "1", "2")
    assert code(book, chapter) != before


def test_a_magic_is_refused(book, chapter):
    edit(chapter.text, "words.greet()", "%time words.greet()")
    with pytest.raises(SystemExit, match=r"01-small: a code cell is not plain Python.*%time"):
        code(book, chapter)
