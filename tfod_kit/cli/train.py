"""`tfod train RUN`: trains what `tfod configure` wrote."""

import argparse
from pathlib import Path

from tfod_kit.cli.shared import config_path, count


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
    parser.add_argument("--tpu", metavar="NAME", help="train on this Cloud TPU")


def run(args: argparse.Namespace) -> int:
    config = config_path(args.run)
    print(f"Training {config.parent} (loading TensorFlow takes some seconds)", flush=True)
    from tfod_kit.engine.train import TrainOptions, train

    options = TrainOptions(
        steps=args.steps,
        checkpoint_every=args.checkpoint_every,
        keep=args.keep,
        summary_every=args.summary_every,
        tpu=args.tpu,
    )
    result = train(config, options)
    done = result.last_step - result.first_step
    verb = "Stopped" if result.stopped else "Trained"
    loss = f", loss {result.loss:.4g}" if result.loss is not None else ""
    print(
        f"{verb} at step {result.last_step:,} after {done:,} steps in {result.seconds:.0f} s{loss}"
    )
    print(f"Checkpoint:  {result.checkpoint}")
    print(f"Next:        tfod evaluate {args.run}")
    print(f"Curves:      tensorboard --logdir {args.run}")
    return 0
