"""One writer for each run folder: two trainings in one would mix their checkpoints.

The lock is a file in the run folder that stays there; the system releases the lock itself when the
process ends, however it ends. The file's text states who holds the lock.
"""

import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from tfod_kit.errors import UsageError
from tfod_kit.io import files, json_files
from tfod_kit.io.locking import try_lock

FILE_NAME = ".tfod.lock"

# `other_writer` holds the lock for an instant when it looks; a start in that instant tries again.
_TRIES = 10
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that writes into a run folder.

    Attributes:
      pid: its process id; 0 if unknown.
      host: the name of its machine.
      command: the words of its command line.
      since: when it took the lock: seconds since 1970, UTC.
      cluster: the addresses of the workers that train together and share the lock.
    """

    pid: json_files.Count = 0
    host: str = ""
    command: str = ""
    since: json_files.Timestamp = 0.0
    cluster: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.pid:
            return "a process that has not stated who it is"
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on {self.host}, since {since}: {self.command}"


@contextmanager
def writing(folder: Path, command: Sequence[str], cluster: Sequence[str] = ()) -> Iterator[None]:
    """Holds the lock of a run folder during the block.

    Args:
      folder: the run folder, which exists.
      command: the words of the command line, without the program's name.
      cluster: the addresses of the workers that train together; they share the lock.

    Raises:
      UsageError: another process holds the lock, or the folder cannot be written to.
    """
    path = folder / FILE_NAME
    me = Writer(
        os.getpid(), platform.node(), " ".join(["tfod", *command]), time.time(), tuple(cluster)
    )
    with files.explained(path):
        stream = path.open("a+b")
    with stream:
        if not _take(stream, path, me):
            raise _in_use(folder, _stated(path))
        yield


def other_writer(folder: Path) -> Writer | None:
    """The other process that holds the lock of a run folder; None if none does."""
    path = folder / FILE_NAME
    try:
        with files.open_regular(path) as stream:
            # Shared first: on network file systems an exclusive lock needs a writable file.
            if try_lock(stream, shared=True) and try_lock(stream):
                return None
    except OSError:
        return None
    found = _stated(path)
    return None if (found.pid, found.host) == (os.getpid(), platform.node()) else found


def _take(stream: IO[bytes], path: Path, me: Writer) -> bool:
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE_S)
        if try_lock(stream):
            _state(stream, me)
            # Changing an exclusive lock into a shared one is not atomic: look again who it is.
            if not me.cluster or (try_lock(stream, shared=True) and _with_me(path, me)):
                return True
        elif me.cluster and try_lock(stream, shared=True) and _with_me(path, me):
            return True
    return False


def _with_me(path: Path, me: Writer) -> bool:
    return _stated(path).cluster == me.cluster


def _state(stream: IO[bytes], me: Writer) -> None:
    stream.truncate(0)
    stream.write(json.dumps(asdict(me)).encode())
    stream.flush()


def _stated(path: Path) -> Writer:
    """The writer that a lock file names; Writer() if it is unreadable or still empty."""
    try:
        return json_files.read(path, Writer)
    except ValueError:
        return Writer()


def _in_use(folder: Path, found: Writer) -> UsageError:
    return UsageError(
        "Another process is writing to this run folder.",
        where=folder,
        found=found,
        fix="Wait until it has ended, or use another run folder (`tfod configure --out`).",
    )
