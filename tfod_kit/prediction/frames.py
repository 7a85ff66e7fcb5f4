"""Frames of video files, streams and cameras, and videos of drawn frames."""

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

_CLOCK = 90_000  # ticks a second of the videos written, as broadcasting has it
_ANY_RATE = 25.0
_FASTEST = 240.0
_STREAM_S = (10.0, 10.0)  # to open a stream, and to wait for its next packet


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its place from 0, its time in s, and what holds its pixels."""

    place: int
    time: float
    pixels: Any

    def picture(self) -> "Image.Image":
        """The frame as it is seen: turned as the file says."""
        if hasattr(self.pixels, "to_image"):
            turned = -round(getattr(self.pixels, "rotation", 0)) % 360
            picture = self.pixels.to_image()
            return picture.rotate(-turned, expand=True) if turned else picture
        from PIL import Image

        return Image.fromarray(self.pixels[..., ::-1])  # a camera's: OpenCV has blue first


@dataclass(frozen=True, slots=True)
class Reader:
    """An open video.

    Attributes:
      rate: frames per second.
      total: how many frames it is said to have; None where that is not known.
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
      DataError: it is no video, or there is no such camera; while reading: it is damaged.
      SetupError: the package is absent.
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
            raise _unreadable(source, "no picture track")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        rate = float(stream.average_rate or stream.guessed_rate or _ANY_RATE)
        total = None if video.live else (stream.frames or _estimated(container, rate))
        decoded = _decoded(av, container, stream, source, rate)
        yield Reader(min(rate, _FASTEST), total, decoded)


def _decoded(av: Any, container: Any, stream: Any, source: str, rate: float) -> Iterator[Frame]:
    try:
        for place, frame in enumerate(container.decode(stream)):
            yield Frame(place, place / rate if frame.time is None else frame.time, frame)
    except av.FFmpegError as error:
        raise _unreadable(source, error) from error


@contextmanager
def _camera(number: int) -> Iterator[Reader]:
    import cv2  # tf-models-official brings it; FFmpeg as PyAV ships it knows no cameras

    capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise _unreadable(
                f"camera:{number}", "there is no such camera, or another program has it"
            )
        rate = capture.get(cv2.CAP_PROP_FPS) or _ANY_RATE
        yield Reader(min(rate, _FASTEST), None, _captured(capture, rate))
    finally:
        capture.release()


def _captured(capture: Any, rate: float) -> Iterator[Frame]:
    place = 0
    while True:
        there, pixels = capture.read()
        if not there:
            return
        yield Frame(place, place / rate, pixels)
        place += 1


class Writer:
    """Writes an MP4 that every browser plays: H.264, at the frames' own times, without sound."""

    def __init__(self, stream: IO[bytes], rate: float) -> None:
        self._av = _av()
        self._container = self._av.open(stream, "w", format="mp4")
        self._rate = Fraction(rate).limit_denominator(1001)
        self._track: Any = None
        self._last = -1

    def add(self, picture: "Image.Image", time: float) -> None:
        """Adds a frame; all must be of the first one's size."""
        if self._track is None:
            self._track = self._begun(picture)
        size = (self._track.width, self._track.height)
        if picture.size != size:
            picture = picture.crop((0, 0, *size))
        frame = self._av.VideoFrame.from_image(picture)
        self._last = max(round(time * _CLOCK), self._last + 1)  # times must rise
        frame.pts, frame.time_base = self._last, Fraction(1, _CLOCK)
        self._container.mux(self._track.encode(frame))

    def close(self) -> None:
        """Finishes the file."""
        if self._track is not None:
            self._container.mux(self._track.encode(None))
        self._container.close()

    def _begun(self, picture: "Image.Image") -> Any:
        track = self._container.add_stream("libx264", rate=self._rate)
        track.width, track.height = (side - side % 2 for side in picture.size)  # H.264 wants even
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
    av.logging.set_level(av.logging.PANIC)  # FFmpeg's own lines would break the progress line
    return av


def _unreadable(source: Path | str, found: object) -> DataError:
    return DataError(
        "This is not a video that can be read.",
        where=source,
        found=getattr(found, "strerror", None) or found,
        fix="Play it in a viewer; save it anew as MP4, or leave it out.",
    )
