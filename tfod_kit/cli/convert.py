"""`tfod convert`: annotated images -> TFRecords, label map and report."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit.errors import UsageError
from tfod_kit.formats import AUTO, FORMATS
from tfod_kit.formats.findings import ON_ERROR
from tfod_kit.records import shards

if TYPE_CHECKING:
    from tfod_kit.convert import Report

_CLASSES_SHOWN = 20


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add = parser.add_argument
    add("source", type=Path, metavar="SOURCE", help="the data set's folder or annotation file")
    add("--format", default=AUTO, metavar="FORMAT", help=f"{AUTO}, {', '.join(FORMATS)}")
    add("--out", type=Path, default=Path("work/records"), metavar="DIR", help="where to write")
    add("--images", type=Path, metavar="DIR", help="where the images lie; SOURCE unless told")
    add("--label_map", metavar="FILE", help="a label map or the name of a standard one (coco_2017)")
    add(
        "--split", metavar="RATIOS", help="0.8,0.1,0.1 or train=0.8,val=0.2; overrides SOURCE's own"
    )
    add("--seed", type=int, default=0, help="shuffles the images")
    add("--shards", default=AUTO, metavar="N", help="files of each split")
    add("--workers", default=AUTO, metavar="N", help="processes")
    add(
        "--on_error",
        choices=ON_ERROR,
        default="fix",
        help="fix: repair what is safe, stop at what is ambiguous; skip: leave that out; "
        "fail: stop at either",
    )
    add("--origin", type=int, choices=(0, 1), default=0, help="VOC: the first pixel's number")


def run(args: argparse.Namespace) -> int:
    """Converts, and prints what was written and what was changed."""
    from tfod_kit import splits
    from tfod_kit.convert import convert
    from tfod_kit.records import pool

    report = convert(
        args.source,
        args.out,
        format=args.format,
        images_folder=args.images,
        label_map=args.label_map,
        split=splits.parse(args.split) if args.split else None,
        seed=args.seed,
        num_shards=_number(args.shards, "--shards"),
        workers=_number(args.workers, "--workers") or pool.cores(),
        on_error=args.on_error,
        origin=args.origin,
    )
    print(summary(report, args.out))
    return 0


def summary(report: "Report", out: Path) -> str:
    """What a person wants to know of a conversion, in a few lines."""
    from tfod_kit.convert import LABEL_MAP, REPORT

    title = FORMATS[report.format].title
    lines = [f"Read as {title}. Splits: {report.split}.", "", *_table(report), ""]
    for code, finding in report.findings.items():
        examples: Any = finding["examples"]
        left_out = "left out: " if finding["severity"] == "ambiguous" else ""
        lines.append(f"  {finding['count']:>7,}  {left_out}{finding['text']} [{code}]")
        lines.append(f"           such as {examples[0]}")
    if report.findings:
        lines.append("")
    for name, part in report.splits.items():
        pattern = shards.pattern(name, len(part.files))
        lines.append(f"Wrote {out / pattern}")
    return "\n".join([*lines, f"Wrote {out / LABEL_MAP}", f"Wrote {out / REPORT}"])


def _table(report: "Report") -> list[str]:
    """A row a class, a column a split, with totals."""
    names = list(report.splits)
    shown = [name for name in report.label_map if _objects(report, name)]
    rows = [["", *names]]
    rows.append(["images", *(f"{report.splits[name].images:,}" for name in names)])
    if any(part.negatives for part in report.splits.values()):
        rows.append(
            ["  without objects", *(f"{report.splits[name].negatives:,}" for name in names)]
        )
    rows.append(["objects", *(f"{report.splits[name].objects:,}" for name in names)])
    rows.extend(
        [f"  {label}", *(f"{report.splits[name].classes[label]:,}" for name in names)]
        for label in shown[:_CLASSES_SHOWN]
    )
    first = max(len(row[0]) for row in rows)
    lines = [row[0].ljust(first) + "".join(value.rjust(10) for value in row[1:]) for row in rows]
    if len(shown) > _CLASSES_SHOWN:
        lines.append(f"  and {len(shown) - _CLASSES_SHOWN} classes more, in report.json")
    absent = len(report.label_map) - len(shown)
    if absent:
        lines.append(f"  {absent} classes of the label map without objects")
    return lines


def _objects(report: "Report", label: str) -> int:
    return sum(part.classes[label] for part in report.splits.values())


def _number(text: str, option: str) -> int | None:
    """The number of an option that may also say auto; None then."""
    if text == AUTO:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(
            f"{option} takes a number.",
            expected=f"{AUTO}, or a whole number from 1 on",
            found=text,
            fix="Correct it, or leave it out.",
        )
    return int(text)
