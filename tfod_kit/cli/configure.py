"""`tfod configure MODEL`: writes a run's pipeline.config."""

import argparse
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.cli.shared import count
from tfod_kit.configure import Configured, Request, configure
from tfod_kit.configure.dataset import Split
from tfod_kit.errors import UsageError
from tfod_kit.zoo import catalog

_WIDTH = 15
_SHOWN_CLASSES = 8


def register(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(model.name for model in catalog.BASES)
    parser.add_argument(
        "model", nargs="?", help=f"one of {names} (without --base or --zoo: {catalog.DEFAULT.name})"
    )
    parser.add_argument(
        "--records", type=Path, default=Path("work/records"), help="what `tfod convert` wrote"
    )
    parser.add_argument("--out", type=Path, help="the run folder (default: work/MODEL)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--base", type=Path, metavar="FILE", help="start from your own config")
    source.add_argument(
        "--zoo", type=Path, metavar="FOLDER", help="start from an unpacked archive of the model zoo"
    )
    parser.add_argument("--batch_size", type=count, metavar="N", help="images a step")
    parser.add_argument("--steps", type=count, metavar="N", help="length of the training")
    parser.add_argument(
        "--learning_rate", type=_rate, metavar="X", help="the highest of the schedule"
    )
    parser.add_argument(
        "--checkpoint", metavar="PREFIX", help="weights to start from: a prefix, a folder, or none"
    )
    parser.add_argument(
        "--label_map", type=Path, metavar="FILE", help="another than the one beside the records"
    )
    parser.add_argument(
        "--set",
        action="append",
        dest="settings",
        metavar="FIELD=VALUE",
        help="set any other field, e.g. train_config.gradient_clipping_by_norm=5; repeatable",
    )
    parser.add_argument("--all", action="store_true", help="show every field that was changed")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the config of a run with checkpoints"
    )


def run(args: argparse.Namespace) -> int:
    result = configure(
        Request(
            records=args.records,
            out=args.out or _default_out(args),
            model=args.model,
            base=args.base,
            zoo=args.zoo,
            batch_size=args.batch_size,
            steps=args.steps,
            checkpoint=args.checkpoint,
            label_map=args.label_map,
            learning_rate=args.learning_rate,
            settings=tuple(_setting(text) for text in args.settings or ()),
            overwrite=args.overwrite,
        )
    )
    print("\n".join(_summary(result, show_all=args.all)))
    return 0


def _default_out(args: argparse.Namespace) -> Path:
    if args.model:
        return Path("work") / args.model
    source = args.zoo or (args.base.with_suffix("") if args.base else None)
    return Path("work") / (source.name if source else catalog.DEFAULT.name)


def _setting(text: str) -> tuple[str, str]:
    path, sign, value = text.partition("=")
    if not sign or not path.strip():
        raise UsageError(
            "--set takes a field and its value.",
            expected="FIELD=VALUE, such as train_config.num_steps=500",
            found=text,
            fix="Put an = between them.",
        )
    return path.strip(), value.strip()


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0.0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return rate


def _summary(result: Configured, *, show_all: bool) -> list[str]:
    lines = [f"Wrote {result.path} (from {result.base})", ""]
    lines += [f"  {name + ':':<{_WIDTH}}{value}" for name, value in _rows(result)]
    if show_all:
        lines += ["", f"Changed from {result.base}:"]
        lines += [f"  {change}" for change in result.changes]
    else:
        lines += ["", f"{len(result.changes)} fields differ from the base; --all shows them."]
    lines += [f"{'' if note.startswith('WARNING') else 'Note: '}{note}" for note in result.notes]
    return [*lines, "", f"Next:  tfod train {result.path.parent}"]


def _rows(result: Configured) -> list[tuple[str, str]]:
    config, data = result.config, result.data
    training = config.train_config
    names = list(data.label_map)
    shown = ", ".join(names[:_SHOWN_CLASSES]) + (", ..." if len(names) > _SHOWN_CLASSES else "")
    val = data.splits.get("val")
    epochs = training.num_steps * training.batch_size / data.splits["train"].images
    digits = 1 if epochs < 10 else 0
    extractor = pipeline_config.model_of(config).feature_extractor.type
    return [
        ("model", f"{pipeline_config.architecture(config)}, {extractor}"),
        ("classes", f"{len(names)}: {shown}"),
        ("train", _images(data.splits["train"])),
        ("val", _images(val) if val else "none"),
        ("batch size", f"{training.batch_size:,}"),
        (
            "steps",
            f"{training.num_steps:,} ({epochs:,.{digits}f} times through the data)",
        ),
        ("learning rate", f"{pipeline_config.learning_rate(config):.4g} at its highest"),
        ("starts from", training.fine_tune_checkpoint or "random weights"),
    ]


def _images(split: Split) -> str:
    files = "file" if split.shards == 1 else "files"
    return f"{split.images:,} images in {split.shards} {files}"
