"""`tfod tune` beside random search on the same budget, on drawn data.

    pip install 'tfod_kit[tune]'
    python benchmarks/tune.py --trials 16 --steps 120 --seeds 3

Draws the demo's data set, configures the small model at 96 px, and searches it with each sampler
and seed: the same number of trials of the same number of steps, no trial ended early, so that both
take the same time. Prints for each the best mAP on val after each quarter of the trials, and the
mAP of the best trial's model on the test images, which no search has seen. The first trial is the
config as it is.
"""

import argparse
import json
import statistics
from pathlib import Path

from recipe import evaluated, tfod

SAMPLERS = ("tpe", "random")


def main() -> None:
    args = parsed()
    records = prepared(args)
    print("| sampler | seed | as configured | best of val, by quarter of the trials | on test |")
    print("|---|---|---|---|---|")
    for sampler in SAMPLERS:
        rows = [searched(args, records, sampler, seed) for seed in range(args.seeds)]
        for seed, (first, quarters, test) in enumerate(rows):
            shown = ", ".join(f"{value:.3f}" for value in quarters)
            print(f"| {sampler} | {seed} | {first:.3f} | {shown} | {test:.3f} |")
        best = statistics.median(quarters[-1] for _, quarters, _ in rows)
        test = statistics.median(test for _, _, test in rows)
        print(f"| {sampler} | median | | {best:.3f} | {test:.3f} |", flush=True)


def prepared(args: argparse.Namespace) -> Path:
    """The records of the drawn data set."""
    data, records = args.out / "data", args.out / "records"
    if not (records / "label_map.pbtxt").is_file():
        tfod("demo", "--out", data, "--images", args.images)
        tfod("convert", data, "--out", records)
    return records


def searched(
    args: argparse.Namespace, records: Path, sampler: str, seed: int
) -> tuple[float, list[float], float]:
    """The value of the first trial, the best so far after each quarter, and its mAP on test."""
    run = args.out / f"{sampler}-{seed}"
    start = ("ssd_cpu", "--records", records, "--out", run, "--input_size", 96, "--brief")
    if not (run / "pipeline.config").is_file():
        tfod("configure", *start, "--batch_size", 8, "--learning_rate", args.rate)
    length = ("--trials", args.trials, "--steps", args.steps)
    search = ("--sampler", sampler, "--seed", seed, "--pruner", "none", "--search", args.search)
    tfod("tune", run, *length, *search)
    document = json.loads((run / "tune" / "tune.json").read_text())
    values = [trial["value"] or 0.0 for trial in document["trials"]]
    ends = [max(1, round(args.trials * part / 4)) for part in (1, 2, 3, 4)]
    best = run / "tune" / f"trial-{document['best']:03}"
    test, _ = evaluated(best, run / "test", "--checkpoint", "best", "--split", "test")
    return values[0], [max(values[:end]) for end in ends], test


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--rate", type=float, default=0.006)
    parser.add_argument("--search", default="rate,augment,anchors,ema")
    parser.add_argument("--out", type=Path, default=Path("work/tune"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
