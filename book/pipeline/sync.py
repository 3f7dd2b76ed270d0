"""``make sync``: set-up cells, notebooks, links and addresses follow what was edited."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline import digest, notebook, setup_cell
from pipeline.book import Book, Chapter
from pipeline.pages import line

_LINKS = re.compile(r"(<!-- links: written by make sync -->\n).*?(<!-- end of links -->)", re.S)
# What the README names as [text][FILE]: it is the package's description too, wherever that is shown
# without the files beside it.
_NAMED = ("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "LICENSE-TEXT")


def sync_chapter(book: Book, chapter: Chapter) -> bool:
    """Bring a chapter's set-up cell and notebook up to date; returns whether a file changed.

    Outputs stay with the cells whose source did not change. The stored digest stays valid when
    the code they came from did not: then only prose moved.
    """
    text = chapter.text.read_text(encoding="utf-8")
    updated = setup_cell.write_into(text, book.repository, chapter.text.name)
    if updated != text:
        chapter.text.write_text(updated, encoding="utf-8")
    new = notebook.from_text(book, chapter)
    if chapter.notebook.is_file():
        old = notebook.read(chapter.notebook)
        notebook.keep_outputs(new, old)
        recorded = (old.metadata.get("widelimit") or {}).get("digest")
        current = digest.of_chapter(book, chapter, notebook.sources(new))
        if recorded and recorded["code"] == current["code"]:
            new.metadata.widelimit.digest = current
    return notebook.write(new, chapter.notebook) or updated != text


def readme(book: Book) -> str:
    """The README with its links: the repository, each chapter's page and Colab, files by name."""
    text = (book.root / "README.md").read_text(encoding="utf-8")
    place = book.repository.removeprefix("https://github.com/")
    lines = [f"Clone it: `git clone {book.repository}`", ""]
    for chapter in book.chapters():
        path = f"github/{place}/blob/{book.branch}/chapters/{chapter.notebook.name}"
        colab = f"https://colab.research.google.com/{path}"
        page = f"{book.site}chapters/{chapter.slug}.html"
        lines.append(f"- [{title(chapter)}]({page}), [in Colab]({colab})")
    lines += ["", f"[the book]: {book.site}"]
    lines += [f"[{name}]: {book.repository}/blob/{book.branch}/{name}" for name in _NAMED]
    if not _LINKS.search(text):
        raise SystemExit(
            "README.md: the lines '<!-- links: written by make sync -->' and "
            "'<!-- end of links -->' are gone; put them back around the links"
        )
    return _LINKS.sub(lambda m: m[1] + "\n".join(lines).strip() + "\n" + m[2], text)


def _addresses(book: Book) -> dict[str, dict[str, str]]:
    """Per file, the lines that hold an address: the key a line begins with, and what it says."""
    return {
        "CITATION.cff": {"repository-code": book.repository, "url": book.site},
        "pyproject.toml": {
            "Homepage": book.site,
            "Source": book.repository,
            "Issues": f"{book.repository}/issues",
            "Changelog": f"{book.repository}/blob/{book.branch}/CHANGELOG.md",
        },
    }


def _addressed(name: str, text: str, lines: dict[str, str]) -> str:
    """A file's text with these lines brought up to date, wherever they stand in it."""
    for key, address in lines.items():
        pattern = rf'^( *{key} ?[:=] )"[^"\n]*"$'
        if not re.search(pattern, text, re.MULTILINE):
            raise SystemExit(f"{name}: no line gives '{key}' as \"...\"; put one back")
        text = re.sub(pattern, rf'\g<1>"{address}"', text, flags=re.MULTILINE)
    return text


def unlinked(book: Book) -> dict[str, str]:
    """The files whose links or picture are not the book's, and what each should read."""
    picture = "book/_static/line.svg"
    files = {"README.md": readme(book), picture: line.svg(line.stations(book), paper="white")}
    for name, lines in _addresses(book).items():
        text = (book.root / name).read_text(encoding="utf-8")
        files[name] = _addressed(name, text, lines)
    return {name: text for name, text in files.items() if text != _stored(book.root / name)}


def _stored(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def sync_links(book: Book) -> None:
    """Write the links and addresses that changed."""
    for name, text in unlinked(book).items():
        (book.root / name).write_text(text, encoding="utf-8")
        print(f"{name}: written")


def title(chapter: Chapter) -> str:
    """The chapter's first heading."""
    found = re.search(r"^# (.+)$", chapter.text.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{chapter.text.name} has no '# Title' line; give it one")
    return found[1].strip()


def sync(book: Book) -> None:
    """Bring everything up to date and say what changed."""
    for chapter in book.chapters():
        changed = sync_chapter(book, chapter)
        print(f"{chapter.slug}: {'written' if changed else 'up to date'}")
    sync_links(book)
