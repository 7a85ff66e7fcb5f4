"""File locks between processes. The system releases those of a process that ends."""

import sys
from typing import IO

if sys.platform == "win32":
    import msvcrt

    def try_lock(stream: IO[bytes], *, shared: bool = False) -> bool:
        """Locks an open file; False if another process holds the lock.

        Windows has no shared locks: a request for one succeeds without locking anything.
        """
        if shared:
            return True
        stream.seek(0)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(stream: IO[bytes]) -> None:
        """Releases the lock, as closing the file does."""
        stream.seek(0)
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
