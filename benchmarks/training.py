"""Training steps per second and peak memory: `tfod train` beside upstream's model_main_tf2.

    python benchmarks/training.py [--steps 200] [--rounds 1] [--options]

Both train the same config on the demo's data, each in a process of its own, by turns: the small SSD
MobileNet V2, and Faster R-CNN ResNet50 at 128 px. The rate is that of the steps after the graph was
built: for upstream the hundreds after the first, as its log states them; for tfod the rate that its
progress ends with. Whole time counts everything, from the command to its end. Memory is the
process's largest resident size.

With --options, the SSD is trained with each training option that affects speed, and without any.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TFOD = (sys.executable, "-m", "tfod_kit")
RESIZER = "model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer"
MODELS = {
    "SSD MobileNet V2": ("ssd_cpu", "--batch_size", 8),
    "Faster R-CNN ResNet50": (
        *("faster_rcnn_resnet50_v1", "--batch_size", 1),
        *("--set", f"{RESIZER}.min_dimension=128", "--set", f"{RESIZER}.max_dimension=128"),
        *("--set", "model.faster_rcnn.first_stage_max_proposals=32"),
        *("--set", "model.faster_rcnn.second_stage_batch_size=16"),
    ),
}
LEVERS = {
    "none": (),
    "--precision bfloat16": ("--precision", "bfloat16"),
    "--cache memory": ("--cache", "memory"),
    "--input_workers 1": ("--input_workers", 1),
    "--deterministic": ("--deterministic",),
    "--accumulate 2, half the batch": ("--batch_size", 4, "--accumulate", 2),
    "--freeze _feature_extractor": ("--freeze", "_feature_extractor"),
    "--ema 0.999": ("--ema", 0.999),
    "--xla": ("--xla",),
}
XLA_STEPS = 20


@dataclass(frozen=True)
class Measured:
    """Steps per second after the graph was built and over the whole time; the peak in MiB."""

    rate: float
    whole: float
    peak: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200, help="a multiple of 100, from 200 on")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--options", action="store_true", help="compare the training options")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        run(*TFOD, "demo", "--out", folder / "data", "--images", 200)
        run(*TFOD, "convert", folder / "data", "--out", folder / "records")
        if args.options:
            compare_options(folder, args.steps // 2)
        else:
            compare_programs(folder, args.steps, args.rounds)


def compare_programs(folder: Path, steps: int, rounds: int) -> None:
    for model, words in MODELS.items():
        ours, theirs = [], []
        for number in range(rounds):
            theirs.append(
                measure(with_upstream, folder, f"theirs-{number}-{words[0]}", words, steps)
            )
            ours.append(measure(with_tfod, folder, f"ours-{number}-{words[0]}", words, steps))
        print(f"{model}, {steps} steps")
        for what, field in (
            ("steps/s, graph built", "rate"),
            ("steps/s, whole time", "whole"),
            ("peak memory, MiB", "peak"),
        ):
            own, other = (statistics.median(getattr(row, field) for row in rows)
                          for rows in (ours, theirs))  # fmt: skip
            print(
                f"  {what:<22} tfod {own:8.2f}   model_main_tf2 {other:8.2f}   "
                f"ratio {own / other:.2f}",
                flush=True,
            )


def compare_options(folder: Path, steps: int) -> None:
    plain = None
    for place, (name, options) in enumerate(LEVERS.items()):
        taken = XLA_STEPS if "--xla" in options else steps

        def train(
            run_folder: Path, count: int, options: tuple[object, ...] = options
        ) -> tuple[float, float]:
            return with_tfod(run_folder, count, *options)

        row = measure(train, folder, f"lever-{place}", MODELS["SSD MobileNet V2"], taken)
        plain = plain or row
        print(
            f"{name:<32} {row.rate:6.2f} steps/s   ratio {row.rate / plain.rate:.2f}   "
            f"peak {row.peak:6.0f} MiB",
            flush=True,
        )


def measure(
    train: Callable[[Path, int], tuple[float, float]],
    folder: Path,
    name: str,
    model: tuple[object, ...],
    steps: int,
) -> Measured:
    run(
        *(*TFOD, "configure", *model, "--records", folder / "records"),
        *("--out", folder / name, "--steps", steps),
    )
    start = time.monotonic()
    rate, peak = train(folder / name, steps)
    return Measured(rate, steps / (time.monotonic() - start), peak)


def with_tfod(folder: Path, steps: int, *options: object) -> tuple[float, float]:
    printed, peak = run(*TFOD, "train", folder, "--no_evaluate", *options)
    found = re.findall(rf"training: {steps:,}/{steps:,} steps +([\d.]+) steps/s", printed)
    return float(found[-1]), peak


def with_upstream(folder: Path, steps: int) -> tuple[float, float]:
    printed, peak = run(
        *(*TFOD, "run", "model_main_tf2", "--", f"--model_dir={folder}"),
        *(f"--pipeline_config_path={folder / 'pipeline.config'}", f"--num_train_steps={steps}"),
        "--alsologtostderr",
    )
    seconds = [float(found) for found in re.findall(r"per-step time ([\d.]+)s", printed)]
    return 1 / statistics.mean(seconds[1:]), peak


def run(*command: object) -> tuple[str, float]:
    """What a command printed, and its peak memory in MiB, that of its children included."""
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(
            list(map(str, command)), text=True, stdout=printed, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        text = printed.read()
    if process.returncode:
        sys.exit(text)
    return text, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
