"""Detects in the frames of a video, draws them into another video and lists them in JSON."""

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
from tfod_kit.prediction.frames import Frame
from tfod_kit.prediction.inputs import Video
from tfod_kit.prediction.outputs import Prediction
from tfod_kit.prediction.pipeline import DetectOptions, Objects
from tfod_kit.prediction.tracking import Tracked, Tracker

if TYPE_CHECKING:
    from PIL import Image

    from tfod_kit.detectors import Detector

FRAMES_SUFFIX = ".frames.json"

_DRAWN_AHEAD = 4


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """How to detect in a video.

    Attributes:
      detect: as for images.
      colours: class name -> colour.
      track: whether to track objects.
      every: detect in every Nth frame.
      max_frames: number of frames to detect in; None = all.
    """

    detect: DetectOptions
    colours: Mapping[str, visualize.Colour]
    track: bool = False
    every: int = 1
    max_frames: int | None = None


@dataclass(frozen=True, slots=True)
class _DetectedFrame:
    frame: Frame
    image: "Image.Image"
    prediction: Prediction


def detect(
    detector: "Detector", video: Video, options: VideoOptions, listed: Path, drawn: Path | None
) -> dict[str, Any]:
    """Detects in a video; in a camera or stream until it ends or is interrupted.

    A video that turns out to be damaged after its first frame is written up to there.

    Args:
      detector: the model.
      video: the file, camera or stream.
      options: how to detect.
      listed: the JSON file to write, with the detections of each frame.
      drawn: the MP4 to write; None = do not draw.

    Returns:
      The video's entry in detections.json: counts, and the file that lists its frames.

    Raises:
      DataError: no frame of it can be read.
      SetupError: a package is not installed.
    """
    if video.url and not video.path.is_file():
        fetch.fetch(video.url, video.path, video=True)
    with ExitStack() as stack:
        reader = stack.enter_context(frames.opened(video))
        rate = reader.rate / options.every
        tracker = Tracker(options.detect.filters, rate) if options.track else None
        output = _Output(stack, video, listed, drawn, rate)
        total = reader.total and -(-reader.total // options.every)
        total = min(filter(None, (total, options.max_frames)), default=None)
        bar = stack.enter_context(progress(f"detecting in {video.path.name}", total, "frames"))
        rows = _track(_detect(detector, reader, options, tracker), tracker)
        if drawn is not None:
            rows = _draw(rows, options.colours)
        broken = ""
        try:
            for detected in rows:
                output.add(detected)
                bar.advance()
        except KeyboardInterrupt:
            if video.live is None:
                raise
            bar.print("Stopped; the frames so far are written.")
        except DataError as error:
            if not output.frames:
                raise
            broken = str(error.found)
            bar.print(f"tfod: {error}")
        return output.finish(broken)


def _detect(
    detector: "Detector", reader: frames.Reader, options: VideoOptions, tracker: Tracker | None
) -> Iterator[tuple[Frame, "Image.Image", Objects]]:
    some = itertools.islice(reader, 0, None, options.every)
    detect_options = options.detect
    if tracker is not None:
        detect_options = replace(detect_options, filters=tracker.filters)
    return pipeline.detect(
        detector,
        itertools.islice(some, options.max_frames),
        Frame.image,
        _as_tuple,
        detect_options,
    )


def _as_tuple(frame: Frame, image: Any, objects: Objects) -> tuple[Frame, Any, Objects]:
    return frame, image, objects


def _track(
    rows: Iterator[tuple[Frame, "Image.Image", Objects]], tracker: Tracker | None
) -> Iterator[_DetectedFrame]:
    """The frames with their objects; with a tracker one frame later, when its tracks are known."""
    if tracker is None:
        for frame, image, objects in rows:
            yield _detected(frame, image, Tracked(objects, ()))
        return
    waiting: tuple[Frame, Image.Image, Tracked] | None = None
    try:
        for frame, image, objects in rows:
            tracked = tracker.update(objects, image.width, image.height)
            if waiting is not None:
                yield _detected(*waiting[:2], tracker.backdated(waiting[2], tracked))
            waiting = frame, image, tracked
    except DataError:  # the video is damaged from here on
        if waiting is not None:
            yield _detected(*waiting)
        raise
    if waiting is not None:
        yield _detected(*waiting)


def _detected(frame: Frame, image: "Image.Image", tracked: Tracked) -> _DetectedFrame:
    size = image.width, image.height
    row = Prediction(Path(), *size, tracked.objects, tracks=tracked.tracks)
    return _DetectedFrame(frame, image, row)


def _draw(
    rows: Iterator[_DetectedFrame], colours: Mapping[str, visualize.Colour]
) -> Iterator[_DetectedFrame]:
    """The frames with their objects drawn on them, in threads."""

    def draw(detected: _DetectedFrame) -> _DetectedFrame:
        objects, own_colours = _numbered(detected.prediction, colours)
        return replace(detected, image=visualize.draw(detected.image, objects, own_colours))

    with ThreadPoolExecutor(2, "draw") as pool:
        yield from pipeline.ordered(pool, draw, rows, _DRAWN_AHEAD)


def _numbered(
    prediction: Prediction, colours: Mapping[str, visualize.Colour]
) -> tuple[list[ObjectAnnotation], dict[str, visualize.Colour]]:
    """The objects with track numbers in their labels, in the colours of their classes."""
    tracks = prediction.tracks or (None,) * len(prediction.objects)
    objects, label_colours = [], dict(colours)
    for item, track in zip(prediction.objects, tracks, strict=True):
        label = item.label if track is None else f"{item.label} #{track}"
        label_colours[label] = colours.get(item.label) or visualize.colour(item.label)
        objects.append(replace(item, label=label))
    return objects, label_colours


class _Output:
    """The two files of a video, which appear once both are complete."""

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
        source = {"file": str(video.live)} if video.live else inputs.file_fields(video.path)
        head = msgspec.json.encode(source | {"rate": rate})
        self._json.write(head[:-1] + b',\n"frames": [')

    def add(self, detected: _DetectedFrame) -> None:
        """Writes a frame to both files."""
        frame, prediction = detected.frame, detected.prediction
        self._size = prediction.width, prediction.height
        line = {
            "frame": frame.index,
            "time": round(frame.time, 4),
            "detections": outputs.as_entry(prediction)["detections"],
        }
        self._json.write((b",\n" if self.frames else b"\n") + msgspec.json.encode(line))
        if self._writer is not None:
            self._writer.add(detected.image, frame.time)
        self.frames += 1
        self._objects.update(item.label for item in prediction.objects)
        for item, track in zip(prediction.objects, prediction.tracks, strict=False):
            if track is not None:
                self._tracks.setdefault(item.label, set()).add(track)

    def finish(self, broken: str) -> dict[str, Any]:
        """Completes both files; returns the video's entry."""
        if not self.frames:
            raise DataError("The video has no frames.", where=self._video.path, found="no frames")
        self._json.write(b"\n]}\n")
        if self._writer is not None:
            self._writer.close()
        return {
            **inputs.file_fields(self._video.path),
            "width": self._size[0],
            "height": self._size[1],
            "frames": self.frames,
            "objects": dict(self._objects),
            "tracks": {label: len(numbers) for label, numbers in self._tracks.items()},
            "listed": self._listed.name,
            **({"url": self._video.url} if self._video.url else {}),
            **({"broken_off": broken} if broken else {}),
        }
