"""Detects in the frames of a video: draws them into another and lists them, frame by frame."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.drawing import visualize
from tfod_kit.errors import DataError
from tfod_kit.io import files
from tfod_kit.io.progress import progress
from tfod_kit.prediction import fetch, frames, inputs, outputs, pipeline
from tfod_kit.prediction.filters import Wanted
from tfod_kit.prediction.frames import Frame
from tfod_kit.prediction.inputs import Video
from tfod_kit.prediction.outputs import Prediction
from tfod_kit.prediction.pipeline import Objects
from tfod_kit.prediction.tiles import Tiling
from tfod_kit.prediction.tracking import Tracker

if TYPE_CHECKING:
    from PIL import Image

    from tfod_kit.detectors import Detector

ENDING = ".frames.json"

_DRAWN_AHEAD = 4


@dataclass(frozen=True, slots=True)
class Look:
    """How a video is looked at.

    Attributes:
      detector, wanted, tiling, batch_size, lanes: as for pictures.
      colours: class name -> colour.
      track: whether objects are followed.
      every: look at every Nth frame.
      most: stop after so many frames looked at; None goes on to the end.
    """

    detector: "Detector"
    wanted: Wanted
    tiling: Tiling | None
    batch_size: int
    lanes: int
    colours: Mapping[str, visualize.Colour]
    track: bool = False
    every: int = 1
    most: int | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    frame: Frame
    picture: "Image.Image"
    row: Prediction


def look(video: Video, how: Look, listed: Path, drawn: Path | None) -> dict[str, Any]:
    """Looks at a video; a camera or stream until it ends or is interrupted.

    Args:
      video: the file, camera or stream.
      how: the options.
      listed: the JSON file to write, with the detections of each frame.
      drawn: the MP4 to write; None for none.

    Returns:
      the video's part of detections.json: counts, and where its frames are listed.

    Raises:
      DataError: it cannot be read, or breaks off; what came before is written then all the same
        when it was a frame at least.
      SetupError: a package is absent.
    """
    if video.url and not video.path.is_file():
        fetch.fetch(video.url, video.path, video=True)
    with ExitStack() as stack:
        reader = stack.enter_context(frames.opened(video))
        rate = reader.rate / how.every
        tracker = Tracker(how.wanted, rate) if how.track else None
        output = _Output(stack, video, listed, drawn, rate)
        total = reader.total and -(-reader.total // how.every)
        total = min(filter(None, (total, how.most)), default=None)
        bar = stack.enter_context(progress(f"detecting in {video.path.name}", total, "frames"))
        rows = _drawn(
            _followed(_found(video, reader, how, tracker), tracker), how, drawn is not None
        )
        broken = ""
        try:
            for seen in rows:
                output.add(seen)
                bar.advance()
        except KeyboardInterrupt:
            if video.live is None:
                raise
            bar.print("Stopped; what was seen is written.")
        except DataError as error:
            if not output.frames:
                raise
            broken = str(error.found)
            bar.print(f"tfod: {error}")
        return output.finished(broken)


def _found(
    video: Video, reader: frames.Reader, how: Look, tracker: Tracker | None
) -> Iterator[tuple[Frame, "Image.Image", Objects]]:
    some = itertools.islice(reader, 0, None, how.every)
    return pipeline.detected(
        how.detector,
        itertools.islice(some, how.most),
        Frame.picture,
        _as_tuple,
        wanted=how.wanted if tracker is None else tracker.wanted,
        tiling=how.tiling,
        batch_size=how.batch_size,
        lanes=how.lanes,
    )


def _as_tuple(frame: Frame, picture: Any, objects: Objects) -> tuple[Frame, Any, Objects]:
    return frame, picture, objects


def _followed(
    rows: Iterator[tuple[Frame, "Image.Image", Objects]], tracker: Tracker | None
) -> Iterator[_Seen]:
    for frame, picture, objects in rows:
        tracks: tuple[int | None, ...] = ()
        if tracker is not None:
            objects, tracks = tracker.follow(objects, picture.width, picture.height)
        row = Prediction(Path(), picture.width, picture.height, objects, tracks=tracks)
        yield _Seen(frame, picture, row)


def _drawn(rows: Iterator[_Seen], how: Look, wished: bool) -> Iterator[_Seen]:
    """The frames with their objects on them, drawn in threads."""
    if not wished:
        yield from rows
        return

    def paint(seen: _Seen) -> _Seen:
        objects, colours = _numbered(seen.row, how.colours)
        return replace(seen, picture=visualize.draw(seen.picture, objects, colours))

    with ThreadPoolExecutor(2, "draw") as pool:
        yield from pipeline.ordered(pool, paint, rows, _DRAWN_AHEAD)


def _numbered(
    row: Prediction, colours: Mapping[str, visualize.Colour]
) -> tuple[list[ObjectAnnotation], dict[str, visualize.Colour]]:
    """The objects with their numbers in their names, in their classes' colours."""
    tracks = row.tracks or (None,) * len(row.objects)
    named, own = [], dict(colours)
    for item, track in zip(row.objects, tracks, strict=True):
        label = item.label if track is None else f"{item.label} #{track}"
        own[label] = colours.get(item.label) or visualize.colour(item.label)
        named.append(replace(item, label=label))
    return named, own


class _Output:
    """The two files of a video, which appear when both are whole."""

    def __init__(
        self, stack: ExitStack, video: Video, listed: Path, drawn: Path | None, rate: float
    ) -> None:
        self.frames = 0
        self._video = video
        self._listed = listed
        self._objects: Counter[str] = Counter()
        self._tracks: dict[str, set[int]] = {}
        self._size = (0, 0)
        self._json: IO[bytes] = stack.enter_context(files.atomic_file(listed))
        self._writer: frames.Writer | None = None
        if drawn is not None:
            self._writer = frames.Writer(stack.enter_context(files.atomic_file(drawn)), rate)
        source = {"file": str(video.live)} if video.live else inputs.named(video.path)
        head = msgspec.json.encode(source | {"rate": rate})
        self._json.write(head[:-1] + b',\n"frames": [')

    def add(self, seen: _Seen) -> None:
        self._size = seen.row.width, seen.row.height
        found = outputs.as_entry(seen.row)["detections"]
        line = {"frame": seen.frame.place, "time": round(seen.frame.time, 4), "detections": found}
        self._json.write((b",\n" if self.frames else b"\n") + msgspec.json.encode(line))
        if self._writer is not None:
            self._writer.add(seen.picture, seen.frame.time)
        self.frames += 1
        self._objects.update(item.label for item in seen.row.objects)
        for item, track in zip(seen.row.objects, seen.row.tracks, strict=False):
            if track is not None:
                self._tracks.setdefault(item.label, set()).add(track)

    def finished(self, broken: str) -> dict[str, Any]:
        """Ends both files; the video's entry."""
        if not self.frames:
            raise DataError("The video has no frames.", where=self._video.path, found="no frames")
        self._json.write(b"\n]}\n")
        if self._writer is not None:
            self._writer.close()
        return {
            **inputs.named(self._video.path),
            "width": self._size[0],
            "height": self._size[1],
            "frames": self.frames,
            "objects": dict(self._objects),
            "tracks": {label: len(numbers) for label, numbers in self._tracks.items()},
            "listed": self._listed.name,
            **({"url": self._video.url} if self._video.url else {}),
            **({"broken_off": broken} if broken else {}),
        }
