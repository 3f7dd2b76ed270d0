"""Progress on whatever takes longer than two seconds, and silence where output is kept.

Bars go to stderr and vanish when done. They show in a terminal and in a live notebook; a log file
or a pipe gets none. ``WIDELIMIT_PROGRESS=0`` silences them anywhere (set it wherever notebooks are
executed to be stored), ``WIDELIMIT_PROGRESS=1`` shows them anywhere.
"""

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

_T = TypeVar("_T")

#: Seconds of work before anything is shown.
DELAY = 2.0


def enabled() -> bool:
    """Whether progress is shown here.

    Returns:
      What ``WIDELIMIT_PROGRESS`` says (``0`` no, anything else yes); where it is unset or empty,
      True in a terminal and in a Jupyter kernel, whose stderr is no terminal but has a reader.
    """
    choice = os.environ.get("WIDELIMIT_PROGRESS", "")
    if choice:
        return choice != "0"
    return sys.stderr.isatty() or "ipykernel" in type(sys.stderr).__module__


def track(iterable: Iterable[_T], description: str, total: int | None = None) -> Iterator[_T]:
    """Iterate, with a bar once two seconds have passed.

    Args:
      iterable: what to iterate over.
      description: a few words, shown before the bar.
      total: number of items, where ``len(iterable)`` does not say it.

    Returns:
      An iterator over the same items.
    """
    return iter(
        tqdm(
            iterable, description, total, delay=DELAY, leave=False, disable=not enabled(), ncols=79
        )
    )


@contextmanager
def clock(description: str, seconds: int | float | None = None) -> Iterator[None]:
    """Show the time passing while one long call runs that reports nothing itself.

    Args:
      description: a few words, shown before the time.
      seconds: about how long the call should take; without it only the time spent is shown.

    Returns:
      A context manager; bars opened inside by `track` appear below this one.
    """
    if not enabled():
        yield
        return
    form = "{desc}: {elapsed}" if seconds is None else "{desc}: |{bar}| {elapsed} of about {unit}"
    unit = "" if seconds is None else tqdm.format_interval(seconds)
    start, done = time.monotonic(), threading.Event()
    # mininterval=0 and miniters=0: every tick is drawn, also those that do not move the bar.
    with tqdm(
        total=seconds,
        desc=description,
        unit=unit,
        bar_format=form,
        delay=DELAY,
        leave=False,
        mininterval=0,
        miniters=0,
        ncols=79,
    ) as bar:

        def tick() -> None:
            while not done.wait(0.5):
                spent = time.monotonic() - start
                bar.update((spent if seconds is None else min(spent, seconds)) - bar.n)

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            done.set()
            ticker.join()
