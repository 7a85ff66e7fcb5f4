"""The hidden folder beside an output in which a conversion collects its files until it is complete.

Its name is the same for every run, so that a run finds the files of one that was killed, and
several jobs can fill one folder. It becomes the output in one step.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tfod_kit.errors import UsageError
from tfod_kit.io import files
from tfod_kit.io.locking import try_lock

_LOCK = "lock"


def partial_folder(out: Path) -> Path:
    """The folder in which the output `out` is collected."""
    return out.parent / f".{out.name}.partial"


@contextmanager
def locked(
    out: Path, *, shared: bool = False, finished: Callable[[Path], int] = lambda _: 0
) -> Iterator[Path]:
    """Yields the folder, created if necessary, and locked against other runs during the block.

    If the block fails, the folder is removed unless it holds a finished record file.

    Args:
      out: the output folder.
      shared: whether other runs with `shared` may write at the same time.
      finished: returns how many record files in the folder a later run can use.

    Raises:
      UsageError: another run is writing, or the folder cannot be created.
    """
    if out.is_file():
        raise UsageError(
            "The output folder is an existing file.", where=out, fix="Name another folder."
        )
    folder = partial_folder(out)
    with files.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("wb")
    with lock:
        _lock(lock, out, shared)
        try:
            yield folder
        except BaseException as error:
            kept = finished(folder)
            if kept:
                files_ = f"{kept} finished record file{'s' if kept > 1 else ''}"
                error.add_note(
                    f"Kept {files_} in {folder}: the same command resumes there; remove the folder "
                    "to start from the beginning."
                )
            elif not shared:
                shutil.rmtree(folder, ignore_errors=True)
            raise


def clean(folder: Path, keep: Iterable[str] = ()) -> None:
    """Removes all but the files with these names: those of other plans and of killed writers."""
    kept = {_LOCK, *keep}
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)


def entries(folder: Path) -> list[str]:
    """The names of the output's files so far, sorted."""
    return sorted(path.name for path in folder.iterdir() if path.name != _LOCK)


def finish(folder: Path, out: Path, beside: Iterable[Path] = ()) -> None:
    """Replaces the output by the folder in one step, after removing the files `beside` from it.

    Raises:
      UsageError: the output cannot be replaced.
    """
    for path in (*beside, folder / _LOCK):
        path.unlink(missing_ok=True)
    files.replace_folder(folder, out)


def _lock(lock: IO[bytes], out: Path, shared: bool) -> None:
    if not try_lock(lock, shared=shared):
        raise UsageError(
            "Another conversion is writing this output.",
            where=out,
            fix="Wait for it to end, or name another --out.",
        )
