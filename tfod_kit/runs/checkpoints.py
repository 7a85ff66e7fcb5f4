"""Finds the checkpoints of a folder without TensorFlow."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from tfod_kit.errors import CheckpointError
from tfod_kit.runs import run_lock

LATEST = "latest"
BEST = "best"  # its name on the command line, and its folder in the run

_INDEX = ".index"
_READS = 4
_READ_PAUSE_S = 0.5
_T = TypeVar("_T")


def available(folder: Path) -> list[Path]:
    """The checkpoint prefixes in a folder (`ckpt-12` for `ckpt-12.index`), oldest first.

    They are sorted by the number in the name. A prefix without a data file is left out: it is the
    result of an interrupted copy.
    """
    prefixes = [path.with_suffix("") for path in folder.glob(f"*{_INDEX}")]
    return sorted(filter(_has_data, prefixes), key=lambda prefix: (number(prefix), prefix.name))


def latest(folder: Path) -> Path | None:
    """The checkpoint named by TensorFlow's `checkpoint` file, else the one with the highest number.

    None if the folder has no checkpoint.
    """
    prefixes = available(folder)
    named = _named_by_state(folder)
    if named in prefixes:
        return named
    return prefixes[-1] if prefixes else None


def resolve(path: Path) -> Path:
    """The checkpoint prefix for a folder, a prefix, or one of a checkpoint's files.

    Raises:
      CheckpointError: there is no such checkpoint; the existing ones are listed.
    """
    if path.is_dir():
        newest = latest(path) or latest(path / "checkpoint")
        if newest is None:
            raise _missing(path, "no checkpoint", path)
        return newest
    prefix = Path(re.sub(r"\.(index|data-\d+-of-\d+)$", "", str(path)))
    if not prefix.with_name(prefix.name + _INDEX).is_file():
        raise _missing(prefix, "no such checkpoint", prefix.parent)
    if not _has_data(prefix):
        raise _missing(prefix, f"no {prefix.name}.data-*: it was not copied", prefix.parent)
    return prefix


def choose(run: Path, checkpoint: str | Path | None = None) -> Path:
    """The checkpoint of a run given as "latest", "best", a name or a path.

    Args:
      run: a run folder, or anything that `resolve` takes.
      checkpoint: "latest" (like None), "best" (the one that `tfod train` kept by its metric), the
        name of a checkpoint in the run ("ckpt-1000") or its number, or a prefix anywhere else.

    Raises:
      CheckpointError: there is no such checkpoint; the existing ones are listed.
    """
    if checkpoint is None or str(checkpoint) == LATEST:
        return resolve(run)
    if str(checkpoint) == BEST:
        return _best(run)
    text = str(checkpoint)
    name = f"ckpt-{text}" if text.isdecimal() else text
    if len(Path(name).parts) == 1 and (run / f"{name}{_INDEX}").is_file():
        return resolve(run / name)
    return resolve(Path(checkpoint))


def read_steadily(run: Path, checkpoint: str | Path | None, read: Callable[[Path], _T]) -> _T:
    """Reads the checkpoint that `choose` finds, or the one after it if that was deleted meanwhile.

    A training in the same folder keeps only its newest checkpoints.

    Args:
      run, checkpoint: as for `choose`.
      read: reads the checkpoint with this prefix; raises CheckpointError if it cannot.

    Raises:
      CheckpointError: there is no such checkpoint, or it cannot be read.
    """
    for _ in range(_READS - 1):
        prefix = choose(run, checkpoint)
        before = _state(prefix)
        try:
            return read(prefix)
        except CheckpointError:
            if _state(prefix) == before:
                raise
        time.sleep(_READ_PAUSE_S)
    return read(choose(run, checkpoint))


def _state(prefix: Path) -> list[tuple[str, int, int]]:
    """The files of a checkpoint with their sizes and times of change."""
    found = []
    for path in parts(prefix):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        found.append((path.name, status.st_size, status.st_mtime_ns))
    return found


def watch(
    folder: Path, *, timeout: float, finished: Callable[[Path | None], bool], poll: float = 2.0
) -> Iterator[Path]:
    """Yields the newest checkpoint of a folder, and then each newer one when it appears.

    Of those that appear while the caller is busy only the newest is yielded, as upstream does.

    Args:
      folder: the folder of a training, which may not have started yet.
      timeout: the seconds without a new checkpoint after which to stop.
      finished: called with the newest checkpoint; returns whether it is the last.
      poll: the seconds between two looks at the folder.
    """
    seen: Path | None = None
    since = time.monotonic()
    while True:
        newest = latest(folder) if folder.is_dir() else None
        if newest is not None and newest != seen:
            seen = newest
            yield newest
            since = time.monotonic()
        elif finished(newest) or time.monotonic() - since > timeout:
            return
        else:
            time.sleep(poll)


def parts(prefix: Path) -> list[Path]:
    """The files of a checkpoint that exist: its data, then its index."""
    index = prefix.with_name(prefix.name + _INDEX)
    data = sorted(prefix.parent.glob(f"{prefix.name}.data-*"))
    return [*data, index] if index.is_file() else data


def _best(run: Path) -> Path:
    newest = latest(run / BEST)
    if newest is None:
        raise CheckpointError(
            "The run has no best checkpoint.",
            where=run / BEST,
            expected="the checkpoint with the highest metric, which `tfod train` keeps there",
            fix="Train with evaluation (without --no_evaluate), or use `latest`.",
        )
    return newest


def number(prefix: Path) -> int:
    """The number at the end of a checkpoint's name; -1 if there is none."""
    match = re.search(r"(\d+)$", prefix.name)
    return int(match[1]) if match else -1


def _has_data(prefix: Path) -> bool:
    return any(prefix.parent.glob(f"{prefix.name}.data-*"))


def _named_by_state(folder: Path) -> Path | None:
    state = folder / "checkpoint"
    if not state.is_file():
        return None
    text = state.read_text("utf-8", errors="replace")
    match = re.search(r'^model_checkpoint_path: "(.*)"', text, re.MULTILINE)
    return folder / Path(match[1]).name if match else None


def _missing(path: Path, found: str, folder: Path) -> CheckpointError:
    names = ", ".join(prefix.name for prefix in available(folder)) if folder.is_dir() else ""
    training = run_lock.other_writer(folder)
    return CheckpointError(
        "The checkpoint is missing.",
        where=path,
        expected="a prefix such as ckpt-1000, with ckpt-1000.index and ckpt-1000.data-* beside it",
        found=f"{found}; the checkpoints in {folder} are: {names}" if names else found,
        fix="Train first (`tfod train`), or name an existing checkpoint."
        if training is None
        else f"Wait for the next checkpoint of the training that is running ({training}), or name "
        "an existing one.",
    )
