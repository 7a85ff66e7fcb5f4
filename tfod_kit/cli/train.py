"""`tfod train RUN`: trains what `tfod configure` wrote, and measures it on the way."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit import check, pipeline_config
from tfod_kit.check.findings import Level
from tfod_kit.cli import evaluate
from tfod_kit.cli.check import show
from tfod_kit.cli.shared import config_path, count
from tfod_kit.errors import UsageError
from tfod_kit.evaluate import METRICS

if TYPE_CHECKING:
    from tfod_kit.engine.detector import Detector


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", type=Path, help="the run folder with pipeline.config; checkpoints are saved there"
    )
    parser.add_argument("--steps", type=count, help="stop at this step (default: the config's)")
    parser.add_argument(
        "--checkpoint_every", type=count, default=1000, help="steps between checkpoints"
    )
    parser.add_argument("--keep", type=count, default=5, help="how many checkpoints stay")
    parser.add_argument(
        "--summary_every", type=count, default=20, help="steps between points in TensorBoard"
    )
    parser.add_argument(
        "--no_evaluate",
        action="store_true",
        help="do not measure each checkpoint on the val records",
    )
    parser.add_argument(
        "--no_check", action="store_true", help="do not look for what would fail first"
    )
    parser.add_argument("--tpu", metavar="NAME", help="train on this Cloud TPU")


def run(args: argparse.Namespace) -> int:
    path = config_path(args.run)
    if not args.no_check:
        _check(path)
    paths = [] if args.no_evaluate else evaluate.configured_records(pipeline_config.load(path))
    print(f"Training {path.parent} (loading TensorFlow takes some seconds)", flush=True)
    from tfod_kit.engine.train import TrainOptions, train

    def measure(detector: "Detector") -> None:
        result = evaluate.measure(detector, paths, evaluate.DEFAULT_SPLIT, path.parent / "eval")
        average, at_half = (result.metrics[name] for name in METRICS[:2])
        print(f"Step {detector.step:,}: mAP {average:.3f}, mAP@.50IOU {at_half:.3f}", flush=True)

    options = TrainOptions(
        steps=args.steps,
        checkpoint_every=args.checkpoint_every,
        keep=args.keep,
        summary_every=args.summary_every,
        tpu=args.tpu,
    )
    result = train(path, options, measure if paths else None)
    done = result.last_step - result.first_step
    verb = "Stopped" if result.stopped else "Finished"
    loss = f", loss {result.loss:.4g}" if result.loss is not None else ""
    spent = f"{done:,} steps in {result.seconds:.0f} s"
    print(f"{verb} at step {result.last_step:,}: {spent}{loss}")
    print(f"Checkpoint:  {result.checkpoint}")
    print(f"Next:        tfod evaluate {args.run}")
    print(f"Curves:      tensorboard --logdir {args.run}")
    return 0


def _check(path: Path) -> None:
    """Shows what the quick part of `tfod check` finds, and stops at errors.

    Raises:
      UsageError: training would fail or be in vain.
    """
    found = [finding for finding in check.quick(path) if finding.level is not Level.NOTE]
    show(found)
    errors = sum(finding.level is Level.ERROR for finding in found)
    if errors:
        raise UsageError(
            f"The training is not started: {errors} {'error' if errors == 1 else 'errors'} above.",
            where=path,
            fix=f"Mend them; `tfod check {path.parent}` looks at every record. "
            "--no_check trains all the same.",
        )
