"""`tfod predict MODEL PICTURES...`: draws what a model finds, and lists it as JSON."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from tfod_kit import files, predict, visualize
from tfod_kit.cli.shared import count, share
from tfod_kit.errors import DataError, UsageError
from tfod_kit.progress import progress


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="an exported model, or a run folder")
    parser.add_argument("pictures", type=Path, nargs="+", help="picture files and folders")
    parser.add_argument(
        "--out", type=Path, default=Path("work/predictions"), help="the folder for the results"
    )
    parser.add_argument("--min_score", type=share, default=0.5, help="leave out scores below")
    parser.add_argument("--batch_size", type=count, default=8, help="pictures detected at once")
    parser.add_argument("--label_map", type=Path, help="class names, where the model brings none")
    parser.add_argument(
        "--checkpoint", type=Path, help="a run's checkpoint to use (default: its newest)"
    )


def run(args: argparse.Namespace) -> int:
    paths = predict.find_images(args.pictures)
    _refuse_overwrite(paths, args.out)
    print(f"Loading {args.model}", flush=True)
    from tfod_kit.engine import detector as detectors

    detector = detectors.load(args.model, label_map=args.label_map, checkpoint=args.checkpoint)
    done: list[predict.Prediction] = []
    unread: list[DataError] = []
    names = iter(predict.drawn_names(paths))
    colours = visualize.palette(detector.label_map or ())
    with progress("detecting", len(paths), "pictures") as bar:
        for item in predict.predict(
            detector, paths, min_score=args.min_score, batch_size=args.batch_size
        ):
            name = next(names)
            if isinstance(item, DataError):
                unread.append(item)
                bar.say(f"tfod: {item}")
            else:
                done.append(item[0])
                predict.save_drawn(item[1], item[0], args.out / name, colours)
            bar.advance()
    if not done:
        raise UsageError(
            "None of the pictures could be read.", where=", ".join(map(str, args.pictures))
        )
    results = args.out / predict.RESULTS
    files.write_text(results, predict.as_json(str(detector.source), done, unread))
    _summarise(done, unread, args.min_score)
    print(f"Pictures:    {args.out}")
    print(f"Detections:  {results}")
    return 1 if unread else 0


def _refuse_overwrite(paths: list[Path], out: Path) -> None:
    """Pictures are never drawn over: `--out` may not be where they lie."""
    for path in paths:
        if path.resolve().parent == out.resolve():
            raise UsageError(
                "The results would be written over the pictures.",
                where=out,
                fix="Name another folder with --out.",
            )


def _summarise(done: list[predict.Prediction], unread: list[DataError], min_score: float) -> None:
    found = Counter(item.label for row in done for item in row.objects)
    kinds = ", ".join(f"{number} {label}" for label, number in found.most_common())
    print(f"{len(done)} pictures: {sum(found.values())} objects ({kinds or 'none'})")
    if not found:
        print(f"Nothing scored {min_score} or more: try --min_score 0.1, or train longer.")
    if unread:
        print(f"{len(unread)} pictures could not be read", file=sys.stderr)
