"""`tfod models`: the models that can be trained, and the zoo's weights for them."""

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_kit.configuration import start
from tfod_kit.doors import arguments
from tfod_kit.doors.arguments import Group, local_path, option
from tfod_kit.doors.configure import DownloadArguments, download_options
from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.zoo import catalog, download, sources
from tfod_kit.zoo.archives import Archive

_ACTIONS = ("list", "download")
_SORTS = ("name", "family", "input", "speed", "map")
_FAMILIES = ("SSD", "EfficientDet", "Faster R-CNN", "Mask R-CNN", "CenterNet")
_HEADS = ("NAME", "FAMILY", "INPUT", "SPEED", "COCO mAP", "FINDS", "WEIGHTS")
_RIGHT = {"INPUT", "SPEED", "COCO mAP"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsDownloadArguments(DownloadArguments):
    """The options of `tfod models download`."""

    source: sources.Source | None = option(
        None,
        "where from: the zoo's bucket has checkpoints, Kaggle SavedModels of the most used models "
        "(default: the mirror if one is named, else the bucket, then Kaggle)",
        choices=sources.NAMES,
    )
    archive: Path | None = option(None, "a local NAME.tar.gz", parse=local_path, metavar="FILE")
    again: bool = option(False, "download again, even if the archive is in the cache")


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        nargs="?",
        default="list",
        metavar="list|download",
        help="what to do",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="the models: to download, or to list alone"
    )
    listing = parser.add_argument_group("list")
    listing.add_argument(
        "--sort",
        choices=_SORTS,
        default="family",
        help="speed: fastest first; map: most accurate first",
    )
    listing.add_argument(
        "--filter",
        action="append",
        metavar="TEXT",
        help="only models with TEXT in a name, a title or what they detect; repeatable",
    )
    listing.add_argument(
        "--long", action="store_true", help="with all names and a description of each"
    )
    listing.add_argument("--json", action="store_true", help="as JSON, for programs")
    arguments.add_to(parser, ModelsDownloadArguments, group=Group("download"))


def run(args: argparse.Namespace) -> int:
    if args.action == "download":
        return _download(args)
    if args.action != "list":
        # `tfod models centernet` lists those models.
        if args.action not in _names():
            raise UsageError(
                f"There is no action {args.action!r}.",
                expected="list or download",
                fix=f"{did_you_mean(args.action, [*_ACTIONS, *_names()])} "
                "To look for models: tfod models --filter TEXT.",
            )
        args.names = [args.action, *args.names]
    return _list(args)


def _list(args: argparse.Namespace) -> int:
    chosen = list(dict.fromkeys(map(catalog.find, args.names))) or list(catalog.MODELS)
    for text in args.filter or ():
        chosen = [model for model in chosen if _matches(model, text)]
    chosen = _sorted(chosen, args.sort)
    if args.json:
        print(json.dumps([_facts(model) for model in chosen], indent=2, ensure_ascii=False))
        return 0
    if not chosen:
        print(f"No model has {' and '.join(map(repr, args.filter))}. tfod models lists all.")
        return 1
    print("\n".join(_table(chosen)))
    if args.long or args.names:
        print("\n" + "\n\n".join("\n".join(_described(model)) for model in chosen))
    print("\n" + "\n".join(_legend(chosen)))
    return 0


def _download(args: argparse.Namespace) -> int:
    if not args.names:
        raise UsageError(
            "Which model?", fix="tfod models download NAME; `tfod models` lists the names."
        )
    if args.archive is not None and args.source is not None:
        raise UsageError("--archive and --source exclude each other.", fix="Use one of them.")
    if args.archive is not None and len(args.names) > 1:
        raise UsageError("One archive is for one model.", fix="Name one model with --archive.")
    options = arguments.parsed(ModelsDownloadArguments, args)
    for model, archive in [(catalog.find(name), start.published(name)) for name in args.names]:
        got = sources.obtain(
            archive,
            download_options(options, options.archive, options.again),
            options.source,
        )
        print(f"{'Downloaded' if got.fresh else 'In the cache already:'} {archive.name}")
        print(f"  from:    {got.source}")
        print(f"  sha256:  {got.sha256}")
        print(f"  folder:  {got.folder}")
        if model.base is not None:
            print(f"Next:  tfod configure {model.name} {_weights(got)} --records FOLDER")
    return 0


def _weights(got: download.Obtained) -> str:
    """The option of `tfod configure` that starts from these weights."""
    has_config = (got.folder / "pipeline.config").is_file()
    return "--pretrained" if has_config else f"--checkpoint {got.folder}"


def _matches(model: catalog.Model, text: str) -> bool:
    texts = (*model.names, model.title, model.family, model.about, *model.outputs)
    return any(catalog.plain(text) in catalog.plain(part) for part in texts)


def _sorted(models: Iterable[catalog.Model], by: str) -> list[catalog.Model]:
    last = float("inf")  # unknown values come last

    def accuracy(model: catalog.Model) -> float:
        known = model.published
        best = (known.box_map or known.keypoint_map) if known else None
        return -best if best else last

    def speed(model: catalog.Model) -> float:
        return (model.published and model.published.speed_ms) or last

    keys: dict[str, Any] = {
        "name": lambda model: model.name,
        "family": lambda model: (_FAMILIES.index(model.family), model.input_size, speed(model)),
        "input": lambda model: (model.input_size, model.name),
        "speed": speed,
        "map": accuracy,
    }
    return sorted(models, key=keys[by])


def _table(models: Iterable[catalog.Model]) -> list[str]:
    rows = [_HEADS, *(_row(model) for model in models)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(_HEADS))]
    return [
        "  ".join(
            f"{cell:>{width}}" if head in _RIGHT else f"{cell:<{width}}"
            for cell, width, head in zip(row, widths, _HEADS, strict=True)
        ).rstrip()
        for row in rows
    ]


def _row(model: catalog.Model) -> tuple[str, ...]:
    known = model.published
    return (
        model.name,
        model.family,
        str(model.input_size),
        f"{known.speed_ms} ms" if known and known.speed_ms else "-",
        _accuracy(known),
        " + ".join(model.outputs) if model.base else "-",
        _weights_of(model, known),
    )


def _weights_of(model: catalog.Model, known: Archive | None) -> str:
    if known is None:
        return "included" if model.own_weights else "none"
    return "in the cache" if download.cached(known) else "zoo"


def _accuracy(known: Archive | None) -> str:
    if known is None:
        return "-"
    more = known.mask_map or known.keypoint_map
    if known.box_map is None:
        return f"- / {more:.1f}" if more else "-"
    return f"{known.box_map:.1f}" + (f" / {more:.1f}" if more else "")


def _described(model: catalog.Model) -> list[str]:
    also = ", ".join(name for name in model.names[1:])
    return [
        f"{model.name}: {model.title}",
        f"  {model.about}",
        *([f"  also called {also}"] if also else []),
    ]


def _legend(models: list[catalog.Model]) -> list[str]:
    count = f"{len(models)} of {len(catalog.MODELS)} models. "
    return [
        f"{count}INPUT: the longer side in pixels. SPEED and COCO mAP: what the zoo",
        "publishes, after a / for masks or keypoints. WEIGHTS: trained on COCO. --long shows more.",
        "Train:    tfod configure NAME --records FOLDER",
        "Weights:  add --pretrained, or first: tfod models download NAME",
    ]


def _facts(model: catalog.Model) -> dict[str, Any]:
    known = model.published
    folder = download.cached(known) if known else None
    return {
        "name": model.name,
        "aliases": list(model.aliases),
        "title": model.title,
        "family": model.family,
        "about": model.about,
        "input_size": model.input_size,
        "outputs": list(model.outputs) if model.base else [],
        "trainable": model.base is not None,
        "archive": model.archive,
        "url": download.addresses(known, None)[0] if known else None,
        "speed_ms": known.speed_ms if known else None,
        "coco_box_map": known.box_map if known else None,
        "coco_mask_map": known.mask_map if known else None,
        "coco_keypoint_map": known.keypoint_map if known else None,
        "cached": str(folder) if folder else None,
    }


def _names() -> set[str]:
    return {name for model in catalog.MODELS for name in model.names}
