"""Imports TensorFlow without the messages of its native code that are about nothing.

Since 2.21 they are written whatever TF_CPP_MIN_LOG_LEVEL is: that oneDNN is on, that there is no
CUDA, and that logging is not set up yet.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from tfod_kit.compat import environment

# absl's prefix of a level ("I0000 00:00:1795722008.509709"), its notice at the first message, and
# the second line of the message about the CPU's instructions.
_NOISE = (
    rb"[%b]\d{4} \d\d:\d\d:\d+\.\d+ "
    rb"|WARNING: All log messages before absl::"
    rb"|To enable the following instructions: "
)
_STDERR = 2


def tensorflow() -> ModuleType:
    """Imports TensorFlow, and returns it.

    Messages are dropped by the rule of `environment.quiet`: notes; where there is no GPU, warnings
    and errors too, which are about its absence. TF_CPP_MIN_LOG_LEVEL=0 shows all. What remains is
    shown once TensorFlow is imported.

    Raises:
      ImportError: it is not installed, or does not import.
    """
    if "tensorflow" in sys.modules or os.environ.get(environment.LOG_LEVEL) == "0":
        return import_module("tensorflow")
    with _filtered(b"I" if environment.has_nvidia_gpu() else b"IWE"):
        module = import_module("tensorflow")
        module.config.list_physical_devices()  # looks for GPUs, once
        return module


@contextmanager
def _filtered(levels: bytes) -> Iterator[None]:
    """Holds back what is written to the descriptor of standard error, and shows all but noise.

    Args:
      levels: the first letters of the levels that are noise, of I, W and E.
    """
    noise = re.compile(_NOISE % levels)
    try:
        original = os.dup(_STDERR)
    except OSError:  # a program without standard error
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(original, _STDERR)
            os.close(original)
            held.seek(0)
            lines = held.read().splitlines(keepends=True)
            os.write(_STDERR, b"".join(line for line in lines if not noise.match(line)))
