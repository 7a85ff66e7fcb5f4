"""Locks that keep two processes from writing one thing; the system frees a dead process's."""

import sys
from typing import IO

if sys.platform == "win32":
    import msvcrt

    def try_lock(stream: IO[bytes], *, shared: bool = False) -> bool:
        """Locks an open file; False when another process has it.

        Windows knows no shared locks: whoever asks for one is let in.
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
        """Frees it; closing the file does too."""
        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def try_lock(stream: IO[bytes], *, shared: bool = False) -> bool:
        """Locks an open file; False when another process has it.

        Some network file systems have no locks: there one is given to whoever asks.

        Args:
          stream: the file; the lock lasts until it is closed.
          shared: a lock that others may share, but that excludes those who do not.
        """
        try:
            fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def unlock(stream: IO[bytes]) -> None:
        """Frees it; closing the file does too."""
        fcntl.flock(stream, fcntl.LOCK_UN)
