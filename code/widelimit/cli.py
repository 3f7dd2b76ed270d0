"""The command line: list and draw the figures, read the ledger.

Exit codes: 0 done, 2 wrong usage (an unknown name among it), 1 any other failure. An error is one
line on stderr.
"""

import argparse
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import widelimit
from widelimit.figures.registry import SCALES

# Everything that imports JAX, Matplotlib or SciPy is imported by the command that needs it:
# --help and --version answer at once.


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"widelimit: {message} (see: python -m widelimit --help)\n")


def _seed(text: str) -> int:
    # 32 bits: JAX reads no more of a seed unless 64-bit mode is on.
    if not (text.isascii() and text.isdigit() and int(text) < 2**32):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2^32 - 1")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m widelimit",
        description="The Wide Limit: the figures of the papers, rebuilt, and the book's ledger.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"widelimit {widelimit.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    figures = commands.add_parser("figures", help="list every key figure", allow_abbrev=False)
    figures.set_defaults(run=_figures)
    figure = commands.add_parser(
        "figure",
        help="compute and draw one figure",
        description="Compute and draw one figure. Writes NAME.npz (data), NAME.json (provenance) "
        "and NAME.svg (drawing), replacing what is there.",
        allow_abbrev=False,
    )
    figure.add_argument("name", metavar="NAME", help="as listed by: python -m widelimit figures")
    figure.add_argument(
        "--scale",
        choices=SCALES,
        help="chapter (seconds on two CPU cores) or paper (the published sizes); "
        "default: WIDELIMIT_SCALE, else chapter",
    )
    figure.add_argument("--seed", type=_seed, help="default: WIDELIMIT_SEED, else 0")
    figure.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="default: the current directory"
    )
    figure.set_defaults(run=_figure)
    ledger = commands.add_parser("ledger", help="print every claim", allow_abbrev=False)
    ledger.add_argument("--format", choices=("table", "json", "csv"), default="table")
    ledger.add_argument(
        "--chapters",
        type=Path,
        metavar="DIR",
        help="folder of executed notebooks; default: chapters/ of the book we are in",
    )
    ledger.set_defaults(run=_ledger)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
      argv: the words after ``python -m widelimit``; those of this process by default.

    Returns:
      The exit code: 0 done, 2 wrong usage or an unknown name, 1 any other failure.
    """
    parser = _parser()
    try:
        args = parser.parse_args(argv)
        args.run(parser, args)
        sys.stdout.flush()
    except SystemExit as exit:  # argparse has printed its line
        return exit.code
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does: let the interpreter's last flush not
        # complain about it either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("widelimit: interrupted", file=sys.stderr)
        return 1
    except Exception as error:
        message = " ".join(str(error).split())
        # Errors raised on purpose explain themselves; of others the kind is half the message.
        if not isinstance(error, (OSError, ValueError)) or not message:
            message = f"{type(error).__name__}: {message}"
        print(f"widelimit: {message}", file=sys.stderr)
        return 1
    return 0


def _time(seconds: int | float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.2g} s"


def _figures(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    from widelimit.figures import registry
    from widelimit.ledger.collect import columns, shorten

    width = shutil.get_terminal_size().columns
    found = registry.figures().values()
    header = ("figure", "paper", "chapter", *(f"{s} scale" for s in SCALES))
    rows = [(f.name, f.paper, f.chapter, *(_time(f.seconds[s]) for s in SCALES)) for f in found]
    head, *lines = columns([header, *rows], width)
    print(head)
    for figure, line in zip(found, lines, strict=True):
        print(line, shorten(f"  {figure.number}: {figure.title}", width), sep="\n")


def _figure(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    scale, seed = _scale(parser, args.scale), _checked_seed(parser, args.seed)
    from widelimit.figures import registry

    registry.figures()  # a broken module is a failure, not a wrong name
    try:
        figure = registry.get(args.name)
    except ValueError as error:
        parser.error(str(error))
    _writable(args.out)  # before the work, not after it
    for path in _produce(figure, scale, seed, args.out):
        print(path)


def _scale(parser: argparse.ArgumentParser, given: str | None) -> str:
    scale = given or os.environ.get("WIDELIMIT_SCALE") or "chapter"
    if scale not in SCALES:
        parser.error(f"WIDELIMIT_SCALE={scale}: use {' or '.join(SCALES)}")
    return scale


def _checked_seed(parser: argparse.ArgumentParser, given: int | None) -> int:
    if given is not None:
        return given
    try:
        return _seed(os.environ.get("WIDELIMIT_SEED") or "0")
    except argparse.ArgumentTypeError as error:
        parser.error(f"WIDELIMIT_SEED: {error}")


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".widelimit-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OSError(f"cannot write to {folder}: {error.strerror}") from None


def _produce(figure: Any, scale: str, seed: int, out: Path) -> list[Path]:
    """Compute, write the data, write where they come from, and only then draw."""
    import jax
    import matplotlib
    import numpy as np

    from widelimit import progress
    from widelimit.figures import style
    from widelimit.notebook import Run

    # The key a chapter gives the figure at this seed: the command redraws what the page shows.
    key = Run(seed, scale, draws_figures=True).key(figure.data_of or figure.name)
    matplotlib.use("agg")  # no window is ever opened
    before = jax.config.jax_enable_x64
    # For the whole process, not by a context manager: a figure may compute in threads.
    jax.config.update("jax_enable_x64", True)
    try:
        start = time.perf_counter()
        with progress.clock(figure.name, figure.seconds[scale]):
            computed = figure.compute(key, scale)
            data = {name: np.asarray(value) for name, value in computed.items()}
        seconds = time.perf_counter() - start
    finally:
        jax.config.update("jax_enable_x64", before)
    for name, value in data.items():
        if value.dtype.kind not in "biufcU":
            raise TypeError(f"{figure.name}: {name!r} is no plain array but {value.dtype}")

    npz = io.BytesIO()
    np.savez_compressed(npz, **data)
    paths = [out / f"{figure.name}.{ending}" for ending in ("npz", "json", "svg")]
    _write(paths[0], npz.getvalue())
    provenance = _provenance(figure, scale, seed, seconds, data)
    _write(paths[1], (json.dumps(provenance, indent=2, ensure_ascii=False) + "\n").encode())
    try:
        with matplotlib.rc_context(style.RC):
            svg = style.svg_bytes(figure.draw(data))
    except Exception as error:
        raise RuntimeError(
            f"drawing {figure.name} failed ({type(error).__name__}: {error}); "
            f"its data are in {paths[0]}"
        ) from error
    _write(paths[2], svg)
    return paths


def _write(path: Path, content: bytes) -> None:
    # Whole or not at all: a kill while writing must not damage what an earlier run left.
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _provenance(figure: Any, scale: str, seed: int, seconds: float, data: dict) -> dict:
    import jax

    device = jax.devices()[0]
    versions = {
        name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "numpy", "matplotlib")
    }
    return {
        "name": figure.name,
        "paper": figure.paper,
        "number": figure.number,
        "chapter": figure.chapter,
        "title": figure.title,
        "scale": scale,
        "seed": seed,
        "seconds": round(seconds, 3),
        "device": {"platform": device.platform, "kind": device.device_kind},
        "versions": {
            "widelimit": widelimit.__version__,
            **versions,
            "python": platform.python_version(),
        },
        "commit": _commit(),
        "arrays": {
            name: {
                "shape": list(value.shape),
                "dtype": str(value.dtype),
                "sha256": hashlib.sha256(value.tobytes()).hexdigest(),
            }
            for name, value in data.items()
        },
    }


def _commit() -> str | None:
    """The commit of this code, with ``-dirty`` if changed since; None outside a checkout."""

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ("git", *words),
                cwd=Path(__file__).parent,
                capture_output=True,
                text=True,
                timeout=10,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # An installed copy may lie inside another project's checkout: ask whether git tracks this one.
    if git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _ledger(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    from widelimit.ledger import collect

    claims = collect.collect(args.chapters or collect.find_chapters())
    if args.format == "json":
        print(collect.as_json(claims))
    elif args.format == "csv":
        print(collect.as_csv(claims))
    else:
        print(collect.as_table(claims, shutil.get_terminal_size().columns))
