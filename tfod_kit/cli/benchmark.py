"""`tfod benchmark MODEL...`: models side by side on this machine."""

import argparse
from pathlib import Path

from tfod_kit import benchmarking
from tfod_kit.cli.shared import count
from tfod_kit.evaluation import record_files
from tfod_kit.io.progress import progress

_DEFAULTS = benchmarking.Settings()


def register(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("models", type=Path, nargs="+", metavar="MODEL", help="run folders and exported models")
    add("--out", type=Path, default=Path("work/benchmark"), help="the folder for the figures")
    add(
        "--records",
        help="a folder that `tfod convert` wrote, or a pattern of record files: for mAP, and to "
        "detect on (default: noise, and no mAP)",
    )
    add(
        "--split",
        default=record_files.DEFAULT_SPLIT,
        help="the records' split (default: %(default)s)",
    )
    add("--limit", type=count, metavar="N", help="measure mAP on the first N pictures")
    add(
        "--batch_sizes",
        type=_counts,
        default=_DEFAULTS.batch_sizes,
        metavar="N,...",
        help="pictures handed over at once, for throughput (default: 1,4,16)",
    )
    add("--calls", type=count, default=_DEFAULTS.calls, help="timed calls, for latency")
    add(
        "--size",
        type=_size,
        default=(_DEFAULTS.width, _DEFAULTS.height),
        metavar="WxH",
        help="of the noise, without --records (default: 640x480)",
    )
    add("--label_map", type=Path, help="class names, where a model brings none")
    add("--checkpoint", help="of run folders: latest, best, a step, or a prefix")


def run(args: argparse.Namespace) -> int:
    records = record_files.named(args.records, args.split).paths if args.records else ()
    settings = benchmarking.Settings(
        records=tuple(map(str, records)),
        width=args.size[0],
        height=args.size[1],
        batch_sizes=args.batch_sizes,
        calls=args.calls,
        limit=args.limit,
        label_map=str(args.label_map) if args.label_map else None,
        checkpoint=args.checkpoint,
    )
    rows = []
    with progress("measuring", len(args.models), "models") as bar:
        for model in args.models:
            rows.append(benchmarking.measure(model, settings))
            bar.advance(1, str(model))
    benchmarking.save(rows, settings, args.out)
    print(benchmarking.table(rows))
    measured_on = f"{rows[0].pictures} pictures" if rows[0].pictures else "noise, so without mAP"
    print(f"\nMeasured on {measured_on}, one model after the other, each in its own process.")
    print(f"Figures: {args.out / benchmarking.RESULTS}")
    if not all(row.error for row in rows):
        print(f"Charts:  {args.out / benchmarking.LATENCY}, {args.out / benchmarking.THROUGHPUT}")
    return 1 if any(row.error for row in rows) else 0


def _counts(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(count(part) for part in text.split(",")))


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    return count(width), count(height)
