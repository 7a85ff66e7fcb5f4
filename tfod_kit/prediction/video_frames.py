"""The frames of videos as image files with their detections, for data sets."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tfod_kit.errors import DataError
from tfod_kit.io import files
from tfod_kit.prediction import frames, inputs
from tfod_kit.prediction.inputs import Video

_JPEG_QUALITY = 95


class _ListedFrame(msgspec.Struct):
    frame: int
    detections: list[dict[str, Any]]


class _Listed(msgspec.Struct):
    frames: list[_ListedFrame]


def extract(video: Video, listed: Path, name: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Writes the frames of a video that were detected in as JPEG; yields an entry for each.

    The entries are those that detections.json has of images.

    Args:
      video: the file.
      listed: the JSON with the detections in its frames.
      name: the beginning of the frames' file names; their index in the video follows.
      folder: the folder to write to.

    Raises:
      DataError: `listed` is damaged, or the video cannot be read any more.
    """
    detections = _detections(listed)
    remaining = len(detections)
    with frames.opened(video) as reader:
        for frame in reader:
            if frame.index not in detections:
                continue
            image = frame.image()
            path = folder / f"{name}-{frame.index:06}.jpg"
            with files.atomic_file(path) as stream:
                image.save(stream, "JPEG", quality=_JPEG_QUALITY)
            size = {"width": image.width, "height": image.height}
            yield inputs.file_fields(path) | size | {"detections": detections[frame.index]}
            remaining -= 1
            if not remaining:  # what follows was not detected in, and may be damaged
                return


def _detections(listed: Path) -> Mapping[int, list[dict[str, Any]]]:
    try:
        content = msgspec.json.decode(files.read_bytes(listed), type=_Listed)
    except (OSError, ValueError) as error:
        raise DataError(
            "The detections in a video cannot be read.",
            where=listed,
            found=str(error),
            fix="Detect again with --restart.",
        ) from error
    return {each.frame: each.detections for each in content.frames}
