"""What a chapter's stored outputs depend on, as two digests.

``text`` is the digest of the ``.md``; ``code`` that of its code cells and of the syntax trees,
docstrings removed, of every ``widelimit`` module they import, directly or not, with the pins of
the numeric libraries. A change of prose alters only the first, so ``make sync`` can record it
without running anything; a comment or a docstring in the package alters neither.
"""

from __future__ import annotations

import ast
import hashlib
import re
from pathlib import Path

from pipeline.book import Book, Chapter

_NUMERIC = {"jax", "jaxlib", "flax", "optax", "numpy", "scipy", "scikit-learn", "matplotlib"}


def of_chapter(book: Book, chapter: Chapter, cells: list[str]) -> dict[str, str]:
    """The two digests of a chapter whose code cells are ``cells``."""
    # The set-up cell names the repository, on which no output depends.
    own = [cell.replace(book.repository, "") for cell in cells]
    modules = _reachable(book.package, [_parse(cell, chapter.slug) for cell in cells])
    code = own + [f"{name}: {_canonical(tree)}" for name, tree in sorted(modules.items())]
    code += _pinned(book.root / "constraints.txt")
    return {"text": _hash(chapter.text.read_text(encoding="utf-8")), "code": _hash(*code)}


def _pinned(constraints: Path) -> list[str]:
    """The pins of the libraries that make the numbers: stored outputs hold under them."""
    if not constraints.is_file():
        return []
    lines = constraints.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.partition("==")[0] in _NUMERIC]


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _parse(source: str, where: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise SystemExit(
            f"{where}: a code cell is not plain Python ({error.msg}: {error.text!r}); "
            "magics and shell escapes have no place in a chapter"
        ) from None


def _reachable(package: Path, trees: list[ast.Module]) -> dict[str, ast.Module]:
    """The package's modules that ``trees`` import, with their own imports, by dotted name."""
    found: dict[str, ast.Module] = {}
    waiting = [name for tree in trees for name in _imported(tree, "", is_package=False)]
    while waiting:
        name = waiting.pop()
        path = _locate(package, name)
        if name in found or path is None:
            continue
        found[name] = _parse(path.read_text(encoding="utf-8"), name)
        waiting += _imported(found[name], name, is_package=path.name == "__init__.py")
    return found


def _locate(package: Path, name: str) -> Path | None:
    """The file of a module, or None for what is not a module of the package."""
    first, *rest = name.split(".")
    if first != package.name:
        return None
    base = package.joinpath(*rest)
    candidates = (base / "__init__.py", base.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


def _imported(tree: ast.Module, name: str, *, is_package: bool) -> set[str]:
    """Every dotted name a module may import: what follows a ``from`` may be a module too."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = name.split(".")
            up = parents[: len(parents) - node.level + is_package] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            names.update({base, *(f"{base}.{alias.name}" for alias in node.names)})
        elif isinstance(node, ast.Constant) and re.fullmatch(r"[\w.]+", str(node.value)):
            # importlib.import_module("widelimit.x"), as a package that loads lazily has it.
            names.add(str(node.value))
    # Importing a.b.c runs a and a.b first.
    return {".".join(n.split(".")[: i + 1]) for n in names for i in range(n.count(".") + 1)}


def _canonical(node: object) -> str:
    """A syntax tree as text, bare strings left out; the same in every version of Python.

    ``ast.dump`` and ``ast.unparse`` are not: newer versions add fields and requote.
    """
    if isinstance(node, ast.AST):
        fields = [(k, v) for k, v in ast.iter_fields(node) if v is not None and v != []]
        return f"{type(node).__name__}({', '.join(f'{k}={_canonical(v)}' for k, v in fields)})"
    if isinstance(node, list):
        return f"[{', '.join(_canonical(item) for item in node if not _is_bare_string(item))}]"
    return repr(node)


def _is_bare_string(node: object) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
