"""The machine's cores, memory and NVIDIA GPUs, determined without TensorFlow."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tfod_kit.compat import environment

_MIB = 2**20
_LIMIT_S = 30  # nvidia-smi takes about a second, unless its driver hangs


def cores() -> int:
    """The number of cores that this process may use; that of the machine if it is unknown."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_limited() -> bool:
    """Whether this process may use only some of the machine's cores."""
    return cores() < (os.cpu_count() or 1)


def memory() -> int | None:
    """Bytes of memory, or the container's limit if that is lower; None if unknown."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def peak_memory() -> int | None:
    """The most bytes of memory that this process has had; None on Windows, which Python cannot ask.

    Linux counts in KiB, macOS in bytes.
    """
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def gpu_memory() -> int | None:
    """Bytes of memory of the smallest NVIDIA GPU; None if no GPU is visible."""
    if not environment.has_nvidia_gpu():
        return None
    return min((total for total, _ in gpu_memories()), default=None)


def gpu_memories() -> list[tuple[int, int]]:
    """(total, used) bytes of each NVIDIA GPU; empty if nvidia-smi reports none."""
    query = ["nvidia-smi", "--query-gpu=memory.total,memory.used", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = re.findall(r"^\s*(\d+)\s*,\s*(\d+)\s*$", done.stdout, re.MULTILINE)
    return [(int(total) * _MIB, int(used) * _MIB) for total, used in rows]
