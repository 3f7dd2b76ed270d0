"""The last state of a long computation, kept in a folder so that a kill loses little.

A checkpoint is written whole or not at all, and only the computation that wrote it may go on from
it: each carries a description of its problem.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

# Orbax takes longer to import than all of the lab: only who saves waits for it.


class Checkpoints:
    """The checkpoints of one computation.

    Args:
      folder: where they lie; made if it is not there. It holds the last one, and at times one
        that is older.
      problem: what identifies the computation, by name: a number, or the `digest` of a tree.

    Raises:
      ValueError: the folder holds a checkpoint of another problem.
    """

    def __init__(self, folder: str | os.PathLike, problem: Mapping[str, str]) -> None:
        with _quiet_orbax() as ocp:
            self._problem = dict(problem)
            self._manager = ocp.CheckpointManager(
                Path(folder).absolute(),
                options=ocp.CheckpointManagerOptions(
                    max_to_keep=1, enable_async_checkpointing=False
                ),
                item_names=("problem", "state"),
            )
            #: The step of the last checkpoint; None where there is none.
            self.step: int | None = self._manager.latest_step()
            if self.step is None:
                return
            arguments = ocp.args.Composite(problem=ocp.args.JsonRestore())
            found = self._manager.restore(self.step, args=arguments)["problem"]
        names = dict.fromkeys((*found, *self._problem))
        changes = [
            f"{name} (there {found.get(name)}, here {self._problem.get(name)})"
            for name in names
            if found.get(name) != self._problem.get(name)
        ]
        if changes:
            raise ValueError(
                f"the checkpoint in {folder} is of another problem, by {', '.join(changes)}; "
                "give another folder, or delete this one"
            )

    def save(self, step: int, state: PyTree) -> None:
        """Write a checkpoint, then delete the one before.

        Args:
          step: how far the computation is; more than at the last checkpoint.
          state: a tree of arrays, none of them empty.
        """
        with _quiet_orbax() as ocp:
            arguments = ocp.args.Composite(
                problem=ocp.args.JsonSave(self._problem),
                state=ocp.args.StandardSave(_arrays(state)),
            )
            self._manager.save(step, args=arguments)
            self.step = step

    def restore(self, like: PyTree) -> PyTree:
        """Read the last checkpoint.

        Args:
          like: a tree of arrays of the same structure, shapes and types as the one saved.

        Returns:
          The state that was saved, to the last bit.
        """
        with _quiet_orbax() as ocp:
            arguments = ocp.args.Composite(state=ocp.args.StandardRestore(_arrays(like)))
            arrays = self._manager.restore(self.step, args=arguments)["state"]
        leaves, structure = jax.tree.flatten(like)
        found = [
            _like(leaf, arrays[name]) for name, leaf in zip(sorted(arrays), leaves, strict=True)
        ]
        return jax.tree.unflatten(structure, found)


def digest(tree: PyTree) -> str:
    """A short text that differs where two trees differ in names, shapes, types or bits.

    Args:
      tree: a tree of arrays.

    Returns:
      12 hexadecimal digits, the same in every process.
    """
    found = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = _array(leaf)
        found.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()[:12]


def _is_key(leaf):
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _array(leaf):
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _like(leaf, array):
    if _is_key(leaf):
        return jax.random.wrap_key_data(array, impl=jax.random.key_impl(leaf))
    return np.array(array)  # a copy, which may be written to


def _arrays(tree) -> dict[str, np.ndarray]:
    # By number: the names of the leaves of a network may be none that a file can have.
    return {f"{i:06d}": _array(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}


@contextmanager
def _quiet_orbax() -> Iterator[Any]:
    """Orbax, which meanwhile logs errors only: some versions warn of their own inner workings."""
    import orbax.checkpoint as ocp

    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield ocp
    finally:
        logger.setLevel(before)
