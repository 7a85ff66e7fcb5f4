"""Frames of video files, streams and cameras, and videos of drawn frames."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tfod_kit.errors import DataError, SetupError
from tfod_kit.prediction.inputs import Video

if TYPE_CHECKING:
    from PIL import Image

_CLOCK = 90_000  # ticks per second of the videos written, as in MPEG
_DEFAULT_RATE = 25.0  # frames per second of a source that states none
_MAX_RATE = 240.0
_STREAM_S = (10.0, 10.0)  # to open a stream, and to wait for its next packet


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its index from 0, its time in s, and what holds its pixels."""

    index: int
    time: float
    pixels: Any

    def image(self) -> "Image.Image":
        """The frame upright: rotated as the file states."""
        if hasattr(self.pixels, "to_image"):
            rotation = -round(getattr(self.pixels, "rotation", 0)) % 360
            image: Image.Image = self.pixels.to_image()
            return image.rotate(-rotation, expand=True) if rotation else image
        from PIL import Image as pil

        return pil.fromarray(self.pixels[..., ::-1])  # of a camera: OpenCV's order is BGR


@dataclass(frozen=True, slots=True)
class Reader:
    """An open video.

    Attributes:
      rate: frames per second.
      total: the number of frames that the source states; None if unknown.
    """

    rate: float
    total: int | None
    _frames: Iterator[Frame]

    def __iter__(self) -> Iterator[Frame]:
        return self._frames


@contextmanager
def opened(video: Video) -> Iterator[Reader]:
    """Opens a file, stream or camera.

    Raises:
      DataError: it is not a video, or there is no such camera; while reading: it is damaged.
      SetupError: PyAV is not installed, or for a camera, OpenCV.
    """
    if isinstance(video.live, int):
        with _camera(video.live) as reader:
            yield reader
        return
    av = _av()
    source = video.live or str(video.path)
    try:
        container = av.open(source, timeout=_STREAM_S if video.live else None)
    except (av.FFmpegError, OSError) as error:
        raise _unreadable(source, error) from error
    with container:
        if not container.streams.video:
            raise _unreadable(source, "no video track")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        rate = float(stream.average_rate or stream.guessed_rate or _DEFAULT_RATE)
        total = None if video.live else (stream.frames or _estimated(container, rate))
        decoded = _decoded(av, container, stream, source, rate)
        yield Reader(min(rate, _MAX_RATE), total, decoded)


def _decoded(av: Any, container: Any, stream: Any, source: str, rate: float) -> Iterator[Frame]:
    try:
        for index, frame in enumerate(container.decode(stream)):
            yield Frame(index, index / rate if frame.time is None else frame.time, frame)
    except av.FFmpegError as error:
        raise _unreadable(source, error) from error


@contextmanager
def _camera(number: int) -> Iterator[Reader]:
    cv2 = _opencv()  # FFmpeg as PyAV ships it has no camera drivers
    capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise _unreadable(
                f"camera:{number}", "there is no such camera, or another program uses it"
            )
        rate = capture.get(cv2.CAP_PROP_FPS) or _DEFAULT_RATE
        yield Reader(min(rate, _MAX_RATE), None, _captured(capture, rate))
    finally:
        capture.release()


def _captured(capture: Any, rate: float) -> Iterator[Frame]:
    for index in itertools.count():
        success, pixels = capture.read()
        if not success:
            return
        yield Frame(index, index / rate, pixels)


class Writer:
    """Writes an MP4 that every browser plays: H.264, with the frames' own times, without sound."""

    def __init__(self, stream: IO[bytes], rate: float) -> None:
        self._av = _av()
        self._container = self._av.open(stream, "w", format="mp4")
        self._rate = Fraction(rate).limit_denominator(1001)
        self._track: Any = None
        self._last = -1

    def add(self, image: "Image.Image", time: float) -> None:
        """Adds a frame; frames are cropped to the size of the first."""
        if self._track is None:
            self._track = self._start(image)
        size = (self._track.width, self._track.height)
        if image.size != size:
            image = image.crop((0, 0, *size))
        frame = self._av.VideoFrame.from_image(image)
        self._last = max(round(time * _CLOCK), self._last + 1)  # times must increase
        frame.pts, frame.time_base = self._last, Fraction(1, _CLOCK)
        self._container.mux(self._track.encode(frame))

    def close(self) -> None:
        """Finishes the file."""
        if self._track is not None:
            self._container.mux(self._track.encode(None))
        self._container.close()

    def _start(self, image: "Image.Image") -> Any:
        track = self._container.add_stream("libx264", rate=self._rate)
        track.width, track.height = (side - side % 2 for side in image.size)  # H.264 needs even
        track.pix_fmt = "yuv420p"
        track.options = {"crf": "20", "preset": "veryfast"}
        track.codec_context.time_base = Fraction(1, _CLOCK)
        return track


def _estimated(container: Any, rate: float) -> int | None:
    # duration is in millionths of a second (FFmpeg's AV_TIME_BASE)
    return round(container.duration / 1e6 * rate) if container.duration else None


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise SetupError(
            "Videos need PyAV.",
            found=str(error),
            fix='Install it: pip install "tfod_kit[video]"',
        ) from error
    av.logging.set_level(av.logging.PANIC)  # FFmpeg's own messages would break the progress line
    return av


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise SetupError(
            "Cameras need OpenCV.",
            found=str(error),
            fix='Install it: pip install "tfod_kit[video]"',
        ) from error
    return cv2


def _unreadable(source: Path | str, found: object) -> DataError:
    return DataError(
        "This is not a video that can be read.",
        where=source,
        found=getattr(found, "strerror", None) or found,
        fix="Play it in a viewer; save it again as MP4, or leave it out.",
    )
