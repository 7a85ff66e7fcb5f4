"""What int8 loses: after training, with few images to calibrate on, and trained quantised.

    python benchmarks/quantise.py work/ssd --records work/records --steps 100 --seeds 3

Exports the trained run to TensorFlow Lite as float32, and as int8 calibrated on 100 and on 4
images. Then, for each seed, it fine-tunes the run for --steps steps twice, as float and with
--quantise, and exports both: the float one shows what the additional steps alone change. Prints mAP
on val, the file's size and the latency of a call as a table.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from recipe import tfod

EXPORTS = {
    "float32": ("--quantise", "float32"),
    "int8, calibrated on 100": ("--quantise", "int8"),
    "int8, calibrated on 4": ("--quantise", "int8", "--calibration", 4),
}


def main() -> None:
    args = parsed()
    args.out.mkdir(parents=True, exist_ok=True)
    print("| model | numbers | mAP | MB | ms a call |\n|---|---|---|---|---|")
    for numbers, options in EXPORTS.items():
        report(args, "trained", numbers, exported(args, args.run, "trained", numbers, options))
    for seed in range(args.seeds):
        for name, quantise in (("float", ()), ("quantised", ("--quantise",))):
            run = args.out / f"{name}-{seed}"
            fine_tune(args, run, seed, quantise)
            wanted = EXPORTS if not quantise else {"int8, learnt": ()}
            for numbers, options in wanted.items():
                path = exported(args, run, run.name, numbers, options)
                report(args, f"{name}, seed {seed}", numbers, path)


def fine_tune(args: argparse.Namespace, run: Path, seed: int, options: tuple[str, ...]) -> None:
    """Trains on from the run's weights, with a schedule of its own."""
    base = ("--base", args.run / "pipeline.config", "--checkpoint", args.run, "--anchors", "keep")
    length = ("--steps", args.steps, "--learning_rate", args.learning_rate)
    tfod("configure", *base, "--records", args.records, "--out", run, *length, "--overwrite")
    tfod("train", run, "--resume", "never", "--seed", seed, "--no_evaluate", *options)


def exported(
    args: argparse.Namespace, run: Path, name: str, numbers: str, options: tuple[object, ...]
) -> Path:
    out = args.out / "exports" / f"{name}-{numbers.replace(', ', '-').replace(' ', '_')}"
    tfod("export", run, "--target", "tflite", "--out", out, "--no_parity", *options)
    return out


def report(args: argparse.Namespace, model: str, numbers: str, export: Path) -> None:
    row = benchmarked(export, args.records)
    size, latency = (export / "model.tflite").stat().st_size / 1e6, row["latency_ms"]["p50"]
    print(f"| {model} | {numbers} | {row['map']:.4f} | {size:.1f} | {latency:.1f} |", flush=True)


def benchmarked(export: Path, records: Path) -> dict[str, Any]:
    """What `tfod benchmark` finds of an export on val, with one image a call."""
    figures = export.with_name(f"{export.name}-figures")
    where = ("--records", records, "--split", "val", "--batch_sizes", 1, "--out", figures)
    tfod("benchmark", export, *where)
    (row,) = json.loads((figures / "benchmark.json").read_text())["models"]
    found: dict[str, Any] = row
    return found


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a trained run that TensorFlow Lite takes")
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=100, help="of each fine-tuning")
    parser.add_argument("--learning_rate", type=float, default=0.004)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("work/quantise"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
