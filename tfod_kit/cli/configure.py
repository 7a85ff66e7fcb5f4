"""`tfod configure MODEL`: writes a run's pipeline.config."""

import argparse
from pathlib import Path
from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.cli import models
from tfod_kit.cli.shared import count, positive
from tfod_kit.configuration import Configured, Request, augment, configure
from tfod_kit.configuration.dataset import SplitRecords
from tfod_kit.errors import UsageError
from tfod_kit.zoo import catalog

_WIDTH = 15
_SHOWN_CLASSES = 8


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        help="a name that `tfod models` lists, such as fpnlite or retinanet50 (without --base or "
        f"--zoo: {catalog.DEFAULT.name})",
    )
    parser.add_argument(
        "--records", type=Path, default=Path("work/records"), help="what `tfod convert` wrote"
    )
    parser.add_argument("--out", type=Path, help="the run folder (default: work/MODEL)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--pretrained",
        action="store_true",
        help="start from the zoo's weights for the model, downloaded once",
    )
    source.add_argument("--base", type=Path, metavar="FILE", help="start from your own config")
    source.add_argument(
        "--zoo",
        type=Path,
        metavar="PATH",
        help="start from an archive of the model zoo: its folder, or its NAME.tar.gz",
    )
    _add_training(parser.add_argument_group("training"))
    _add_model(parser.add_argument_group("model and data"))
    models.add_download_options(parser.add_argument_group("download, with --pretrained"))
    parser.add_argument(
        "--set",
        action="append",
        dest="settings",
        metavar="FIELD=VALUE",
        help="set any other field, e.g. train_config.gradient_clipping_by_norm=5; repeatable",
    )
    parser.add_argument(
        "--brief", action="store_true", help="do not list what differs from the base"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the config of a run with checkpoints"
    )


def _add_training(group: Any) -> None:
    group.add_argument("--batch_size", type=count, metavar="N", help="images a step")
    group.add_argument("--steps", type=count, metavar="N", help="length of the training")
    group.add_argument(
        "--learning_rate", type=positive, metavar="X", help="the highest of the schedule"
    )
    group.add_argument(
        "--scale_lr",
        choices=("yes", "no"),
        default="yes",
        help="whether the learning rate follows a batch size other than the base's",
    )
    group.add_argument(
        "--checkpoint", metavar="PREFIX", help="weights to start from: a prefix, a folder, or none"
    )
    group.add_argument(
        "--augment",
        type=_names,
        metavar="NAME,...",
        help=f"augmentations instead of the base's: {augment.names()}, or upstream's own names",
    )
    group.add_argument(
        "--mixed_precision", action="store_true", help="compute in bfloat16 where the device can"
    )


def _add_model(group: Any) -> None:
    group.add_argument(
        "--input_size",
        type=_size,
        metavar="N|HxW",
        help="pixels that the model sees: a square's side, height x width, or for models that "
        "keep the shape the shorter x the longer side",
    )
    group.add_argument(
        "--masks", choices=("yes", "no"), help="learn masks (default: as the model does)"
    )
    group.add_argument(
        "--keypoints",
        choices=("yes", "no"),
        help="learn keypoints (default: CenterNet does where the label map names some)",
    )
    group.add_argument(
        "--label_map", type=Path, metavar="FILE", help="another than the one beside the records"
    )
    group.add_argument(
        "--metrics",
        type=_names,
        metavar="NAME,...",
        help="metric sets of upstream's evaluation, such as coco_detection_metrics",
    )
    group.add_argument(
        "--detections", type=count, metavar="N", help="the most boxes that the model gives"
    )


def run(args: argparse.Namespace) -> int:
    result = configure(
        Request(
            records=args.records,
            out=args.out or _default_out(args),
            model=args.model,
            base=args.base,
            zoo=args.zoo,
            pretrained=args.pretrained,
            download=models.download_options(args),
            batch_size=args.batch_size,
            steps=args.steps,
            checkpoint=args.checkpoint,
            label_map=args.label_map,
            learning_rate=args.learning_rate,
            scale_rate=args.scale_lr == "yes",
            input_size=args.input_size,
            augmentations=args.augment,
            masks=_yes_or_no(args.masks),
            keypoints=_yes_or_no(args.keypoints),
            metrics=args.metrics,
            detections=args.detections,
            mixed_precision=args.mixed_precision,
            settings=tuple(_setting(text) for text in args.settings or ()),
            overwrite=args.overwrite,
        )
    )
    print("\n".join(_summary(result, brief=args.brief)))
    return 0


def _yes_or_no(text: str | None) -> bool | None:
    return None if text is None else text == "yes"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _size(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) > 2:
        raise argparse.ArgumentTypeError(f"{text!r} is neither N nor HxW")
    sides = [count(part) for part in parts]
    return sides[0], sides[-1]


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


def _summary(result: Configured, *, brief: bool) -> list[str]:
    lines = [f"Wrote {result.path} (from {result.base})", ""]
    lines += [f"  {name + ':':<{_WIDTH}}{value}" for name, value in _rows(result)]
    if brief:
        lines += ["", f"{len(result.changes)} fields differ from the base."]
    else:
        lines += ["", f"What differs from {result.base}:"]
        lines += [f"  {line}" for line in pipeline_config.as_tree(result.changes)]
    if result.notes:
        lines.append("")
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


def _images(split: SplitRecords) -> str:
    files = "file" if split.shards == 1 else "files"
    return f"{split.images:,} images in {split.shards} {files}"
