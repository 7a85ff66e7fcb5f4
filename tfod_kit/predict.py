"""Detects objects in picture files: draws them and lists them as JSON."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tfod_kit import boxes, files, visualize
from tfod_kit.annotations import ObjectAnnotation
from tfod_kit.errors import DataError, UsageError

if TYPE_CHECKING:
    from PIL import Image

    from tfod_kit.engine.detector import Detector

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
RESULTS = "detections.json"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was found in one picture: its file, its size in px, and the objects, best first."""

    path: Path
    width: int
    height: int
    objects: tuple[ObjectAnnotation, ...]


def find_images(paths: Iterable[Path]) -> list[Path]:
    """The picture files meant by files and folders (searched to any depth), each once, sorted
    within a folder.

    Raises:
      UsageError: a path does not exist, or no picture is among them.
    """
    given = list(paths)
    found: dict[Path, None] = {}
    for path in given:
        if path.is_dir():
            inside = (file for file in path.rglob("*") if file.suffix.lower() in EXTENSIONS)
            found |= dict.fromkeys(sorted(file for file in inside if file.is_file()))
        elif path.is_file():
            found[path] = None
        else:
            raise UsageError(
                "The picture or folder does not exist.", where=path, fix="Check the path."
            )
    if not found:
        raise UsageError(
            "There are no pictures to look at.",
            where=", ".join(map(str, given)),
            expected=f"files that end in {', '.join(sorted(EXTENSIONS))}",
            fix="Name picture files, or a folder that holds some.",
        )
    return list(found)


def open_image(path: Path) -> "Image.Image":
    """The picture, upright (EXIF orientation applied) and in RGB.

    Raises:
      DataError: it is not a picture, is cut short, or is absurdly large.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            "This is not a picture that can be read.",
            where=path,
            found=str(error),
            fix="Open it in a viewer; save it anew as JPEG or PNG, or leave it out.",
        ) from error


def predict(
    detector: "Detector", paths: Sequence[Path], *, min_score: float = 0.5, batch_size: int = 8
) -> Iterator[tuple[Prediction, "Image.Image"] | DataError]:
    """Yields, in the order of the paths, what was found and the picture, or why it was not read.

    Args:
      detector: gives the detections.
      paths: the picture files.
      min_score: objects below this score are left out; in [0, 1].
      batch_size: pictures read and handed to the detector at once.
    """
    for start in range(0, len(paths), batch_size):
        read = [_read(path) for path in paths[start : start + batch_size]]
        yield from _detected(detector, read, paths[start:], min_score)


def as_json(source: str, predictions: Sequence[Prediction], unread: Sequence[DataError]) -> str:
    """The detections as JSON: for each picture its file, size and objects.

    A box is given both in [0, 1] (ymin, xmin, ymax, xmax) and in whole pixels (xmin, ymin, xmax,
    ymax), since half of all readers want the one and half the other.
    """
    document = {
        "model": source,
        "images": [
            {
                "file": str(row.path),
                "width": row.width,
                "height": row.height,
                "detections": [_as_dict(item, row) for item in row.objects],
            }
            for row in predictions
        ],
        "unreadable": [{"file": str(error.where), "reason": str(error.found)} for error in unread],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def save_drawn(
    picture: "Image.Image",
    prediction: Prediction,
    path: Path,
    colours: Mapping[str, visualize.Colour] = MappingProxyType({}),
) -> None:
    """Writes the picture with the objects drawn on it; JPEG or PNG by the path's ending."""
    kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    with files.atomic_file(path) as stream:
        visualize.draw(picture, prediction.objects, colours).save(stream, kind, quality=92)


def drawn_names(paths: Sequence[Path]) -> list[str]:
    """A file name for each drawn picture: its own, numbered where two folders hold the same."""
    taken: dict[str, None] = {}
    for path in paths:
        ending = ".png" if path.suffix.lower() in {".png", ".gif"} else ".jpg"
        candidates = itertools.chain([path.stem], (f"{path.stem}-{n}" for n in itertools.count(2)))
        taken[next(name for each in candidates if (name := each + ending) not in taken)] = None
    return list(taken)


def _read(path: Path) -> "Image.Image | DataError":
    try:
        return open_image(path)
    except DataError as error:
        return error


def _detected(
    detector: "Detector",
    read: Sequence["Image.Image | DataError"],
    paths: Sequence[Path],
    min_score: float,
) -> Iterator[tuple[Prediction, "Image.Image"] | DataError]:
    import numpy as np

    pictures = [item for item in read if not isinstance(item, DataError)]
    found = iter(detector.detect([np.asarray(picture) for picture in pictures]))
    for path, item in zip(paths, read, strict=False):
        if isinstance(item, DataError):
            yield item
            continue
        sure = tuple(each for each in next(found) if (each.score or 0.0) >= min_score)
        yield Prediction(path, item.width, item.height, sure), item


def _as_dict(item: ObjectAnnotation, row: Prediction) -> dict[str, Any]:
    corners = boxes.to_pixels(boxes.clip(item.box), width=row.width, height=row.height)
    return {
        "label": item.label,
        "score": round(item.score or 0.0, 6),
        "box": [item.box.ymin, item.box.xmin, item.box.ymax, item.box.xmax],
        "pixels": [round(edge) for edge in corners],
    }
