"""Where downloaded models lie, shared by all runs, and the lock that keeps two processes apart."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfod_kit.errors import UsageError
from tfod_kit.io.locking import try_lock, unlock

CACHE = "TFOD_CACHE"
MIRROR = "TFOD_MIRROR"
OFFLINE = "TFOD_OFFLINE"

_RETRY_S = 0.2


def folder(part: str = "zoo") -> Path:
    """A part of the cache, downloaded models unless told: below $TFOD_CACHE, else
    $XDG_CACHE_HOME, else ~/.cache."""
    own = os.environ.get(CACHE)
    if own:
        return Path(own).expanduser() / part
    shared = os.environ.get("XDG_CACHE_HOME")  # by its specification only absolute paths count
    root = Path(shared) if shared and Path(shared).is_absolute() else Path.home() / ".cache"
    return root / "tfod_kit" / part


def is_offline() -> bool:
    """Whether $TFOD_OFFLINE forbids the network; unset, empty, 0, no and false do not."""
    return os.environ.get(OFFLINE, "").lower() not in ("", "0", "no", "false")


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Holds a lock file until the block ends, so that one process at a time does the work.

    Waits for another that holds it, and says so. The lock goes with its process, killed or not.

    Raises:
      UsageError: the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("ab")
    except OSError as error:
        raise UsageError(
            "The cache folder cannot be written to.",
            where=path.parent,
            found=error.strerror,
            fix=f"Name another with the environment variable {CACHE}.",
        ) from error
    with stream:
        waiting = False
        while not try_lock(stream):
            if not waiting:
                print(f"Another process is at work on {path.stem}; waiting for it", file=sys.stderr)
                waiting = True
            time.sleep(_RETRY_S)
        try:
            yield
        finally:
            unlock(stream)
