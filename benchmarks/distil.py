"""What a teacher gains: a small student with it and without, at equal steps, on your data sets.

    python benchmarks/distil.py BCCD raccoon --steps 1000 --seeds 3
    python benchmarks/distil.py BCCD --teacher work/fpnlite-bccd --steps 1000 --seeds 3
    python benchmarks/distil.py raccoon --teacher_model "fpnlite --zoo ARCHIVE" --teacher_steps 1000
    python benchmarks/distil.py BCCD --student "ssd_cpu --input_size 192" --weights 0.5,1,2

For each data set (any folder that `tfod convert` reads) it trains a teacher, unless --teacher names
one, and then for each seed the student alone and with the teacher, once for each weight. Models are
what `tfod configure` takes: a name, and options. All are measured on the test split if there is
one, else on val. Prints the medians over the seeds as a table, the teacher first, and each run to
stderr. Runs that are complete in --out are measured again, but not trained again: name another
folder to compare other settings.
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from pathlib import Path

from recipe import METRICS, converted, tfod

# The student in full width, so from random weights: a teacher with the same anchors.
TEACHER = "ssd_cpu --checkpoint none --set model.ssd.feature_extractor.depth_multiplier=1.0"

# mAP, mAP@.50 and the seconds of a training.
Row = tuple[float, float, float]


def main() -> None:
    args = parsed()
    print("| data | model | runs | mAP | mAP@.50 | seconds |\n|---|---|---|---|---|---|")
    for data in args.data:
        records = converted(data, args.out / "records" / data.name)
        folder = args.out / data.name
        teacher = args.teacher or folder / "teacher"
        if args.teacher:
            show(data, "teacher", [(*measured(teacher, records, folder / "teacher"), 0.0)])
        else:
            row = trained(teacher, records, args.teacher_model, args.teacher_steps, 0)
            show(data, "teacher", [row])
        settings: dict[str, tuple[object, ...]] = {"alone": ()}
        for weight in args.weights:
            settings[f"teacher x {weight:g}"] = ("--teacher", teacher, "--teacher_weight", weight)
        for name, options in settings.items():
            runs = [folder / f"{name.replace(' ', '')}-seed{seed}" for seed in range(args.seeds)]
            rows = [
                trained(run, records, args.student, args.steps, seed, *options)
                for seed, run in enumerate(runs)
            ]
            show(data, f"student, {name}", rows)


def trained(run: Path, records: Path, model: str, steps: int, seed: int, *options: object) -> Row:
    """Configures and trains a run, unless that is done, and measures it."""
    done = run / "seconds.txt"
    if not done.is_file():
        where = ("--records", records, "--out", run, "--steps", steps)
        tfod("configure", *shlex.split(model), *where, "--overwrite", "--brief")
        began = time.monotonic()
        tfod("train", run, "--resume", "never", "--seed", seed, "--no_evaluate", *options)
        done.write_text(f"{time.monotonic() - began:.1f}\n")
    seconds = float(done.read_text())
    row = (*measured(run, records, run), seconds)
    print(run, *options, *(f"{value:.4f}" for value in row), file=sys.stderr, flush=True)
    return row


def measured(model: Path, records: Path, out: Path) -> tuple[float, float]:
    """mAP and mAP@.50 on the test split if there is one, else on val."""
    split = "test" if list(records.glob("test-*")) else "val"
    folder = out / "distil"
    tfod("evaluate", model, "--records", records, "--split", split, "--out", folder)
    (document,) = folder.glob(f"{split}*.json")
    found = json.loads(document.read_text())["metrics"]
    return found[METRICS[0]], found[METRICS[1]]


def show(data: Path, name: str, rows: list[Row]) -> None:
    middle = [statistics.median(column) for column in zip(*rows, strict=True)]
    print(
        f"| {data.name} | {name} | {len(rows)} | {middle[0]:.3f} | {middle[1]:.3f} "
        f"| {middle[2]:.0f} |",
        flush=True,
    )


def numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path, help="folders of annotated images")
    parser.add_argument("--student", default="ssd_cpu", help="a model, and options of configure")
    parser.add_argument("--steps", type=int, default=1000, help="of each student")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--weights", type=numbers, default=(1.0,), metavar="X,...")
    parser.add_argument("--teacher", type=Path, help="a trained model; default: one is trained")
    parser.add_argument("--teacher_model", default=TEACHER, help="as --student")
    parser.add_argument("--teacher_steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("work/distil"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
