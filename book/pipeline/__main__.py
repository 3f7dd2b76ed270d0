"""``python -m pipeline``: what the Makefile calls."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline import check, colab, execute, seeds, skeleton, suite, sync
from pipeline.book import Book

ROOT = Path(__file__).resolve().parents[2]


def _check(book: Book, number: str) -> None:
    chapters = book.chapters(number)
    found = [problem for chapter in chapters for problem in check.problems(book, chapter)]
    if not number:
        try:
            stale = sync.unlinked(book)
        except SystemExit as error:
            stale = {}
            found.append(str(error))
        found += [f"{name} is not as the book would write it; run 'make sync'" for name in stale]
    print("\n".join(found) or f"{len(chapters)} chapters: nothing to object to")
    if found:
        raise SystemExit(1)


def _publish_check(book: Book, *, strict: bool) -> None:
    if book.has_placeholder_repository:
        said = (
            f"not ready to publish: _config.yml still names {book.repository}; "
            "put the real URL there, then run 'make sync'"
        )
        if strict:
            raise SystemExit(said)
        print(said)
    elif strict:
        print(f"ready to publish from {book.repository}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the book's root folder")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("sync", help=sync.__doc__)
    commands.add_parser("test", help=suite.__doc__)
    for name, what in (
        ("execute", execute),
        ("check", check),
        ("seeds", seeds),
        ("colab", colab),
        ("elsewhere", suite.elsewhere),
    ):
        command = commands.add_parser(name, help=what.__doc__)
        command.add_argument("--chapter", default="", help="a chapter's number; all by default")
        if name == "execute":
            command.add_argument("--force", action="store_true", help="run what is up to date too")
        if name == "colab":
            command.add_argument("--python", default="", help="the Python to try; 3.13 if here")
        if name == "seeds":
            command.add_argument("--count", type=int, default=20, help="how many seeds to draw")
            command.add_argument("--seeds", type=int, nargs="*", default=[], help="which, instead")
    command = commands.add_parser("new", help=skeleton.__doc__)
    command.add_argument("slug", help="NN-slug")
    command = commands.add_parser("publish-check", help="whether the repository's URL is set")
    command.add_argument("--remind", action="store_true", help="say it without failing")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Run one command."""
    options = _parser().parse_args(arguments)
    book = Book(options.root.resolve())
    match options.command:
        case "sync":
            sync.sync(book)
        case "execute":
            execute.execute(book, options.chapter, force=options.force)
        case "check":
            _check(book, options.chapter)
        case "seeds":
            seeds.seeds(book, options.chapter, options.count, options.seeds)
        case "colab":
            colab.colab(book, options.chapter, options.python)
        case "elsewhere":
            suite.elsewhere(book, options.chapter)
        case "new":
            skeleton.new(book, options.slug)
        case "publish-check":
            _publish_check(book, strict=not options.remind)
        case "test":
            suite.test(book)


if __name__ == "__main__":
    main()
