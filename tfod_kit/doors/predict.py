"""`tfod predict` and `tfod_kit.predict`: draws what a model detects, and lists it."""

import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfod_kit import prediction
from tfod_kit.doors import arguments, values
from tfod_kit.doors.arguments import Group, StrPath, option, positional
from tfod_kit.drawing import notebook
from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.formats import FORMATS
from tfod_kit.prediction import filters, inputs, outputs
from tfod_kit.prediction.session import Session, Settings

_JSON = "json"
_CHOICE = Group("which objects")
_OUTPUT = Group("what is written")
_VIDEOS = Group("videos")
_SHOWN = 6  # images in a notebook
_NAMED = 5  # unreadable files in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictArguments:
    """The arguments of `tfod predict`; each is explained by its help."""

    model: Path = positional("an exported model, or a run folder", parse=Path)
    images: tuple[str, ...] = positional(
        "images and videos: files, folders, patterns, http(s) addresses, rtsp streams, camera:0, "
        "or - for an image or a list on standard input",
        nargs="+",
        metavar="INPUT",
    )
    out: Path = option(Path("work/predictions"), "the folder for the results", parse=Path)
    label_map: Path | None = option(
        None, "class names, for a model without a label map", parse=Path
    )
    checkpoint: str | None = option(
        None, "a run's checkpoint: latest, best, a name or path (default: latest)"
    )
    batch_size: int = option(8, "images per call", parse=values.count)
    restart: bool = option(False, "detect again what an earlier run has done")
    min_score: float = option(0.5, "leave out lower scores", parse=values.share, group=_CHOICE)
    thresholds: tuple[str, ...] = option(
        (),
        "a class's own lowest score; or an evaluation's JSON, with each class's best; repeatable",
        repeat=True,
        metavar="CLASS=SCORE|FILE",
        group=_CHOICE,
    )
    classes: tuple[str, ...] = option(
        (), "only these classes", parse=values.names, metavar="A,B", group=_CHOICE
    )
    nms: float | None = option(
        None,
        "of two boxes that overlap more, keep the better",
        parse=values.share,
        metavar="IOU",
        group=_CHOICE,
    )
    nms_agnostic: bool = option(False, "with --nms: between classes, too", group=_CHOICE)
    tile: int | None = option(
        None,
        "detect in parts of large images, with this side",
        parse=values.count,
        metavar="PX",
        group=_CHOICE,
    )
    overlap: float = option(
        0.2, "the share of a tile that its neighbour covers too", parse=values.share, group=_CHOICE
    )
    no_draw: bool = option(False, "draw no images", group=_OUTPUT)
    save: tuple[str, ...] = option(
        ("json",),
        lambda: f"what to write beside report.json: {', '.join(_saved())}",
        parse=values.names,
        metavar="A,B",
        group=_OUTPUT,
    )
    link: bool = option(
        False, "data sets link to the images instead of copying them", group=_OUTPUT
    )
    track: bool = option(False, "follow each object, with a number", group=_VIDEOS)
    every: int = option(
        1, "look at every Nth frame", parse=values.count, metavar="N", group=_VIDEOS
    )
    max_frames: int | None = option(
        None,
        "stop after so many (of a camera, say)",
        parse=values.count,
        metavar="N",
        group=_VIDEOS,
    )


@dataclass(frozen=True, slots=True)
class Predicted:
    """What was detected, and what was written; it can be used as the path of the folder.

    Attributes:
      path: the folder.
      report: the counts.
      lowest: the lowest score that was kept.
      drawn: whether images were drawn.
      written: what was written: a title and a path each.
    """

    path: Path
    report: outputs.Report
    lowest: float
    drawn: bool
    written: tuple[tuple[str, Path], ...] = field(default=())

    @property
    def read_any(self) -> bool:
        """Whether at least one image or video could be read."""
        return bool(self.report.pictures or self.report.videos)

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        lines = [_counts(self.report, self.lowest)]
        if self.read_any:
            if self.drawn:
                lines.append(f"Images:      {self.path}")
            lines += [f"{title + ':':<13}{path}" for title, path in self.written]
        if self.report.unreadable:
            number = len(self.report.unreadable)
            lines.append(f"{number} could not be read: {_unreadable(self.report)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        drawn = sorted(self.path.glob("*.jpg")) if self.drawn else []
        images = [notebook.image(path.read_bytes(), path.name, "jpeg") for path in drawn[:_SHOWN]]
        return notebook.page([notebook.text(str(self)), *images])


def predict(model: StrPath, *images: StrPath, **options: object) -> Predicted:
    """Detects objects in images and videos, draws them and lists them.

    Args:
      model: an exported model or a run folder.
      images: files, folders, patterns, addresses, videos.
      options: those of `tfod predict`, such as out="found" or min_score=0.3.

    Raises:
      UsageError: an option is unknown or invalid, or there is nothing to look at.
      CheckpointError: the model cannot be loaded.
    """
    given = {"model": model, "images": images, **options}
    return run(arguments.build("predict", PredictArguments, given))


def run(arguments: PredictArguments) -> Predicted:
    """Detects as `tfod predict` with these arguments does."""
    _check_saved(arguments.save)
    settings = Settings(
        model=arguments.model,
        label_map=arguments.label_map,
        checkpoint=arguments.checkpoint,
        batch_size=arguments.batch_size,
        wanted=_filters(arguments),
        tiling=_tiling(arguments),
        draw=not arguments.no_draw,
        track=arguments.track,
        every=arguments.every,
        max_frames=arguments.max_frames,
        restart=arguments.restart,
    )
    found = inputs.find(arguments.images, arguments.out, sys.stdin.buffer)
    _refuse_overwrite(found, arguments.out)
    _refuse_frames(found, arguments.save)
    with warnings.catch_warnings(), Session(settings, found, arguments.out) as session:
        # Pillow warns of images that are large and yet allowed.
        warnings.filterwarnings("ignore", module="PIL")
        session.run()
        report = session.report
        readable = bool(report.pictures or report.videos)
        written = _save(session, arguments) if readable else ()
    return Predicted(arguments.out, report, settings.wanted.floor, settings.draw, written)


def _save(session: Session, arguments: PredictArguments) -> tuple[tuple[str, Path], ...]:
    written = [("Detections", session.save_json())] if _JSON in arguments.save else []
    written += [
        (name.upper(), session.save_data_set(name, link=arguments.link))
        for name in arguments.save
        if name != _JSON
    ]
    return (*written, ("Report", arguments.out / outputs.REPORT))


def _check_saved(names: Sequence[str]) -> None:
    known = _saved()
    for name in names:
        if name not in known:
            raise UsageError(
                f"There is no {name!r} to save.", where="--save", fix=did_you_mean(name, known)
            )


def _saved() -> tuple[str, ...]:
    """What can be saved: JSON, and every format that can be written."""
    return _JSON, *FORMATS.writable


def _filters(arguments: PredictArguments) -> prediction.Wanted:
    if arguments.nms_agnostic and arguments.nms is None:
        raise UsageError(
            "--nms_agnostic widens --nms, which is not given.", fix="Add --nms 0.5, for example."
        )
    return prediction.Wanted(
        arguments.min_score,
        filters.thresholds(list(arguments.thresholds)),
        frozenset(arguments.classes),
        arguments.nms,
        arguments.nms_agnostic,
    )


def _tiling(arguments: PredictArguments) -> prediction.Tiling | None:
    if arguments.tile is None:
        return None
    if arguments.tile < 32 or arguments.overlap > 0.9:
        raise UsageError(
            "Such tiles would be too many.",
            where=f"--tile {arguments.tile} --overlap {arguments.overlap}",
            expected="a side of 32 px or more, and an overlap of at most 0.9",
        )
    return prediction.Tiling(arguments.tile, arguments.overlap)


def _refuse_overwrite(found: Sequence[prediction.Input], out: Path) -> None:
    """Pictures are never drawn over: `--out` may not be where they lie."""
    for item in found:
        if item.path.resolve().parent == out.resolve():
            raise UsageError(
                "The results would be written over the pictures.",
                where=out,
                fix="Name another folder with --out.",
            )


def _refuse_frames(found: Sequence[prediction.Input], saved: Sequence[str]) -> None:
    """A data set holds pictures, and a video's frames are none."""
    videos = [item for item in found if isinstance(item, inputs.Video)]
    wished = [name for name in saved if name != _JSON]
    if videos and wished:
        raise UsageError(
            "A data set of pictures cannot hold a video.",
            where=videos[0].path,
            fix=f"Leave out the videos, or {', '.join(wished)} in --save; JSON holds both.",
        )


def _counts(report: outputs.Report, floor: float) -> str:
    """The counts as lines."""
    found = report.objects
    kinds = ", ".join(f"{number} {label}" for label, number in found.most_common())
    looked = [
        f"{number:,} {name}"
        for number, name in (
            (report.pictures, "pictures"),
            (report.videos, "videos"),
            (report.frames, "frames"),
        )
        if number or (name == "pictures" and not report.videos)
    ]
    lines = [f"{', '.join(looked)}: {found.total():,} objects ({kinds or 'none'})"]
    if report.tracks:
        lines.append(f"Followed:    {_counted(report.tracks)}")
    if report.pictures and found and report.without_objects:
        lines.append(f"             {report.without_objects:,} pictures without any")
    if not found:
        lines.append(f"Nothing scored {floor} or more: try --min_score 0.1, or train longer.")
    return "\n".join(lines)


def _counted(numbers: Counter[str]) -> str:
    return ", ".join(f"{number} {label}" for label, number in numbers.most_common())


def _unreadable(report: outputs.Report) -> str:
    names = [row["file"] for row in report.unreadable]
    left = len(names) - _NAMED
    more = f" and {left} more, in {outputs.REPORT}" if left > 0 else ""
    return ", ".join(names[:_NAMED]) + more
