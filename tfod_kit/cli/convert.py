"""`tfod convert`: annotated images -> TFRecords, label map and report."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit.cli import shared
from tfod_kit.conversion.beam import RUNNERS, Runner
from tfod_kit.errors import UsageError
from tfod_kit.formats import AUTO, FORMATS
from tfod_kit.formats.common.findings import ON_ERROR
from tfod_kit.records import shards

if TYPE_CHECKING:
    from tfod_kit.conversion import ConversionReport
    from tfod_kit.datasets.splits.assignment import SplitOptions

TFRECORD = "tfrecord"

_CLASSES_SHOWN = 20


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add = parser.add_argument
    add(
        "source",
        type=Path,
        nargs="+",
        metavar="SOURCE",
        help="the data set's folder or annotation file; several are merged",
    )
    add("--format", default=AUTO, metavar="FORMAT", help=f"{AUTO}, {', '.join(FORMATS)}")
    add(
        "--to",
        choices=(TFRECORD, *FORMATS.writable),
        default=TFRECORD,
        help="what to write: records to train on, or annotations for other tools",
    )
    add("--out", type=Path, metavar="DIR", help="where to write (default: work/records, work/coco)")
    add("--link", action="store_true", help="with --to: link to the pictures, do not copy them")
    add("--images", type=Path, metavar="DIR", help="where the images lie; SOURCE unless told")
    add("--label_map", metavar="FILE", help="a label map or the name of a standard one (coco_2017)")
    shared.add_selection(parser)
    _add_splits(parser)
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
    add("--origin", type=int, choices=(0, 1), default=0, help="VOC, CSV: the first pixel's number")
    add(
        "--max_side",
        type=shared.count,
        metavar="PX",
        help="scale larger images down to this longer side, with boxes, masks and keypoints",
    )
    add("--no_masks", action="store_true", help="leave masks out: box detectors do not use them")
    _add_spread(parser)


def _add_spread(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("more than one machine", "all of them see the same disk")
    add = group.add_argument
    add(
        "--shard_range",
        metavar="I/N",
        help="be job I of N, from 0: write every N-th record file; when all jobs are done, the "
        "same command without it finishes",
    )
    add("--runner", metavar="RUNNER", help=f"Apache Beam's: {', '.join(RUNNERS)}")
    add(
        "--runner_option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the runner, such as direct_num_workers=4; may be given again",
    )


def _add_splits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("splits", "the data set's own are kept unless one is asked")
    add = group.add_argument
    add("--split", metavar="RATIOS", help="0.8,0.1,0.1 or train=0.8,val=0.2")
    add(
        "--split_by",
        choices=("image", "class", "group"),
        default="image",
        help="class: each class in proportion; group: no group of --group_key on both sides",
    )
    add(
        "--group_key",
        default="",
        metavar="REGEX",
        help="what in an image's path is its group, such as 'cam[0-9]+'; or: folder; "
        "or: content, for pictures of the same bytes or the same look",
    )
    add(
        "--split_lists",
        metavar="train=FILE,val=FILE",
        help="files that name an image a line; images in none are left out",
    )
    add("--kfold", type=shared.count, metavar="K", help="write K folders, OUT/fold-1 and on")
    add(
        "--fold", type=shared.count, metavar="I", help="with --kfold: write that fold alone, to OUT"
    )


def run(args: argparse.Namespace) -> int:
    """Converts, and prints what was written and what was changed."""
    split = _split(args)
    args.out = args.out or Path("work", "records" if args.to == TFRECORD else args.to)
    if args.kfold and not args.fold:
        _check_folds(args.out, args.kfold)
        for fold in range(1, args.kfold + 1):
            _convert(args, replace(split, fold=fold), args.out / f"fold-{fold}")
            print()
        return 0
    _convert(args, split, args.out)
    return 0


def _split(args: argparse.Namespace) -> "SplitOptions":
    from tfod_kit.datasets.splits import assignment, shares

    if args.fold and not args.kfold:
        raise UsageError("--fold needs --kfold K.", fix="Say how many folds there are.")
    split = assignment.SplitOptions(
        ratios=shares.parse(args.split) if args.split else None,
        by=args.split_by,
        group_key=args.group_key,
        lists=assignment.parse_lists(args.split_lists) if args.split_lists else {},
        folds=args.kfold or 0,
        fold=args.fold or 1,
    )
    split.check()
    return split


def _check_folds(out: Path, folds: int) -> None:
    """Refuses to leave folds of another K beside new ones."""
    ours = {f"fold-{fold}" for fold in range(1, folds + 1)}
    others = sorted(path.name for path in out.glob("fold-*") if path.name not in ours)
    if others:
        raise UsageError(
            "The output folder holds folds of another --kfold.",
            where=out,
            found=", ".join(others),
            fix="Name another --out, or remove them.",
        )


def _convert(args: argparse.Namespace, split: "SplitOptions", out: Path) -> None:
    from tfod_kit.conversion import ConvertOptions, convert

    if args.link and args.to == TFRECORD:
        raise UsageError(
            "Records hold their pictures; they cannot link to them.",
            where="--link",
            fix=f"Leave it out, or name another format: --to {', '.join(FORMATS.writable)}.",
        )
    if args.to != TFRECORD:
        print(_rewritten(args, split, out))
        return
    options = ConvertOptions(
        **_shared_options(args, split),
        shards=_number(args.shards, "--shards"),
        shard_range=_range(args.shard_range),
        runner=_runner(args),
    )
    report = convert(args.source, out, options)
    print(_part(report, out) if args.shard_range else summary(report, out))


def _rewritten(args: argparse.Namespace, split: "SplitOptions", out: Path) -> str:
    """Writes another annotation format; returns the summary."""
    from tfod_kit.conversion import RewriteOptions
    from tfod_kit.conversion.rewriting import rewrite
    from tfod_kit.formats.common.writing import LABEL_MAP, REPORT

    if args.shard_range or args.runner or args.shards != AUTO:
        raise UsageError(
            "--shards, --shard_range and --runner are for records.",
            where=f"--to {args.to}",
            fix="Leave them out.",
        )
    options = RewriteOptions(**_shared_options(args, split), link=args.link)
    report = rewrite(args.source, out, args.to, options)
    files = dict.fromkeys(name for part in report.splits.values() for name in part.files)
    return "\n".join(
        [*_told(report), *(f"Wrote {out / name}" for name in (*files, LABEL_MAP, REPORT))]
    )


def _shared_options(args: argparse.Namespace, split: "SplitOptions") -> dict[str, Any]:
    """The options of conversion.options.SharedOptions."""
    return {
        "format": args.format,
        "images": args.images,
        "label_map": args.label_map,
        "selection": shared.selection(args),
        "split": split,
        "seed": args.seed,
        "on_error": args.on_error,
        "origin": args.origin,
        "max_side": args.max_side,
        "masks": not args.no_masks,
        "workers": _workers(args),
    }


def _range(text: str | None) -> tuple[int, int] | None:
    """The (i, n) of "i/n"."""
    if text is None:
        return None
    part, _, parts = text.partition("/")
    if not part.strip().isdecimal() or not parts.strip().isdecimal():
        raise UsageError(
            "This is no part of a conversion.",
            where="--shard_range",
            expected="I/N, such as 0/4, 1/4, 2/4 and 3/4 for four jobs",
            found=text,
            fix="Correct it.",
        )
    return int(part), int(parts)


def _runner(args: argparse.Namespace) -> Runner | None:
    if args.runner is None:
        return None
    return Runner(args.runner, tuple(f"--{option.lstrip('-')}" for option in args.runner_option))


def _part(report: "ConversionReport", out: Path) -> str:
    """What one of several jobs says in the end."""
    from tfod_kit.io import resumable_output

    written = sum(len(part.files) for part in report.splits.values())
    total = written + report.unfinished
    lines = [
        f"{written} of {total} record files are finished, "
        f"in {resumable_output.partial_folder(out)}."
    ]
    if report.unfinished:
        lines.append("Wait for the other jobs; then run the same command without --shard_range:")
    else:
        lines.append("Run the same command without --shard_range:")
    return "\n".join([*lines, f"it writes what is missing, and makes them {out}."])


def summary(report: "ConversionReport", out: Path) -> str:
    """What a person wants to know of a conversion, in a few lines."""
    from tfod_kit.conversion import LABEL_MAP, MANIFEST, REPORT

    lines = _told(report)
    for name, part in report.splits.items():
        pattern = shards.pattern(name, len(part.files))
        lines.append(f"Wrote {out / pattern}")
    return "\n".join([*lines, *(f"Wrote {out / name}" for name in (LABEL_MAP, REPORT, MANIFEST))])


def _told(report: "ConversionReport") -> list[str]:
    """What was read, and what was changed of it."""
    title = " and ".join(FORMATS[name].title for name in report.format.split("+"))
    known_by = f" ({report.known_by})" if report.known_by else ""
    lines = [f"Read as {title}{known_by}. Splits: {report.split}.", "", *_table(report), ""]
    for code, finding in report.findings.items():
        examples: Any = finding["examples"]
        left_out = "left out: " if finding["severity"] == "ambiguous" else ""
        lines.append(f"  {finding['count']:>7,}  {left_out}{finding['text']} [{code}]")
        lines.append(f"           such as {examples[0]}")
    return [*lines, ""] if report.findings else lines


def _table(report: "ConversionReport") -> list[str]:
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


def _objects(report: "ConversionReport", label: str) -> int:
    return sum(part.classes[label] for part in report.splits.values())


def _workers(args: argparse.Namespace) -> int:
    from tfod_kit.io import hardware

    return _number(args.workers, "--workers") or hardware.cores()


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
