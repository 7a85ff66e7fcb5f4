"""Start-up of the light verbs against importing TensorFlow, best of several; one table.

  python benchmarks/startup.py [--runs 5]

Exits with 1 when a verb takes over 0.5 s or over a tenth of the import.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

_LIMIT_S = 0.5
_LIMIT_RATIO = 0.1


def main() -> int:
    """Measures, prints, judges."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, records = folder / "data", folder / "records"
        tfod = [sys.executable, "-m", "tfod_kit"]
        _run([*tfod, "demo", "--images", "10", "--out", str(data)])
        convert = [*tfod, "convert", str(data), "--out", str(records)]
        _run(convert)
        configure = ["configure", "ssd_mobilenet", "--records", str(records)]
        commands = {
            "tfod --help": [*tfod, "--help"],
            "tfod convert (10 images)": convert,
            "tfod configure": [*tfod, *configure, "--out", str(folder / "model")],
        }
        baseline = _best([sys.executable, "-c", "import tensorflow"], min(runs, 3))
        times = {what: _best(command, runs) for what, command in commands.items()}
    print(f"{'import tensorflow':<26}{baseline:8.3f} s")
    for what, seconds in times.items():
        print(f"{what:<26}{seconds:8.3f} s {seconds / baseline:8.3f} of the import")
    limit = min(_LIMIT_S, _LIMIT_RATIO * baseline)
    slow = [what for what, seconds in times.items() if seconds > limit]
    print(f"limit {limit:.3f} s: {'over it: ' + ', '.join(slow) if slow else 'all within'}")
    return 1 if slow else 0


def _best(command: Sequence[str], runs: int) -> float:
    """The shortest wall time of a command in seconds, start of the interpreter included."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        _run(command)
        times.append(time.perf_counter() - start)
    return min(times)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
