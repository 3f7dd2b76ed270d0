"""``make sync``: set-up cells, notebooks and the README's links follow what was edited."""

from __future__ import annotations

import re

from pipeline import digest, notebook, setup_cell
from pipeline.book import Book, Chapter

_LINKS = re.compile(r"(<!-- links: written by make sync -->\n).*?(<!-- end of links -->)", re.S)


def sync_chapter(book: Book, chapter: Chapter) -> bool:
    """Bring a chapter's set-up cell and notebook up to date; returns whether a file changed.

    Outputs stay with the cells whose source did not change. The stored digest stays valid when
    the code they came from did not: then only prose moved.
    """
    text = chapter.text.read_text(encoding="utf-8")
    updated = setup_cell.write_into(text, book.repository, chapter.text.name)
    if updated != text:
        chapter.text.write_text(updated, encoding="utf-8")
    new = notebook.from_text(chapter)
    if chapter.notebook.is_file():
        old = notebook.read(chapter.notebook)
        notebook.keep_outputs(new, old)
        recorded = (old.metadata.get("widelimit") or {}).get("digest")
        current = digest.of_chapter(book, chapter, notebook.sources(new))
        if recorded and recorded["code"] == current["code"]:
            new.metadata.widelimit.digest = current
    return notebook.write(new, chapter.notebook) or updated != text


def readme(book: Book) -> str:
    """The README with its links to the repository and to each chapter in Colab."""
    text = (book.root / "README.md").read_text(encoding="utf-8")
    place = book.repository.removeprefix("https://github.com/")
    lines = [f"Clone it: `git clone {book.repository}`", ""]
    for chapter in book.chapters():
        path = f"github/{place}/blob/{book.branch}/chapters/{chapter.notebook.name}"
        colab = f"https://colab.research.google.com/{path}"
        lines.append(f"- [{title(chapter)}](chapters/{chapter.text.name}), [in Colab]({colab})")
    if not _LINKS.search(text):
        raise SystemExit(
            "README.md: the lines '<!-- links: written by make sync -->' and "
            "'<!-- end of links -->' are gone; put them back around the links"
        )
    return _LINKS.sub(lambda m: m[1] + "\n".join(lines).strip() + "\n" + m[2], text)


def sync_readme(book: Book) -> None:
    """Write the README's links if they changed."""
    text = readme(book)
    if text != (book.root / "README.md").read_text(encoding="utf-8"):
        (book.root / "README.md").write_text(text, encoding="utf-8")
        print("README.md: links written")


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
    sync_readme(book)
