"""`tfod evaluate MODEL`: measures a model on records, or any tool's detections from JSON."""

import argparse
from pathlib import Path

from tfod_kit import evaluation
from tfod_kit.cli.shared import count
from tfod_kit.errors import UsageError
from tfod_kit.evaluation import run as measuring

_DEFAULTS = measuring.EvaluateOptions()


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        type=Path,
        nargs="?",
        help="a run folder, a checkpoint folder or an exported model",
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
        choices=(measuring.COCO, *evaluation.PROTOCOLS),
        help="metrics to measure in addition to COCO's; repeatable",
    )
    parser.add_argument(
        "--label_map", type=Path, help="class names, for a model without a label map"
    )
    parser.add_argument(
        "--batch_size", type=count, default=_DEFAULTS.batch_size, help="images per call"
    )
    parser.add_argument("--out", type=Path, help="folder for the results (default: MODEL/eval)")
    watching = parser.add_argument_group("a training that runs in another process")
    watching.add_argument(
        "--continuous",
        action="store_true",
        help="measure each checkpoint as it appears, until the training is over",
    )
    watching.add_argument(
        "--timeout",
        type=count,
        default=int(_DEFAULTS.timeout),
        metavar="SECONDS",
        help="stop if no new checkpoint appears for this long",
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
        "--images",
        type=Path,
        help="the folder of the images, to draw those with most errors and some others",
    )


def run(args: argparse.Namespace) -> int:
    options = measuring.EvaluateOptions(
        records=args.records,
        split=args.split,
        checkpoint=args.checkpoint,
        metrics=tuple(args.metrics),
        label_map=args.label_map,
        batch_size=args.batch_size,
        out=args.out,
        images=args.images,
        timeout=args.timeout,
    )
    if args.ground_truth or args.detections:
        if args.model is not None or not (args.ground_truth and args.detections):
            raise UsageError(
                "It is not clear what to measure.",
                expected="either a model, or both --ground_truth and --detections",
                fix="tfod evaluate --ground_truth instances.json --detections detections.json",
            )
        result = measuring.evaluate_detections(args.ground_truth, args.detections, options, _log)
    elif args.model is None:
        raise UsageError(
            "There is nothing to evaluate.",
            expected="a model, or --ground_truth and --detections",
            fix="tfod evaluate RUN",
        )
    elif args.continuous:
        measuring.evaluate_continuously(args.model, options, _log)
        return 0
    else:
        result = measuring.evaluate_model(args.model, options, _log)
    print(f"\n{result}")
    return 0


def _log(line: str) -> None:
    print(line, flush=True)
