"""Running chapters: for their stored outputs, and for their claims at another seed."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from pipeline import digest, notebook
from pipeline.book import Book, Chapter
from pipeline.sync import sync_chapter, sync_readme

LIMIT_SECONDS = 60  # a chapter at the default scale on two cores
CELL_TIMEOUT = 900  # seconds; no cell may hang a build


class ChapterError(Exception):
    """A chapter that stopped, with the traceback of the cell that stopped it."""


def environment(book: Book, **changes: str) -> dict[str, str]:
    """The environment a chapter runs in: default seed and scale, this checkout's package."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WIDELIMIT_")}
    defaults = {
        "JAX_PLATFORMS": "cpu",  # stored outputs are compared on machines without an accelerator
        "PYTHONPATH": str(book.package.parent),
        "WIDELIMIT_PROGRESS": "0",  # a progress bar has no place in a stored output
    }
    return {**kept, **defaults, **changes}


def run(cells: NotebookNode, directory: Path, env: dict[str, str]) -> float:
    """Execute a notebook in place from top to bottom in a new kernel; returns the seconds."""
    client = NotebookClient(
        cells,
        kernel_name="python3",
        timeout=CELL_TIMEOUT,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=40"],  # no remark on TCP at every start
        resources={"metadata": {"path": str(directory)}},
    )
    begin = time.perf_counter()
    try:
        # client.execute() would leave an event loop open in every thread that calls it.
        asyncio.run(client.async_execute(env=env))
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise ChapterError(str(error)) from error
    return time.perf_counter() - begin


def is_stale(book: Book, chapter: Chapter) -> bool:
    """Whether the stored outputs come from other text or code than what is here now."""
    if not chapter.notebook.is_file():
        return True
    stored = notebook.read(chapter.notebook)
    recorded = (stored.metadata.get("widelimit") or {}).get("digest")
    current = digest.of_chapter(book, chapter, notebook.sources(notebook.from_text(chapter)))
    return recorded != current


def execute(book: Book, number: str = "", *, force: bool = False) -> None:
    """Run the stale chapters and store their outputs, each with the digest of what it ran."""
    sync_readme(book)
    for chapter in book.chapters(number):
        sync_chapter(book, chapter)
        if not force and not is_stale(book, chapter):
            print(f"{chapter.slug}: up to date")
            continue
        print(f"{chapter.slug}: executing ...", flush=True)
        cells = notebook.from_text(chapter)
        current = digest.of_chapter(book, chapter, notebook.sources(cells))
        try:
            seconds = run(cells, chapter.text.parent, environment(book))
        except ChapterError as error:
            raise SystemExit(f"{chapter.slug} stopped; nothing was stored.\n{error}") from None
        cells.metadata.clear()
        cells.metadata.update({**notebook.KERNEL, "widelimit": {"digest": current}})
        notebook.write(cells, chapter.notebook)
        slow = f" (over the {LIMIT_SECONDS} s a chapter may take)" * (seconds > LIMIT_SECONDS)
        size = chapter.notebook.stat().st_size / 1000
        print(f"{chapter.slug}: executed in {seconds:.1f} s{slow}, {size:.0f} kB stored")
