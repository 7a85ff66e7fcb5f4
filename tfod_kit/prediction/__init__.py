"""Detects objects in pictures and videos: draws them and lists them.

from tfod_kit import prediction
from tfod_kit import detectors

model = detectors.load(Path("work/run"))
for found in prediction.predict(model, [Path("a.jpg"), Path("b.jpg")]):
    ...
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.drawing import visualize
from tfod_kit.errors import DataError
from tfod_kit.io import files
from tfod_kit.prediction import fetch, pipeline
from tfod_kit.prediction.filters import Wanted
from tfod_kit.prediction.inputs import Input
from tfod_kit.prediction.outputs import Prediction, as_json
from tfod_kit.prediction.tiles import Tiling
from tfod_kit.records.pixels import open_image

if TYPE_CHECKING:
    from PIL import Image

    from tfod_kit.detectors import Detector

__all__ = [
    "Input",
    "Prediction",
    "Tiling",
    "Wanted",
    "as_json",
    "open_image",
    "predict",
    "save_drawn",
]

EVERYTHING_LIKELY = Wanted()

_QUALITY = 92  # of a drawn JPEG


def predict(
    detector: "Detector",
    pictures: Iterable[Path | Input],
    *,
    wanted: Wanted = EVERYTHING_LIKELY,
    tiling: Tiling | None = None,
    batch_size: int = 8,
    lanes: int = 1,
    drawn: Mapping[Path, Path] = MappingProxyType({}),
    colours: Mapping[str, visualize.Colour] = MappingProxyType({}),
) -> Iterator[Prediction | DataError]:
    """Yields, in the order of the pictures, what was found in each, or why it was not read.

    Args:
      detector: gives the detections.
      pictures: files, and addresses to be fetched.
      wanted: which objects are kept.
      tiling: how large pictures are cut into parts; None shows them whole.
      batch_size: pictures handed to the detector at once.
      lanes: calls of the detector at the same time, where it allows that.
      drawn: a picture's path -> the file to draw it into with its objects; absent ones are not
        drawn.
      colours: class name -> colour, such as `visualize.palette` gives.
    """
    items = (item if isinstance(item, Input) else Input(item) for item in pictures)

    def finish(
        item: Input, picture: "Image.Image | DataError", objects: tuple[ObjectAnnotation, ...]
    ) -> Prediction | DataError:
        if isinstance(picture, DataError):
            return picture
        row = Prediction(item.path, picture.width, picture.height, objects, item.url)
        if item.path in drawn:
            save_drawn(picture, row, drawn[item.path], colours)
        return row

    yield from pipeline.detected(
        detector,
        items,
        _read,
        finish,
        wanted=wanted,
        tiling=tiling,
        batch_size=batch_size,
        lanes=lanes,
    )


def save_drawn(
    picture: "Image.Image",
    prediction: Prediction,
    path: Path,
    colours: Mapping[str, visualize.Colour] = MappingProxyType({}),
) -> None:
    """Writes the picture with the objects drawn on it; JPEG or PNG by the path's ending."""
    kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    with files.atomic_file(path) as stream:
        visualize.draw(picture, prediction.objects, colours).save(stream, kind, quality=_QUALITY)


def _read(item: Input) -> "Image.Image | DataError":
    try:
        if item.url and not item.path.is_file():
            fetch.fetch(item.url, item.path)
        return open_image(item.path)
    except DataError as error:
        return error
