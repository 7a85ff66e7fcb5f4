"""The cache of downloaded models, shared by all runs, and its locks between processes."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tfod_kit.errors import UsageError
from tfod_kit.io.locking import held

CACHE = "TFOD_CACHE"
MIRROR = "TFOD_MIRROR"
OFFLINE = "TFOD_OFFLINE"


def folder(part: str = "zoo") -> Path:
    """A part of the cache, by default the downloaded models.

    It is in $TFOD_CACHE, else in $XDG_CACHE_HOME/tfod_kit, else in ~/.cache/tfod_kit.
    """
    own = os.environ.get(CACHE)
    if own:
        return Path(own).expanduser() / part
    shared = os.environ.get("XDG_CACHE_HOME")  # its specification requires an absolute path
    root = Path(shared) if shared and Path(shared).is_absolute() else Path.home() / ".cache"
    return root / "tfod_kit" / part


def is_offline() -> bool:
    """Whether $TFOD_OFFLINE disables downloads: set, and not empty, 0, no or false."""
    return os.environ.get(OFFLINE, "").lower() not in ("", "0", "no", "false")


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Holds a lock file until the block ends, so that one process at a time does the work.

    Prints a line when it has to wait for another process. The system releases the lock of a process
    that ends.

    Raises:
      UsageError: the folder cannot be written to.
    """

    def waiting() -> None:
        print(f"Waiting for another process that uses {path.stem}", file=sys.stderr)

    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(path, waiting))
        except OSError as error:
            raise UsageError(
                "The cache folder cannot be written to.",
                where=path.parent,
                found=error.strerror,
                fix=f"Name another with the environment variable {CACHE}.",
            ) from error
        yield
