"""`tfod train RUN`: trains what `tfod configure` wrote, and measures it on the way."""

import argparse
import gc
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit import checks
from tfod_kit import evaluation as measuring
from tfod_kit.checks.findings import Level
from tfod_kit.cli import train_levers, train_workers
from tfod_kit.cli.check import show
from tfod_kit.cli.shared import config_path, count, not_negative, positive
from tfod_kit.errors import UsageError
from tfod_kit.evaluation import run as evaluation_run
from tfod_kit.runs import best_checkpoint, run_folder

if TYPE_CHECKING:
    from tfod_kit.training.train import TrainResult


_METRICS = [
    name.replace("DetectionBoxes", kind)
    for kind in ("DetectionBoxes", "DetectionMasks", "Keypoints")
    for name in measuring.METRICS
]


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", type=Path, help="the run folder with pipeline.config; checkpoints are saved there"
    )
    parser.add_argument("--steps", type=count, help="stop at this step (default: the config's)")
    parser.add_argument(
        "--resume",
        choices=("auto", "never", "must"),
        default="auto",
        help="auto: go on from the newest checkpoint where there is one; never: set what is there "
        "aside and start anew; must: fail where there is none",
    )
    parser.add_argument(
        "--allow_changed",
        action="store_true",
        help="resume although the model, the classes or the optimiser are no longer the same",
    )
    parser.add_argument(
        "--checkpoint_every", type=count, default=1000, help="steps between checkpoints"
    )
    parser.add_argument(
        "--checkpoint_minutes",
        type=positive,
        default=10.0,
        help="the longest time between checkpoints",
    )
    parser.add_argument(
        "--keep", type=count, default=5, help="how many checkpoints stay, the best one apart"
    )
    parser.add_argument(
        "--summary_every",
        type=count,
        default=20,
        help="steps between points in TensorBoard and in history.jsonl",
    )
    parser.add_argument(
        "--skip_bad_records",
        action="store_true",
        help="pass over damaged records and pictures, and count them, instead of stopping",
    )
    parser.add_argument(
        "--no_check", action="store_true", help="do not look for what would fail first"
    )
    parser.add_argument("--tpu", metavar="NAME", help="train on this Cloud TPU")
    _register_measuring(parser.add_argument_group("measuring", "on the val records"))
    train_levers.register(parser)
    train_workers.register(parser)


def _register_measuring(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--evaluate_every",
        type=_every,
        metavar="500|1epoch",
        help="steps or epochs between evaluations (default: at each checkpoint)",
    )
    group.add_argument("--no_evaluate", action="store_true", help="do not measure checkpoints")
    group.add_argument(
        "--best_metric",
        default=best_checkpoint.DEFAULT_METRIC,
        metavar="NAME",
        help="the metric by which the best checkpoint is kept, in RUN/best",
    )
    group.add_argument(
        "--patience",
        type=count,
        metavar="N",
        help="end when N evaluations in a row bring no rise of that metric",
    )
    group.add_argument(
        "--min_delta",
        type=not_negative,
        default=0.0,
        metavar="X",
        help="a rise of no more than this is none",
    )


def run(args: argparse.Namespace) -> int:
    path = config_path(args.run)
    if not args.no_check and not args.skip_bad_records:
        _check(path)
    cluster = train_workers.cluster(args)
    if args.local_workers:
        return train_workers.run_local(args.local_workers, path, sys.argv[1:])
    measure = None if args.no_evaluate else evaluation_run.checkpoint_measure(path)
    best_checkpoint.find_metric(
        _METRICS, args.best_metric
    )  # better said now than after the first hour
    every = args.evaluate_every
    print(f"Training {path.parent} (loading TensorFlow takes some seconds)", flush=True)
    from tfod_kit.training.train import Every, TrainOptions, train

    options = TrainOptions(
        steps=args.steps,
        checkpoint_every=args.checkpoint_every,
        checkpoint_minutes=args.checkpoint_minutes,
        keep=args.keep,
        summary_every=args.summary_every,
        tpu=args.tpu,
        resume=args.resume,
        allow_changed=args.allow_changed,
        evaluate_every=Every(*every) if every else None,
        best_metric=args.best_metric,
        patience=args.patience,
        min_delta=args.min_delta,
        skip_bad_records=args.skip_bad_records,
        levers=train_levers.from_args(args),
        command=tuple(sys.argv[1:]),
        cluster=cluster,
    )
    _summarise(train(path, options, measure), args.run)
    # Else Python looks through the whole graph for garbage as it ends: seconds, on a busy machine
    # half a minute.
    gc.freeze()
    return 0


def _summarise(result: "TrainResult", run: Path) -> None:
    verb = {
        run_folder.FINISHED: "Finished",
        run_folder.STOPPED_EARLY: "Stopped early",
        run_folder.STOPPED: "Stopped",
    }
    done = result.last_step - result.first_step
    loss = f", loss {result.loss:.4g}" if result.loss is not None else ""
    spent = f"{done:,} steps in {result.seconds:.0f} s"
    print(f"{verb[result.ended]} at step {result.last_step:,}: {spent}{loss}")
    if result.skipped_records:
        print(f"Passed over: {result.skipped_records:,} bad records; `tfod check` lists them")
    print(f"Checkpoint:  {result.checkpoint}")
    if result.best is not None:
        name = result.best.metric.rpartition("/")[2]
        print(
            f"Best:        {run / 'best' / result.best.checkpoint} ({name} {result.best.value:.3f})"
        )
    print(f"Next:        tfod evaluate {run}")
    print(f"One page:    tfod report {run}")
    print(f"Curves:      tensorboard --logdir {run}")


def _check(path: Path) -> None:
    """Shows what the quick part of `tfod check` finds, and stops at errors.

    Raises:
      UsageError: training would fail or be in vain.
    """
    found = [finding for finding in checks.quick(path) if finding.level is not Level.NOTE]
    show(found)
    errors = sum(finding.level is Level.ERROR for finding in found)
    if errors:
        raise UsageError(
            f"The training is not started: {errors} {'error' if errors == 1 else 'errors'} above.",
            where=path,
            fix=f"Mend them; `tfod check {path.parent}` looks at every record. "
            "--no_check trains all the same.",
        )


def _every(text: str) -> tuple[float, str]:
    """An argparse type: "500" or "500steps", "1epoch", "0.5epochs"."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(steps?|epochs?)?", text)
    if found is None or float(found[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is neither steps (500) nor epochs (1epoch)")
    if (found[2] or "step").startswith("epoch"):
        return float(found[1]), "epochs"
    return float(count(found[1])), "steps"
