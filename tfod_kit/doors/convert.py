"""`tfod convert` and `tfod_kit.convert`: annotated images to TFRecords or to another format."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit.conversion.beam import RUNNERS, Runner
from tfod_kit.doors import arguments, shared, values
from tfod_kit.doors.arguments import Group, StrPath, local_path, option
from tfod_kit.drawing import notebook
from tfod_kit.errors import UsageError
from tfod_kit.formats import AUTO, FORMATS, csv
from tfod_kit.formats.common.findings import ON_ERROR
from tfod_kit.records import shards

if TYPE_CHECKING:
    from tfod_kit.conversion import ConversionReport
    from tfod_kit.datasets.splits.assignment import SplitOptions

TFRECORD = "tfrecord"

_CLASSES_SHOWN = 20
_SCORED = ("yolo", "label_studio")
_SPLITS = Group("splits", "the data set's own are kept unless another way is named")
_MACHINES = Group("more than one machine", "all of them see the same disk")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertArguments(shared.SourceArguments):
    """The arguments of `tfod convert`; each is explained by its help."""

    to: str = option(
        TFRECORD,
        "what to write: records to train on, or annotations for other tools",
        choices=lambda: (TFRECORD, *FORMATS.writable),
    )
    out: Path | None = option(
        None,
        "the folder to write (default: work/records, work/coco)",
        parse=local_path,
        metavar="DIR",
    )
    link: bool = option(False, "with --to: link to the images instead of copying them")
    scores: bool = option(
        False,
        "with --to yolo: a sixth number, which Ultralytics cannot train on; with --to "
        "label_studio: objects with a score become predictions",
    )
    split: str | None = option(
        None, "0.8,0.1,0.1 or train=0.8,val=0.2", metavar="RATIOS", group=_SPLITS
    )
    split_by: str = option(
        "image",
        "class: each class in proportion; group: no group of --group_key on both sides",
        choices=("image", "class", "group"),
        group=_SPLITS,
    )
    group_key: str = option(
        "",
        "what in an image's path is its group, such as 'cam[0-9]+'; or: folder; or: content, for "
        "images with the same bytes or the same look",
        metavar="REGEX",
        group=_SPLITS,
    )
    split_lists: str | None = option(
        None,
        "files that name one image a line; images in none are left out",
        metavar="train=FILE,val=FILE",
        group=_SPLITS,
    )
    kfold: int | None = option(
        None,
        "write K folders, OUT/fold-1 and on",
        parse=values.count,
        metavar="K",
        group=_SPLITS,
    )
    fold: int | None = option(
        None,
        "with --kfold: write only that fold, to OUT",
        parse=values.count,
        metavar="I",
        group=_SPLITS,
    )
    val_share: float | None = option(
        None,
        "for a data set with train and test alone: this share of train becomes val, such as 0.1",
        parse=values.decay,
        metavar="SHARE",
        group=_SPLITS,
    )
    seed: int = option(0, "shuffles the images", parse=values.whole)
    shards: int | str = option(AUTO, "files of each split", parse=values.auto_or_count, metavar="N")
    workers: int | str = option(AUTO, "processes", parse=values.auto_or_count, metavar="N")
    on_error: str = option(
        "fix",
        "fix: repair what is safe, stop at what is ambiguous; skip: leave that out; fail: stop at "
        "either",
        choices=ON_ERROR,
    )
    max_side: int | None = option(
        None,
        "scale larger images down to this longer side, with boxes, masks and keypoints",
        parse=values.count,
        metavar="PX",
    )
    no_masks: bool = option(False, "leave masks out: box detectors do not use them")
    shard_range: str | None = option(
        None,
        "be job I of N, from 0: write every N-th record file; when all jobs are done, the same "
        "command without it finishes",
        metavar="I/N",
        group=_MACHINES,
    )
    runner: str | None = option(
        None, f"Apache Beam's: {', '.join(RUNNERS)}", metavar="RUNNER", group=_MACHINES
    )
    runner_option: tuple[str, ...] = option(
        (),
        "an option of the runner, such as direct_num_workers=4; may be given again",
        repeat=True,
        metavar="NAME=VALUE",
        group=_MACHINES,
    )


@dataclass(frozen=True, slots=True)
class Converted:
    """The result of a conversion.

    Attributes:
      path: the folder that was written; the result itself can be used as this path.
      report: what was converted, changed and left out.
      to: the format written: "tfrecord", or a key of FORMATS.
      shard_range: the part that this job wrote, such as "0/4", where several share the work.
    """

    path: Path
    report: "ConversionReport"
    to: str = TFRECORD
    shard_range: str | None = None

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        if self.shard_range:
            return _part(self.report, self.path)
        return "\n".join([*_read_as(self.report), *self._written()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return notebook.page(
            [
                notebook.table(_rows(self.report), f"{self.path}: {_title(self.report)}"),
                notebook.text("\n".join([*_findings(self.report), *self._written()])),
            ]
        )

    def _written(self) -> list[str]:
        from tfod_kit.conversion import LABEL_MAP, MANIFEST, REPORT

        splits = self.report.splits
        if self.to == TFRECORD:
            names = [shards.pattern(name, len(part.files)) for name, part in splits.items()]
            names += [LABEL_MAP, REPORT, MANIFEST]
        else:
            names = [name for part in splits.values() for name in part.files]
            names += [LABEL_MAP, REPORT]
        return [f"Wrote {self.path / name}" for name in dict.fromkeys(names)]


@dataclass(frozen=True, slots=True)
class Folds:
    """The results of a conversion into folds (`kfold`), one folder each."""

    folds: tuple[Converted, ...]

    def __iter__(self) -> Iterator[Converted]:
        return iter(self.folds)

    def __len__(self) -> int:
        return len(self.folds)

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.folds))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return notebook.page(fold._repr_html_() for fold in self.folds)


def convert(*source: StrPath, **options: object) -> Converted | Folds:
    """Converts a data set to TFRecords with a label map, or to another annotation format.

    Args:
      source: the data set's folder or annotation file; several are merged.
      options: those of `tfod convert`, such as out="work/records" or split="0.8,0.1,0.1".

    Returns:
      The result, which can be used as the path of the folder; or Folds, with `kfold`.

    Raises:
      UsageError: an option is unknown or invalid.
      DataError: the data set cannot be read, or needs a decision (see `on_error`).
    """
    return run(arguments.build("convert", ConvertArguments, {"source": source, **options}))


def run(arguments: ConvertArguments) -> Converted | Folds:
    """Converts as `tfod convert` with these arguments does."""
    split = _split(arguments)
    out = arguments.out or Path("work", "records" if arguments.to == TFRECORD else arguments.to)
    if not arguments.kfold or arguments.fold:
        return _convert(arguments, split, out)
    _check_folds(out, arguments.kfold)
    numbers = range(1, arguments.kfold + 1)
    return Folds(
        tuple(
            _convert(arguments, replace(split, fold=fold), out / f"fold-{fold}") for fold in numbers
        )
    )


def _split(arguments: ConvertArguments) -> "SplitOptions":
    from tfod_kit.datasets.splits import assignment, shares

    if arguments.fold and not arguments.kfold:
        raise UsageError("--fold needs --kfold K.", fix="Add the number of folds.")
    split = assignment.SplitOptions(
        ratios=shares.parse(arguments.split) if arguments.split else None,
        by=arguments.split_by,
        group_key=arguments.group_key,
        lists=assignment.parse_lists(arguments.split_lists) if arguments.split_lists else {},
        folds=arguments.kfold or 0,
        fold=arguments.fold or 1,
        val_share=arguments.val_share or 0.0,
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


def _convert(arguments: ConvertArguments, split: "SplitOptions", out: Path) -> Converted:
    from tfod_kit.conversion import ConvertOptions, convert

    if arguments.link and arguments.to == TFRECORD:
        raise UsageError(
            "Records contain their images; they cannot link to them.",
            where="--link",
            fix=f"Leave it out, or name another format: --to {', '.join(FORMATS.writable)}.",
        )
    if arguments.scores and arguments.to not in _SCORED:
        raise UsageError(
            "Scores are optional in YOLO and Label Studio alone.",
            where="--scores",
            expected=f"--to {' or '.join(_SCORED)}",
            found=f"--to {arguments.to}",
            fix="Leave it out.",
        )
    if arguments.to != TFRECORD:
        return _rewrite(arguments, split, out)
    options = ConvertOptions(
        **_shared_options(arguments, split),
        shards=None if isinstance(arguments.shards, str) else arguments.shards,
        shard_range=_range(arguments.shard_range),
        runner=_runner(arguments),
    )
    report = convert(arguments.source, out, options)
    return Converted(out, report, TFRECORD, arguments.shard_range)


def _rewrite(arguments: ConvertArguments, split: "SplitOptions", out: Path) -> Converted:
    """Writes another annotation format."""
    from tfod_kit.conversion import RewriteOptions
    from tfod_kit.conversion.rewriting import rewrite

    if arguments.shard_range or arguments.runner or arguments.shards != AUTO:
        raise UsageError(
            "--shards, --shard_range and --runner are for records.",
            where=f"--to {arguments.to}",
            fix="Leave them out.",
        )
    options = RewriteOptions(
        **_shared_options(arguments, split), link=arguments.link, scores=arguments.scores
    )
    return Converted(out, rewrite(arguments.source, out, arguments.to, options), arguments.to)


def _shared_options(arguments: ConvertArguments, split: "SplitOptions") -> dict[str, Any]:
    """The options of conversion.options.SharedOptions."""
    return {
        "format": arguments.format,
        "images": arguments.images,
        "label_map": arguments.label_map,
        "selection": shared.selection(arguments),
        "split": split,
        "seed": arguments.seed,
        "on_error": arguments.on_error,
        "origin": arguments.origin,
        "max_side": arguments.max_side,
        "masks": not arguments.no_masks,
        "workers": _workers(arguments),
        "follow_links": arguments.follow_links,
        "columns": csv.parse_columns(arguments.columns),
        "obb": arguments.obb,
    }


def _workers(arguments: ConvertArguments) -> int:
    from tfod_kit.io import hardware

    return hardware.cores() if isinstance(arguments.workers, str) else arguments.workers


def _range(text: str | None) -> tuple[int, int] | None:
    """The (i, n) of "i/n"."""
    if text is None:
        return None
    part, _, parts = text.partition("/")
    if not part.strip().isdecimal() or not parts.strip().isdecimal():
        raise UsageError(
            "The part of the conversion is invalid.",
            where="--shard_range",
            expected="I/N, such as 0/4, 1/4, 2/4 and 3/4 for four jobs",
            found=text,
            fix="Correct it.",
        )
    return int(part), int(parts)


def _runner(arguments: ConvertArguments) -> Runner | None:
    if arguments.runner is None:
        return None
    options = tuple(f"--{each.lstrip('-')}" for each in arguments.runner_option)
    return Runner(arguments.runner, options)


def _part(report: "ConversionReport", out: Path) -> str:
    """What one of several jobs reports."""
    from tfod_kit.io import resumable_output

    written = sum(len(part.files) for part in report.splits.values())
    total = written + report.unfinished
    folder = resumable_output.partial_folder(out)
    lines = [f"{written} of {total} record files are finished, in {folder}."]
    if report.unfinished:
        lines.append("Wait for the other jobs; then run the same command without --shard_range:")
    else:
        lines.append("Run the same command without --shard_range:")
    return "\n".join([*lines, f"it writes what is missing and moves the records to {out}."])


def _title(report: "ConversionReport") -> str:
    return f"{shared.read_as(report.format, report.known_by)} Splits: {report.split}."


def _read_as(report: "ConversionReport") -> list[str]:
    """What was read, and what was changed."""
    return [_title(report), "", *_table(report), "", *_findings(report)]


def _findings(report: "ConversionReport") -> list[str]:
    lines = shared.finding_lines(report.findings)
    return [*lines, ""] if lines else []


def _rows(report: "ConversionReport") -> list[list[str]]:
    """One row per class and one column per split, with totals."""
    splits = report.splits
    shown = _shown(report)
    rows = [["", *splits]]
    rows.append(["images", *(f"{part.images:,}" for part in splits.values())])
    if any(part.negatives for part in splits.values()):
        rows.append(["  without objects", *(f"{part.negatives:,}" for part in splits.values())])
    rows.append(["objects", *(f"{part.objects:,}" for part in splits.values())])
    rows.extend(
        [f"  {label}", *(f"{part.classes[label]:,}" for part in splits.values())]
        for label in shown[:_CLASSES_SHOWN]
    )
    return rows


def _table(report: "ConversionReport") -> list[str]:
    rows = _rows(report)
    first = max(len(row[0]) for row in rows)
    lines = [row[0].ljust(first) + "".join(cell.rjust(10) for cell in row[1:]) for row in rows]
    shown = len(_shown(report))
    if shown > _CLASSES_SHOWN:
        lines.append(f"  and {shown - _CLASSES_SHOWN} more classes, in report.json")
    absent = len(report.label_map) - shown
    if absent:
        lines.append(f"  {absent} classes of the label map without objects")
    return lines


def _shown(report: "ConversionReport") -> list[str]:
    """The classes that have objects."""
    return [
        label
        for label in report.label_map
        if any(part.classes[label] for part in report.splits.values())
    ]
