"""`tfod doctor`: examines the environment, and advises what to change.

The result is a row per subject: name, value, level and fix. The quick rows need no TensorFlow; the
others come from a separate process.
"""

from collections.abc import Iterator

from tfod_kit.doctor.diagnosis import ERROR, OK, WARNING, Diagnosis, verdict
from tfod_kit.doctor.gpu import nvidia
from tfod_kit.doctor.requirements import canonical, has_engine, packages
from tfod_kit.doctor.runtime import tensorflow
from tfod_kit.doctor.system import machine, settings

__all__ = [
    "ERROR",
    "OK",
    "WARNING",
    "Diagnosis",
    "canonical",
    "examine",
    "machine",
    "nvidia",
    "packages",
    "settings",
    "tensorflow",
    "verdict",
]


def examine(fast: bool = False) -> Iterator[Diagnosis]:
    """All rows, the quick ones first; `fast` leaves out those that start TensorFlow."""
    yield from machine()
    yield from packages()
    yield from settings()
    yield from nvidia()
    if not fast and has_engine():
        yield from tensorflow()
