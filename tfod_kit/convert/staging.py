"""The hidden folder beside the output in which a conversion grows until it is whole.

Its name is the same for every run, so that a run finds what a killed one finished, and so that
several jobs can fill one. It becomes the output in one step.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tfod_kit import files
from tfod_kit.convert.writing import NOTE_SUFFIX, Shard
from tfod_kit.errors import UsageError

_LOCK = "lock"


def folder_of(out: Path) -> Path:
    """Where the output `out` grows."""
    return out.parent / f".{out.name}.partial"


@contextmanager
def opened(out: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yields the folder, made if need be, and locked against other runs while the block lasts.

    When the block fails, the folder is removed unless it holds a finished record file.

    Args:
      out: the output folder.
      shared: whether other runs with `shared` may write at the same time.

    Raises:
      UsageError: another run is writing, or the folder cannot be made.
    """
    if out.is_file():
        raise UsageError(
            "A folder is to be written where a file is.", where=out, fix="Name another folder."
        )
    folder = folder_of(out)
    with files.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("wb")
    with lock:
        _take(lock, out, shared)
        try:
            yield folder
        except BaseException as error:
            kept = _finished(folder)
            if kept:
                files_ = f"{kept} finished record file{'s' if kept > 1 else ''}"
                error.add_note(
                    f"Kept {files_} in {folder}: the same command goes on from there; remove the "
                    "folder to start anew."
                )
            elif not shared:
                shutil.rmtree(folder, ignore_errors=True)
            raise


def clean(folder: Path, plan: Sequence[Shard]) -> None:
    """Removes what no shard of the plan needs: files of other plans, and of killed writers."""
    wanted = {_LOCK} | {path.name for shard in plan for path in (shard.path, shard.note)}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)


def finish(folder: Path, plan: Sequence[Shard], out: Path) -> None:
    """Makes the folder the output, which it replaces in one step.

    Raises:
      UsageError: the output cannot be replaced.
    """
    for path in (*(shard.note for shard in plan), folder / _LOCK):
        path.unlink(missing_ok=True)
    files.replace_folder(folder, out)


def _take(lock: IO[bytes], out: Path, shared: bool) -> None:
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        return
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            "Another conversion is writing this output.",
            where=out,
            fix="Wait for it to end, or name another --out.",
        ) from None
    except OSError:  # some network file systems have no locks
        return


def _finished(folder: Path) -> int:
    return sum(path.name.endswith(NOTE_SUFFIX) for path in folder.iterdir())
