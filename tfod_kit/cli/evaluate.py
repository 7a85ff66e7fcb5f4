"""`tfod evaluate MODEL`: how good a model is, on records; or any tool's detections, from JSON."""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit import evaluation, pipeline_config
from tfod_kit.cli import evaluation_text
from tfod_kit.cli.shared import CONFIG, count
from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.drawing import visualize
from tfod_kit.errors import UsageError
from tfod_kit.evaluation import continuous, worst
from tfod_kit.io.progress import progress
from tfod_kit.records import shards
from tfod_kit.runs import results, training_history
from tfod_kit.runs.results import Results

if TYPE_CHECKING:
    from PIL import Image

    from tfod_kit.detectors import Detector

_PICTURES = 8
_DRAWN_FROM = 0.3
_CUT_OFF = 0.1  # detections that all score more were cut off
_COCO = "coco"
DEFAULT_SPLIT = "val"


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", type=Path, nargs="?", help="a run folder, a checkpoint's folder, an exported model"
    )
    parser.add_argument(
        "--records",
        help="a folder that `tfod convert` wrote, or a pattern of record files (default: those of "
        "the model's pipeline.config)",
    )
    parser.add_argument("--split", help="the split to measure on, such as val or test")
    parser.add_argument(
        "--checkpoint",
        help="a run's checkpoint to measure: latest, best, a step, or a prefix (default: latest)",
    )
    parser.add_argument(
        "--metrics",
        action="append",
        default=[],
        choices=(_COCO, *evaluation.PROTOCOLS),
        help="measure by this as well as COCO's metrics; repeatable",
    )
    parser.add_argument("--label_map", type=Path, help="class names, where the model brings none")
    parser.add_argument("--batch_size", type=count, default=8, help="pictures detected at once")
    parser.add_argument("--out", type=Path, help="folder for the figures (default: MODEL/eval)")
    watching = parser.add_argument_group("a training that runs in another process")
    watching.add_argument(
        "--continuous",
        action="store_true",
        help="measure each checkpoint as it comes, until the training is over",
    )
    watching.add_argument(
        "--timeout",
        type=count,
        default=int(continuous.DEFAULT_TIMEOUT_S),
        metavar="SECONDS",
        help="give up when no new checkpoint has come for so long",
    )
    given = parser.add_argument_group("any tool's detections", "in place of a model; no TensorFlow")
    given.add_argument("--ground_truth", type=Path, metavar="JSON", help="a COCO JSON")
    given.add_argument(
        "--detections",
        type=Path,
        metavar="JSON",
        help="COCO results, or what `tfod predict` writes",
    )
    given.add_argument(
        "--images", type=Path, help="the pictures' folder, to draw the worst and some others"
    )


def run(args: argparse.Namespace) -> int:
    if args.ground_truth or args.detections:
        return _run_on_json(args)
    if args.model is None:
        raise UsageError(
            "There is nothing to evaluate.",
            expected="a model, or --ground_truth and --detections",
            fix="tfod evaluate RUN",
        )
    paths, split = _records(args)
    out = args.out or (args.model if args.model.is_dir() else args.model.parent) / "eval"
    print(f"Evaluating {args.model} on {_pictures(paths):,} pictures ({split})", flush=True)
    if args.continuous:
        return _run_continuously(args, paths, split, out)
    from tfod_kit import detectors

    detector = detectors.load(args.model, label_map=args.label_map, checkpoint=args.checkpoint)
    found = measure(
        detector,
        paths,
        split,
        out,
        batch_size=args.batch_size,
        protocols=_protocols(args),
        draw_worst=True,
    )
    _print(found, results.path(out, split, detector.step))
    print(f"Curves:      tensorboard --logdir {out.parent}")
    return 0


def _run_continuously(args: argparse.Namespace, paths: list[Path], split: str, out: Path) -> int:
    if args.checkpoint:
        raise UsageError(
            "--continuous measures every checkpoint.", fix="Leave --checkpoint away, or it."
        )

    def point(detector: "Detector") -> training_history.EvalPoint:
        found = measure(
            detector, paths, split, out, batch_size=args.batch_size, protocols=_protocols(args)
        )
        return training_history.eval_point(detector.step or 0, split, found.metrics, found.classes)

    continuous.evaluate(args.model, point, label_map=args.label_map, timeout=args.timeout)
    return 0


def measure(
    detector: "Detector",
    paths: list[Path],
    split: str,
    out: Path,
    *,
    batch_size: int = 8,
    protocols: Sequence[str] = (),
    draw_worst: bool = False,
) -> Results:
    """Evaluates on record files; the figures go to `out` as a document and into TensorBoard.

    Args:
      detector: what is measured.
      paths: the record files.
      split: what to call them.
      out: the folder.
      batch_size: pictures detected at once.
      protocols: of evaluate.PROTOCOLS, to measure by as well.
      draw_worst: whether the pictures with most errors are drawn into `out`/worst, and some
        ordinary ones into `out`/samples.

    Raises:
      UsageError: the detector has no label map.
      DataError: the records cannot be used.
    """
    if detector.label_map is None:
        raise UsageError(
            "No label map came with the model.",
            where=detector.source,
            fix="Name one with --label_map.",
        )
    colours = visualize.palette(detector.label_map)
    pictures: list[Image.Image] = []
    with progress("evaluating", _pictures(paths), "pictures") as bar:

        def seen(labelled: evaluation.Example, found: tuple[ObjectAnnotation, ...]) -> None:
            if len(pictures) < _PICTURES:
                pictures.append(_compared(labelled, found, colours))
            bar.advance()

        tables = evaluation.collect(
            detector,
            evaluation.read_examples(paths, detector.label_map),
            detector.label_map,
            batch_size=batch_size,
            seen=seen,
        )
    measured = evaluation.measure(tables, protocols)
    measured = dataclasses.replace(
        measured, model=str(detector.source), step=detector.step, split=split
    )
    if draw_worst:
        measured = _with_pictures(measured, tables, paths, out, detector)
    results.save(measured, results.path(out, split, detector.step))
    _summarise(measured, out / split, pictures)
    return measured


def _with_pictures(
    measured: Results,
    tables: evaluation.Tables,
    paths: list[Path],
    out: Path,
    detector: "Detector",
) -> Results:
    """Draws those that the results name, read from the records once more."""
    places = {image["source_id"]: place for place, image in enumerate(tables.images)}
    wanted = {places[image.source_id] for image in (*measured.worst, *measured.samples)}
    examples = evaluation.read_examples(paths, detector.label_map, only=wanted)
    shown = ((each.truth.source_id, each.picture) for each in examples)
    return worst.draw(measured, tables, shown, out)


def configured_records(config: Any) -> list[Path]:
    """The record files of a config's eval_input_reader; none when it has none.

    Raises:
      UsageError: a pattern matches nothing.
    """
    readers = config.eval_input_reader
    patterns = [path for reader in readers for path in reader.tf_record_input_reader.input_path]
    return [path for pattern in patterns for path in shards.match(pattern)]


def _run_on_json(args: argparse.Namespace) -> int:
    """Measures a file of detections: no model, no TensorFlow."""
    from tfod_kit.evaluation import from_json

    if args.model is not None or not (args.ground_truth and args.detections):
        raise UsageError(
            "It is not clear what is to be measured.",
            expected="either a model, or both --ground_truth and --detections",
            fix="tfod evaluate --ground_truth instances.json --detections detections.json",
        )
    tables = from_json.read(args.ground_truth, args.detections)
    print(f"Evaluating {args.detections} on {len(tables.images):,} pictures of {args.ground_truth}")
    split = args.split or args.ground_truth.stem
    out = args.out or args.detections.parent / "eval"
    measured = dataclasses.replace(
        evaluation.measure(tables, _protocols(args)), model=str(args.detections), split=split
    )
    if args.images is not None:
        shown = worst.pictures_in(args.images, (*measured.worst, *measured.samples))
        measured = worst.draw(measured, tables, shown, out)
    document = results.path(out, split, None)
    results.save(measured, document)
    _print(measured, document)
    lowest = min((row["score"] for row in tables.found), default=0.0)
    if lowest >= _CUT_OFF:
        print(
            f"Note:        no detection scores below {lowest:.2f}; mAP counts those too, so it "
            "reads low here. Ask the tool for all of them (`tfod predict --min_score 0.01`)."
        )
    return 0


def _protocols(args: argparse.Namespace) -> list[str]:
    return [name for name in dict.fromkeys(args.metrics) if name != _COCO]


def _pictures(paths: list[Path]) -> int:
    return sum(map(shards.count, paths))


def records_named(records: str, split: str | None) -> tuple[list[Path], str]:
    """The record files that --records and --split name, and what to call them.

    Raises:
      UsageError: there are none.
    """
    if Path(records).is_dir():
        return _split_of(Path(records), split or DEFAULT_SPLIT)
    return shards.match(records), split or Path(records).name


def _records(args: argparse.Namespace) -> tuple[list[Path], str]:
    """The record files to measure on, and what to call them."""
    if args.records:
        return records_named(args.records, args.split)
    config = args.model / CONFIG if args.model.is_dir() else args.model
    paths = configured_records(pipeline_config.load(config)) if config.is_file() else []
    if not paths:
        raise UsageError(
            "It is not known which records to measure on.",
            where=config,
            expected=f"a {CONFIG} with an eval_input_reader",
            fix="Name the folder that `tfod convert` wrote with --records.",
        )
    return _split_of(paths[0].parent, args.split) if args.split else (paths, DEFAULT_SPLIT)


def _split_of(folder: Path, split: str) -> tuple[list[Path], str]:
    found = shards.bases(folder)
    if split not in found:
        raise UsageError(
            f"There is no split {split!r}.",
            where=folder,
            found=", ".join(found) or "no records at all",
            fix="Name one of those with --split, or another folder with --records.",
        )
    return found[split], split


def _compared(
    labelled: evaluation.Example,
    found: tuple[ObjectAnnotation, ...],
    colours: Mapping[str, visualize.Colour],
) -> "Image.Image":
    """The ground truth at the left, what was found at the right."""
    sure = [item for item in found if (item.score or 0.0) >= _DRAWN_FROM]
    return visualize.side_by_side(
        visualize.draw(labelled.picture, labelled.truth.objects, colours),
        visualize.draw(labelled.picture, sure, colours),
    )


def _print(measured: Results, document: Path) -> None:
    for line in evaluation_text.lines(measured):
        print(line)
    print(f"\nFigures:     {document}")
    for told, images in (("Most wrong:  ", measured.worst), ("Others:      ", measured.samples)):
        drawn = [image.drawn for image in images if image.drawn]
        if drawn:
            print(f"{told}{document.parent / Path(drawn[0]).parent} ({len(drawn)} pictures)")


def _summarise(measured: Results, folder: Path, pictures: list["Image.Image"]) -> None:
    """The figures and pictures for TensorBoard."""
    from tfod_kit.training import summaries

    step = measured.step or 0
    scalars = {
        name: value for name, value in measured.metrics.items() if value != results.NOT_MEASURED
    }
    scalars |= {f"AP@.50IOU/{name}": row.ap50 for name, row in measured.classes.items()}
    with summaries.writer(folder) as writer:
        summaries.scalars(writer, step, scalars)
        summaries.pictures(writer, step, "ground_truth_and_detections", pictures)
