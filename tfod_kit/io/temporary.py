"""The temporary files and folders beside outputs: named after their process, and removed once it is
dead.

A process that is killed cannot remove its own. The next one that writes to the same folder does.
"""

import contextlib
import functools
import hashlib
import os
import re
import shutil
import socket
import tempfile
from pathlib import Path

_SUFFIX = ".tmp"
_KEPT = 40  # characters of the output's name, which may itself be as long as a name can be
_NAME = re.compile(rf"\..*\.(?P<machine>[0-9a-f]{{8}})-(?P<process>\d+)\{_SUFFIX}", re.DOTALL)


def file(path: Path) -> tuple[int, str]:
    """A new file beside an output: its open handle and its path.

    Raises:
      OSError: it cannot be created.
    """
    prefix, suffix = _affixes(path)
    return tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=path.parent)


def folder(path: Path) -> Path:
    """A new folder beside an output.

    Raises:
      OSError: it cannot be created.
    """
    prefix, suffix = _affixes(path)
    return Path(tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=path.parent))


def _affixes(path: Path) -> tuple[str, str]:
    _sweep(path.parent.resolve(), os.getpid())
    return f".{path.name[:_KEPT]}.", f".{_machine()}-{os.getpid()}{_SUFFIX}"


@functools.lru_cache(maxsize=256)
def _sweep(parent: Path, process: int) -> None:
    """Removes what dead processes left in a folder; once for each process that writes to it."""
    with contextlib.suppress(OSError):  # a folder that may not be read, or another user's files
        for path in parent.iterdir():
            match = _NAME.fullmatch(path.name)
            if match is None or match["machine"] != _machine() or _is_alive(int(match["process"])):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@functools.cache
def _machine() -> str:
    """Where a process number is valid: this machine since its start, or this container."""
    parts = [socket.gethostname()]
    for source in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            parts.append(
                str(Path(source).readlink())
                if "/ns/" in source
                else Path(source).read_text("ascii")
            )
        except OSError:  # not Linux
            continue
    return hashlib.sha256("\n".join(parts).encode(errors="replace")).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # there, os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
