"""File locks between processes. The system releases those of a process that ends."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt

    # Nobody else can read a byte that is locked, so one beyond the end of any file is.
    _LOCKED_BYTE = 1 << 30

    def try_lock(stream: IO[bytes], *, shared: bool = False) -> bool:
        """Locks an open file; False if another process holds the lock.

        Windows has no shared locks: a request for one succeeds without locking anything.
        """
        if shared:
            return True
        stream.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(stream: IO[bytes]) -> None:
        """Releases the lock, as closing the file does."""
        stream.seek(_LOCKED_BYTE)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def try_lock(stream: IO[bytes], *, shared: bool = False) -> bool:
        """Locks an open file; False if another process holds the lock.

        On network file systems without locks every request succeeds.

        Args:
          stream: the file; the lock lasts until it is closed.
          shared: whether other shared locks may be held at the same time.
        """
        try:
            fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def unlock(stream: IO[bytes]) -> None:
        """Releases the lock, as closing the file does."""
        fcntl.flock(stream, fcntl.LOCK_UN)


_RETRY_S = 0.2


@contextmanager
def held(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Holds a lock file during the block, so that one process at a time does the work.

    Args:
      path: the lock file, created if necessary; it stays.
      waiting: called once if another process holds the lock.

    Raises:
      OSError: the file cannot be created or written to.
    """
    with path.open("ab") as stream:
        reported = False
        while not try_lock(stream):
            if not reported:
                waiting()
                reported = True
            time.sleep(_RETRY_S)
        try:
            yield
        finally:
            unlock(stream)
