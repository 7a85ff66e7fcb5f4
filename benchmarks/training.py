"""Training steps per second: `tfod train` beside upstream's model_main_tf2, on one config.

    python benchmarks/training.py [--steps 300] [--rounds 2]

Both train the demo's small SSD on the demo's data, by turns, each in a process of its own. The
rate is that of the steps after the graph was built: for upstream the hundreds after the first, as
its log states them; for tfod the rate that its progress ends with. Whole time counts everything,
from the command to its end.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TFOD = (sys.executable, "-m", "tfod_kit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300, help="a multiple of 100, from 200 on")
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        run(*TFOD, "demo", "--out", folder / "data", "--images", 200)
        run(*TFOD, "convert", folder / "data", "--out", folder / "records")
        ours, theirs = [], []
        for number in range(args.rounds):
            ours.append(measure(train_with_tfod, folder, f"ours-{number}", args.steps))
            theirs.append(measure(train_with_upstream, folder, f"theirs-{number}", args.steps))
    report("steps/s after the first", [row[0] for row in ours], [row[0] for row in theirs])
    report("steps/s over the whole time", [row[1] for row in ours], [row[1] for row in theirs])


def measure(train, folder: Path, name: str, steps: int) -> tuple[float, float]:
    """Steps per second (after the graph was built, over the whole time)."""
    run(
        *(*TFOD, "configure", "ssd_cpu", "--records", folder / "records"),
        *("--out", folder / name, "--steps", steps),
    )
    start = time.monotonic()
    rate = train(folder / name, steps)
    return rate, steps / (time.monotonic() - start)


def train_with_tfod(folder: Path, steps: int) -> float:
    printed = run(*TFOD, "train", folder, "--no_evaluate")
    found = re.findall(rf"training: {steps:,}/{steps:,} steps +([\d.]+) steps/s", printed)
    return float(found[-1])


def train_with_upstream(folder: Path, steps: int) -> float:
    printed = run(
        *(*TFOD, "run", "model_main_tf2", "--", f"--model_dir={folder}"),
        *(f"--pipeline_config_path={folder / 'pipeline.config'}", f"--num_train_steps={steps}"),
        "--alsologtostderr",
    )
    seconds = [float(found) for found in re.findall(r"per-step time ([\d.]+)s", printed)]
    return 1 / statistics.mean(seconds[1:])


def run(*command: object) -> str:
    done = subprocess.run(
        list(map(str, command)), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        sys.exit(done.stdout)
    return done.stdout


def report(what: str, ours: list[float], theirs: list[float]) -> None:
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(
        f"{what:<28} tfod {statistics.median(ours):6.2f}   "
        f"model_main_tf2 {statistics.median(theirs):6.2f}   ratio {ratio:.2f}"
    )


if __name__ == "__main__":
    main()
