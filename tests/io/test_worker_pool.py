"""What worker processes are like."""

import subprocess
import sys

SCRIPT = """
import os
from tfod_kit.io.progress import progress
from tfod_kit.io import worker_pool

def threads(task, advance):
    before = len(os.listdir("/proc/self/task"))
    import numpy
    (numpy.ones((500, 500)) @ numpy.ones((500, 500))).sum()
    advance()
    return before, len(os.listdir("/proc/self/task"))

if __name__ == "__main__":
    print(worker_pool.run(threads, [0, 1], 2, progress("counting", 2, "threads", brief=True)))
"""


def test_a_worker_starts_no_threads_for_numpy() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.stdout in ("[(2, 2), (2, 2)]\n", "[(3, 3), (3, 3)]\n"), done.stderr
