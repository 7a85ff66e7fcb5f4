"""Detects objects in images and videos, draws them and lists them.

    model = detectors.load("work/run")
    for prediction in prediction.predict(model, [Path("a.jpg"), Path("b.jpg")]):
        ...

`predict` is for images in memory of the caller's program; `run.predict_files` is the whole of
`tfod predict`: files, videos and streams in, drawn files and documents out.
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
from tfod_kit.prediction.filters import Filters
from tfod_kit.prediction.inputs import Input
from tfod_kit.prediction.outputs import Prediction, as_json
from tfod_kit.prediction.pipeline import DetectOptions
from tfod_kit.prediction.tiles import Tiling
from tfod_kit.records.pixels import open_image

if TYPE_CHECKING:
    from PIL import Image

    from tfod_kit.detectors import Detector

__all__ = [
    "DetectOptions",
    "Filters",
    "Input",
    "Prediction",
    "Tiling",
    "as_json",
    "open_image",
    "predict",
    "save_drawn",
]

_DEFAULTS = DetectOptions()
_JPEG_QUALITY = 92


def predict(
    detector: "Detector",
    images: Iterable[Path | Input],
    options: DetectOptions = _DEFAULTS,
    *,
    drawn: Mapping[Path, Path] = MappingProxyType({}),
    colours: Mapping[str, visualize.Colour] = MappingProxyType({}),
) -> Iterator[Prediction | DataError]:
    """Yields the detections in each image, in order, or the error of an image that is unreadable.

    Args:
      detector: the model.
      images: files, and addresses to download from.
      options: filters, tiles, batches and concurrency.
      drawn: image path -> the file to draw it into with its objects; images without an entry are
        not drawn.
      colours: class name -> colour, as `visualize.palette` returns.
    """
    items = (item if isinstance(item, Input) else Input(item) for item in images)

    def finish(
        item: Input, image: "Image.Image | DataError", objects: tuple[ObjectAnnotation, ...]
    ) -> Prediction | DataError:
        if isinstance(image, DataError):
            return image
        row = Prediction(item.path, image.width, image.height, objects, item.url)
        if item.path in drawn:
            save_drawn(image, row, drawn[item.path], colours)
        return row

    yield from pipeline.detect(detector, items, _read, finish, options)


def save_drawn(
    image: "Image.Image",
    prediction: Prediction,
    path: Path,
    colours: Mapping[str, visualize.Colour] = MappingProxyType({}),
) -> None:
    """Writes the image with the objects drawn on it, as PNG or JPEG by the path's suffix."""
    format_name = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    with files.atomic_file(path) as stream:
        drawn = visualize.draw(image, prediction.objects, colours)
        drawn.save(stream, format_name, quality=_JPEG_QUALITY)


def _read(item: Input) -> "Image.Image | DataError":
    try:
        if item.url and not item.path.is_file():
            fetch.fetch(item.url, item.path)
        return open_image(item.path)
    except DataError as error:
        return error
