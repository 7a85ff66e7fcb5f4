"""Quality after a given time of training: the defaults beside changed settings, on your data sets.

    python benchmarks/recipe.py BCCD raccoon --minutes 5 --seeds 3
    python benchmarks/recipe.py BCCD --model fpnlite --zoo ARCHIVE --minutes 5 \\
        --variant "freeze: --freeze none" --variant "rate 0.04: --learning_rate 0.04"
    python benchmarks/recipe.py BCCD --steps 400 --variant "mosaic: -- --mosaic 0.5"
    python benchmarks/recipe.py raccoon --folds 5 --minutes 5

For each data set (any folder that `tfod convert` reads) and each setting it configures, trains and
measures: on the test split if there is one, else on val. With --folds, the data set is split into
so many folds, each of which is val once and is measured. A variant is a name and options of
`tfod configure`, after " -- " those of `tfod train`.
With --steps instead of --minutes, settings are compared at equal steps, which other programs on the
machine do not disturb. Prints the medians over seeds or folds as a table, and each run to stderr.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TFOD = (sys.executable, "-m", "tfod_kit")
METRICS = ("DetectionBoxes_Precision/mAP", "DetectionBoxes_Precision/mAP@.50IOU")


@dataclass(frozen=True, slots=True)
class Trial:
    """One training: where it reads and writes, and the seed of the training."""

    records: Path
    run: Path
    seed: int


def main() -> None:
    args = parsed()
    variants = [("defaults", ""), *(variant(text) for text in args.variant)]
    print("| data | setting | runs | mAP | mAP@.50 | seconds |\n|---|---|---|---|---|---|")
    for data in args.data:
        for name, options in variants:
            rows = [
                measured(trial, args, options)
                for trial in trials(data, args, args.out / data.name / name.replace(" ", "_"))
            ]
            middle = [statistics.median(column) for column in zip(*rows, strict=True)]
            print(
                f"| {data.name} | {name} | {len(rows)} | {middle[0]:.3f} | {middle[1]:.3f} "
                f"| {middle[2]:.0f} |",
                flush=True,
            )


def trials(data: Path, args: argparse.Namespace, out: Path) -> Iterator[Trial]:
    """The trainings of one setting: a seed each on one split, or one for each fold."""
    if not args.folds:
        records = converted(data, args.out / "records" / data.name)
        for seed in range(args.seeds):
            yield Trial(records, out / f"seed{seed}", seed)
        return
    for fold in range(1, args.folds + 1):
        options = ("--kfold", args.folds, "--fold", fold)
        records = converted(data, args.out / "records" / f"{data.name}-{fold}", *options)
        yield Trial(records, out / f"fold{fold}", 0)


def converted(data: Path, out: Path, *options: object) -> Path:
    if not (out / "label_map.pbtxt").is_file():
        tfod("convert", data, "--out", out, *options)
    return out


def measured(trial: Trial, args: argparse.Namespace, options: str) -> tuple[float, float, float]:
    """mAP, mAP@.50 and the seconds of the training."""
    configure, _, train = (shlex.split(part) for part in f"{options} ".partition("-- "))
    start = ("--zoo", args.zoo) if args.zoo else ()
    model = (args.model,) if args.model else ()
    records = ("--records", trial.records, "--out", trial.run, "--overwrite", "--brief")
    length = ("--steps", args.steps) if args.steps else ("--minutes", args.minutes)
    planned = length if args.steps else ()
    tfod("configure", *model, *start, *records, *planned, *configure)
    began = time.monotonic()
    tfod("train", trial.run, "--resume", "never", "--seed", trial.seed, *length, *train)
    seconds = time.monotonic() - began
    has_test = bool(list(trial.records.glob("test-*")))
    split = "test" if has_test and not args.folds else "val"
    found = evaluated(trial.run, trial.run / "recipe", "--split", split)
    print(trial.run, split, *found, seconds, file=sys.stderr)
    return *found, seconds


def evaluated(run: Path, out: Path, *options: object) -> tuple[float, float]:
    """mAP and mAP@.50 of a run by `tfod evaluate` with these options."""
    tfod("evaluate", run, *options, "--out", out)
    (document,) = out.glob("*-*.json")
    found = json.loads(document.read_text("utf-8"))["metrics"]
    return found[METRICS[0]], found[METRICS[1]]


def tfod(*arguments: object) -> None:
    done = subprocess.run(
        [*TFOD, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        sys.exit(f"tfod {' '.join(map(str, arguments))}\n{done.stdout}")


def variant(text: str) -> tuple[str, str]:
    name, _, options = text.partition(":")
    return name.strip(), options.strip()


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="*", type=Path, help="folders of annotated images")
    parser.add_argument("--model", help="default: that of configure")
    parser.add_argument("--zoo", type=Path, help="start from this archive")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--steps", type=int, help="instead of --minutes")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--variant", action="append", default=[], metavar="NAME: OPTIONS")
    parser.add_argument("--out", type=Path, default=Path("work/recipe"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
