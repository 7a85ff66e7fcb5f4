"""`tfod predict MODEL PICTURES...`: draws what a model finds, and lists it."""

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tfod_kit import prediction
from tfod_kit.cli.shared import count, share
from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.formats import FORMATS
from tfod_kit.prediction import filters as choosing
from tfod_kit.prediction import inputs, outputs
from tfod_kit.prediction.session import Session, Settings

_JSON = "json"


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="an exported model, or a run folder")
    parser.add_argument(
        "pictures",
        nargs="+",
        metavar="INPUT",
        help="pictures and videos: files, folders, patterns, http(s) addresses, rtsp streams, "
        "camera:0, or - for a picture or a list on standard input",
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("work/predictions"), help="the folder for the results")
    add("--label_map", type=Path, help="class names, where the model brings none")
    add("--checkpoint", help="a run's checkpoint: latest, best, a name or path (default: latest)")
    add("--batch_size", type=count, default=8, help="pictures detected at once")
    add("--restart", action="store_true", help="detect again what an earlier run has done")
    _add_choice(parser.add_argument_group("which objects"))
    _add_output(parser.add_argument_group("what is written"))
    group = parser.add_argument_group("videos")
    group.add_argument("--track", action="store_true", help="follow each object, with a number")
    group.add_argument(
        "--every", type=count, default=1, metavar="N", help="look at every Nth frame"
    )
    group.add_argument(
        "--max_frames", type=count, metavar="N", help="stop after so many (of a camera, say)"
    )


def _add_choice(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add("--min_score", type=share, default=0.5, help="leave out scores below")
    add(
        "--thresholds",
        action="append",
        default=[],
        metavar="CLASS=SCORE|FILE",
        help="a class's own least score; or an evaluation's JSON, with each class's best; "
        "repeatable",
    )
    add("--classes", metavar="A,B", help="these classes alone")
    add("--nms", type=share, metavar="IOU", help="of two that overlap more, keep the better")
    add("--nms_agnostic", action="store_true", help="with --nms: between classes, too")
    add("--tile", type=count, metavar="PX", help="look at large pictures in parts of this side")
    add("--overlap", type=share, default=0.2, help="the share of a tile its neighbour has too")


def _add_output(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add("--no_draw", action="store_true", help="draw no pictures")
    add(
        "--save",
        default=_JSON,
        metavar="A,B",
        help=f"what to write beside report.json: {', '.join((_JSON, *FORMATS.writable))}",
    )
    add("--link", action="store_true", help="data sets link to the pictures, copy none")


def run(args: argparse.Namespace) -> int:
    saved = _saved(args.save)
    tiling = _tiling(args)
    settings = Settings(
        model=args.model,
        label_map=args.label_map,
        checkpoint=args.checkpoint,
        batch_size=args.batch_size,
        wanted=_wanted(args),
        tiling=tiling,
        draw=not args.no_draw,
        track=args.track,
        every=args.every,
        max_frames=args.max_frames,
        restart=args.restart,
    )
    found = inputs.find(args.pictures, args.out, sys.stdin.buffer)
    _refuse_overwrite(found, args.out)
    _refuse_frames(found, saved)
    # Pillow warns of pictures that are large and yet allowed.
    warnings.filterwarnings("ignore", module="PIL")
    with Session(settings, found, args.out) as session:
        session.run()
        print(_told(session.report, settings.wanted.floor))
        if not session.report.pictures and not session.report.videos:
            print("tfod: none of them could be read.", file=sys.stderr)
            return 1
        if settings.draw:
            print(f"Pictures:    {args.out}")
        _save(session, saved, args)
    if session.report.unreadable:
        print(f"{len(session.report.unreadable)} could not be read: {_names(session)}", flush=True)
    return 0


def _save(session: Session, saved: Sequence[str], args: argparse.Namespace) -> None:
    if _JSON in saved:
        print(f"Detections:  {session.save_json()}")
    for name in saved:
        if name != _JSON:
            print(f"{name.upper() + ':':<13}{session.save_data_set(name, link=args.link)}")
    print(f"Report:      {args.out / outputs.REPORT}")


def _saved(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    choices = (_JSON, *FORMATS.writable)
    for name in names:
        if name not in choices:
            raise UsageError(
                f"There is no {name!r} to save.", where="--save", fix=did_you_mean(name, choices)
            )
    return names


def _wanted(args: argparse.Namespace) -> prediction.Wanted:
    if args.nms_agnostic and args.nms is None:
        raise UsageError(
            "--nms_agnostic widens --nms, which is not given.", fix="Add --nms 0.5, say."
        )
    classes = {name.strip() for name in (args.classes or "").split(",") if name.strip()}
    return prediction.Wanted(
        args.min_score,
        choosing.thresholds(args.thresholds),
        frozenset(classes),
        args.nms,
        args.nms_agnostic,
    )


def _tiling(args: argparse.Namespace) -> prediction.Tiling | None:
    if args.tile is None:
        return None
    if args.tile < 32 or args.overlap > 0.9:
        raise UsageError(
            "Such tiles would be too many.",
            where=f"--tile {args.tile} --overlap {args.overlap}",
            expected="a side of 32 px or more, and an overlap of at most 0.9",
        )
    return prediction.Tiling(args.tile, args.overlap)


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


def _told(report: outputs.Report, floor: float) -> str:
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


def _names(session: Session) -> str:
    unread = [row["file"] for row in session.report.unreadable]
    more = f" and {len(unread) - 5} more, in {outputs.REPORT}" if len(unread) > 5 else ""
    return ", ".join(unread[:5]) + more
