"""Running chapters: for their stored outputs, and for their claims at another seed."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode

from pipeline import digest, notebook
from pipeline.book import Book, Chapter
from pipeline.sync import sync_chapter, sync_links

LIMIT_SECONDS = 60  # a chapter at the default scale on two cores
# Settings of whoever runs it, which would change numbers, paths or warnings in a chapter.
_OF_THIS_SHELL = ("WIDELIMIT_", "JAX_", "XLA_", "PYTHON", "GIT_", "MPL", "IPYTHON")
CELL_TIMEOUT = 900  # seconds; no cell may hang a build


class ChapterError(Exception):
    """A chapter that stopped, with the traceback of the cell that stopped it."""


def environment(book: Book, **changes: str) -> dict[str, str]:
    """The environment a chapter runs in: default seed and scale, this checkout's package."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_OF_THIS_SHELL)}
    defaults = {
        "JAX_PLATFORMS": "cpu",  # stored outputs are compared on machines without an accelerator
        "PYTHONPATH": str(book.package.parent),
        "WIDELIMIT_PROGRESS": "0",  # a progress bar has no place in a stored output
    }
    return {**kept, **defaults, **changes}


class _KernelOf(KernelSpecManager):
    """Whatever kernel is asked for, it is the one in the environment of ``python``."""

    def __init__(self, python: Path) -> None:
        super().__init__()
        self._command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(argv=self._command, display_name=kernel_name, language="python")


def run(
    cells: NotebookNode, directory: Path, env: dict[str, str], python: Path | None = None
) -> float:
    """Execute a notebook in place from top to bottom in a new kernel; returns the seconds.

    Args:
      cells: the notebook.
      directory: where its kernel starts.
      env: all the environment variables that the kernel sees.
      python: the interpreter whose kernel runs it; this one's by default.

    Raises:
      ChapterError: a cell or the kernel stopped, or the kernel never started.
    """
    client = NotebookClient(
        cells,
        kernel_name="python3",
        timeout=CELL_TIMEOUT,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=40"],  # no remark on TCP at every start
        resources={"metadata": {"path": str(directory)}},
    )
    if python is not None:
        client.create_kernel_manager().kernel_spec_manager = _KernelOf(python)
    begin = time.perf_counter()
    try:
        # An empty profile: a person's own start-up files are no part of a chapter.
        with tempfile.TemporaryDirectory() as profile:
            # client.execute() would leave an event loop open in every thread that calls it.
            asyncio.run(client.async_execute(env={**env, "IPYTHONDIR": profile}))
    except (CellExecutionError, CellTimeoutError, RuntimeError) as error:
        raise ChapterError(str(error)) from error
    return time.perf_counter() - begin


def is_stale(book: Book, chapter: Chapter) -> bool:
    """Whether the stored outputs come from other text or code than what is here now."""
    if not chapter.notebook.is_file():
        return True
    stored = notebook.read(chapter.notebook)
    recorded = (stored.metadata.get("widelimit") or {}).get("digest")
    current = digest.of_chapter(book, chapter, notebook.sources(notebook.from_text(book, chapter)))
    return recorded != current


def execute(book: Book, number: str = "", *, force: bool = False) -> None:
    """Run the stale chapters and store their outputs, each with the digest of what it ran."""
    sync_links(book)
    for chapter in book.chapters(number):
        sync_chapter(book, chapter)
        if not force and not is_stale(book, chapter):
            print(f"{chapter.slug}: up to date")
            continue
        print(f"{chapter.slug}: executing ...", flush=True)
        cells = notebook.from_text(book, chapter)
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
