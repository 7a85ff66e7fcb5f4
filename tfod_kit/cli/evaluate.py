"""`tfod evaluate MODEL`: COCO metrics on records: printed, as JSON, and in TensorBoard."""

import argparse
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit import evaluate, files, pipeline_config, visualize
from tfod_kit.annotations import ObjectAnnotation
from tfod_kit.cli.shared import CONFIG, count
from tfod_kit.errors import UsageError
from tfod_kit.progress import progress
from tfod_kit.records import shards

if TYPE_CHECKING:
    from PIL import Image

    from tfod_kit.engine.detector import Detector

_PICTURES = 8
_DRAWN_FROM = 0.3
DEFAULT_SPLIT = "val"


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="a run folder, or an exported model")
    parser.add_argument(
        "--records",
        help="a folder that `tfod convert` wrote, or a pattern of record files (default: those of "
        "the model's pipeline.config)",
    )
    parser.add_argument("--split", help="the split to measure on, such as val or test")
    parser.add_argument(
        "--checkpoint", type=Path, help="a run's checkpoint to measure (default: its newest)"
    )
    parser.add_argument("--label_map", type=Path, help="class names, where the model brings none")
    parser.add_argument("--batch_size", type=count, default=8, help="pictures detected at once")
    parser.add_argument("--out", type=Path, help="folder for the figures (default: MODEL/eval)")


def run(args: argparse.Namespace) -> int:
    paths, split = _records(args)
    out = args.out or (args.model if args.model.is_dir() else args.model.parent) / "eval"
    print(f"Evaluating {args.model} on {_pictures(paths):,} pictures ({split})", flush=True)
    from tfod_kit.engine import detector as detectors

    detector = detectors.load(args.model, label_map=args.label_map, checkpoint=args.checkpoint)
    result = measure(detector, paths, split, out, batch_size=args.batch_size)
    _print(result)
    print(f"Figures:     {_figures(detector, split, out)}")
    print(f"Curves:      tensorboard --logdir {out.parent}")
    return 0


def measure(
    detector: "Detector", paths: list[Path], split: str, out: Path, *, batch_size: int = 8
) -> evaluate.Evaluation:
    """Evaluates on record files; the figures go to `out` as JSON and into TensorBoard.

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

        def seen(labelled: evaluate.Example, found: tuple[ObjectAnnotation, ...]) -> None:
            if len(pictures) < _PICTURES:
                pictures.append(_compared(labelled, found, colours))
            bar.advance()

        result = evaluate.evaluate(
            detector,
            evaluate.read_examples(paths, detector.label_map),
            detector.label_map,
            batch_size=batch_size,
            seen=seen,
        )
    _write(result, detector, split, out, pictures)
    return result


def configured_records(config: Any) -> list[Path]:
    """The record files of a config's eval_input_reader; none when it has none.

    Raises:
      UsageError: a pattern matches nothing.
    """
    readers = config.eval_input_reader
    patterns = [path for reader in readers for path in reader.tf_record_input_reader.input_path]
    return [path for pattern in patterns for path in shards.match(pattern)]


def _pictures(paths: list[Path]) -> int:
    return sum(map(shards.count, paths))


def _records(args: argparse.Namespace) -> tuple[list[Path], str]:
    """The record files to measure on, and what to call them."""
    if args.records and not Path(args.records).is_dir():
        return shards.match(args.records), args.split or Path(args.records).name
    if args.records:
        return _split_of(Path(args.records), args.split or DEFAULT_SPLIT)
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
    labelled: evaluate.Example,
    found: tuple[ObjectAnnotation, ...],
    colours: Mapping[str, visualize.Colour],
) -> "Image.Image":
    """The ground truth at the left, what was found at the right."""
    sure = [item for item in found if (item.score or 0.0) >= _DRAWN_FROM]
    return visualize.side_by_side(
        visualize.draw(labelled.picture, labelled.truth.objects, colours),
        visualize.draw(labelled.picture, sure, colours),
    )


def _print(result: evaluate.Evaluation) -> None:
    width = max(map(len, [*result.classes, "class"]))
    print(f"\n{'class':<{width}}  boxes  AP@.50  AP@.50:.95")
    for name, row in result.classes.items():
        print(f"{name:<{width}}  {row.ground_truth:5}  {_figure(row.ap50)}   {_figure(row.ap)}")
    print()
    for name, value in result.metrics.items():
        print(f"{name:<41} {_figure(value)}")
    if evaluate.NO_GROUND_TRUTH in result.metrics.values():
        print("n/a: no ground truth of that class or size, so there is nothing to measure")
    print()


def _figure(value: float) -> str:
    return "   n/a" if value == evaluate.NO_GROUND_TRUTH else f"{value:6.3f}"


def _write(
    result: evaluate.Evaluation,
    detector: "Detector",
    split: str,
    out: Path,
    pictures: list["Image.Image"],
) -> None:
    from tfod_kit.engine import summaries

    step = detector.step or 0
    document = {"model": str(detector.source), "step": detector.step, "split": split}
    files.write_text(
        _figures(detector, split, out),
        json.dumps(document | dataclasses.asdict(result), indent=2, ensure_ascii=False) + "\n",
    )
    measured = {
        name: value for name, value in result.metrics.items() if value != evaluate.NO_GROUND_TRUTH
    }
    per_class = {f"AP@.50IOU/{name}": row.ap50 for name, row in result.classes.items()}
    with summaries.writer(out / split) as writer:
        summaries.scalars(writer, step, measured | per_class)
        summaries.pictures(writer, step, "ground_truth_and_detections", pictures)


def _figures(detector: "Detector", split: str, out: Path) -> Path:
    return out / f"{split}-{detector.step or 0}.json"
