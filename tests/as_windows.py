"""Runs `tfod` in a process that takes Linux for Windows, as far as Python code can see.

There is no fork, no fcntl, no resource, no POSIX call in `os`, and `msvcrt` locks bytes. The
standard library and other packages are imported before, so that they work as usual: only the code
of tfod_kit sees the difference. Processes cannot be started in the disguise.
"""

import argparse  # noqa: F401
import concurrent.futures.process  # noqa: F401
import fcntl
import importlib
import multiprocessing.synchronize  # noqa: F401
import os
import sys
from pathlib import Path
from types import ModuleType

_MODULES = (
    *("numpy", "PIL.Image", "PIL.ImageDraw", "PIL.ImageFont", "PIL.ImageOps", "lxml.etree"),
    *("msgspec.json", "yaml", "google.protobuf.text_format", "google_crc32c", "http.client"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "pycocotools.mask", "ctypes.util"),
    *("faster_coco_eval", "rich.progress", "rich.console", "zipfile", "tarfile", "urllib.request"),
    *("multiprocessing.sharedctypes", "multiprocessing.spawn", "multiprocessing.resource_tracker"),
    *("webbrowser", "sqlite3", "csv", "html", "logging", "platform", "uuid", "socket", "bisect"),
)
_POSIX = (
    *("fork", "sched_getaffinity", "sysconf", "getuid", "geteuid", "getpgid", "killpg", "setsid"),
    *("fchmod", "mkfifo", "posix_fadvise", "getloadavg"),
)


def _msvcrt() -> ModuleType:
    """The part of Windows's module that locks bytes of a file."""
    module = ModuleType("msvcrt")
    module.LK_NBLCK, module.LK_UNLCK = 2, 0  # type: ignore[attr-defined]

    def locking(descriptor: int, mode: int, count: int) -> None:
        operation = fcntl.LOCK_UN if mode == 0 else fcntl.LOCK_EX | fcntl.LOCK_NB
        fcntl.lockf(descriptor, operation, count, os.lseek(descriptor, 0, os.SEEK_CUR))

    module.locking = locking  # type: ignore[attr-defined]
    return module


def disguise() -> None:
    """Makes the rest of this process look like Windows."""
    for name in _MODULES:
        importlib.import_module(name)
    for name in _POSIX:
        if hasattr(os, name):
            delattr(os, name)
    for name in ("fcntl", "resource", "termios", "pwd", "grp"):
        sys.modules[name] = None  # type: ignore[assignment]
    sys.modules["msvcrt"] = _msvcrt()
    sys.platform = "win32"


if __name__ == "__main__":
    disguise()
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tfod_kit.cli.main import main

    sys.exit(main(sys.argv[1:]))
