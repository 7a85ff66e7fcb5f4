"""`tfod predict` and `tfod_kit.predict`: draws what a model detects, and lists it."""

import sys
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.doors import arguments, values
from tfod_kit.doors.arguments import Group, StrPath, local_name, local_path, option, positional
from tfod_kit.errors import UsageError
from tfod_kit.io.progress import announce
from tfod_kit.prediction.filters import Filters, parse_thresholds
from tfod_kit.prediction.run import OUT, PredictionSummary, predict_files, saveable
from tfod_kit.prediction.session import PredictOptions
from tfod_kit.prediction.tiles import Tiling

_DEFAULTS = PredictOptions()
_CHOICE = Group("which objects")
_OUTPUT = Group("what is written")
_VIDEOS = Group("videos")


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictArguments:
    """The arguments of `tfod predict`; each is explained by its help."""

    model: Path = positional("an exported model, or a run folder", parse=local_path)
    images: tuple[str, ...] = positional(
        "images and videos: files, folders, patterns, http(s) addresses, rtsp streams, camera:0, "
        "or - for an image or a list on standard input",
        nargs="+",
        metavar="INPUT",
    )
    out: Path = option(OUT, "the folder for the results", parse=local_path)
    label_map: Path | None = option(
        None, "class names, for a model without a label map", parse=local_path
    )
    checkpoint: str | None = option(
        None, "a run's checkpoint: latest, best, a name or path (default: latest)", parse=local_name
    )
    batch_size: int = option(_DEFAULTS.batch_size, "images per call", parse=values.count)
    restart: bool = option(False, "detect again what an earlier run has done")
    min_score: float = option(
        _DEFAULTS.filters.min_score, "leave out lower scores", parse=values.share, group=_CHOICE
    )
    thresholds: tuple[str, ...] = option(
        (),
        "the lowest score of a class; or the JSON of an evaluation, for the best threshold of each "
        "class; repeatable",
        repeat=True,
        metavar="CLASS=SCORE|FILE",
        group=_CHOICE,
    )
    classes: tuple[str, ...] = option(
        (), "only these classes", parse=values.names, metavar="A,B", group=_CHOICE
    )
    nms: float | None = option(
        None,
        "of two boxes that overlap more, keep the higher-scoring",
        parse=values.share,
        metavar="IOU",
        group=_CHOICE,
    )
    nms_agnostic: bool = option(False, "with --nms: also between classes", group=_CHOICE)
    tile: int | None = option(
        None,
        "also detect in tiles of large images, of this side",
        parse=values.count,
        metavar="PX",
        group=_CHOICE,
    )
    overlap: float = option(
        0.2, "the share of a tile that its neighbour covers too", parse=values.share, group=_CHOICE
    )
    no_full_image: bool = option(
        False,
        "with --tile: detect in the tiles alone, not in the whole image too",
        group=_CHOICE,
    )
    no_draw: bool = option(False, "do not draw images", group=_OUTPUT)
    save: tuple[str, ...] = option(
        _DEFAULTS.save,
        lambda: f"what to write besides report.json: {', '.join(saveable())}",
        parse=values.names,
        metavar="A,B",
        group=_OUTPUT,
    )
    link: bool = option(
        False, "data sets link to the images instead of copying them", group=_OUTPUT
    )
    track: bool = option(False, "track each object, with a number", group=_VIDEOS)
    every: int = option(
        1, "detect in every Nth frame", parse=values.count, metavar="N", group=_VIDEOS
    )
    max_frames: int | None = option(
        None,
        "stop after N frames",
        parse=values.count,
        metavar="N",
        group=_VIDEOS,
    )


def predict(model: StrPath, *images: StrPath, **options: object) -> PredictionSummary:
    """Detects objects in images and videos, draws them and lists them.

    Args:
      model: an exported model or a run folder.
      images: files, folders, patterns, addresses, videos.
      options: those of `tfod predict`, such as out="found" or min_score=0.3.

    Raises:
      UsageError: an option is unknown or invalid, or there are no images.
      CheckpointError: the model cannot be loaded.
    """
    given = {"model": model, "images": images, **options}
    return run(arguments.build("predict", PredictArguments, given))


def run(arguments: PredictArguments) -> PredictionSummary:
    """Detects as `tfod predict` with these arguments does."""
    options = PredictOptions(
        label_map=arguments.label_map,
        checkpoint=arguments.checkpoint,
        batch_size=arguments.batch_size,
        restart=arguments.restart,
        filters=Filters(
            arguments.min_score,
            parse_thresholds(arguments.thresholds),
            frozenset(arguments.classes),
            arguments.nms,
            arguments.nms_agnostic,
        ),
        tiling=_tiling(arguments),
        draw=not arguments.no_draw,
        save=arguments.save,
        link=arguments.link,
        track=arguments.track,
        every=arguments.every,
        max_frames=arguments.max_frames,
    )
    return predict_files(
        arguments.model,
        arguments.images,
        arguments.out,
        options,
        log=announce,
        stdin=sys.stdin.buffer,
    )


def _tiling(arguments: PredictArguments) -> Tiling | None:
    if arguments.tile is not None:
        return Tiling(arguments.tile, arguments.overlap, not arguments.no_full_image)
    if arguments.no_full_image:
        raise UsageError(
            "--no_full_image detects in tiles alone, and there are none.",
            fix="Add --tile 640, for example.",
        )
    return None
