"""The images and videos to detect in: files, folders, patterns, addresses, cameras, a pipe."""

import glob
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tfod_kit.errors import UsageError
from tfod_kit.io import files, http
from tfod_kit.prediction import fetch
from tfod_kit.records.pixels import EXTENSIONS

VIDEO_EXTENSIONS = {
    ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv",
}  # fmt: skip
STDIN = "-"
FETCHED = "fetched"  # the folder in the output for files from addresses or a pipe

_STREAM = re.compile(r"(rtsp|rtmp|udp|srt)://", re.IGNORECASE)
_CAMERA = re.compile(r"camera:(\d+)")
_MAX_BYTES = fetch.IMAGE_LIMITS.max_bytes
# The first bytes of image files; a list of paths starts with none of these.
_SIGNATURES = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"RIFF": ".webp",
    b"BM": ".bmp",
}


@dataclass(frozen=True, slots=True)
class Input:
    """An image file, or a video.

    Attributes:
      path: the file; for a camera or stream only its name.
      url: where the file is downloaded from first; "" for a local file.
    """

    path: Path
    url: str = ""


@dataclass(frozen=True, slots=True)
class Video(Input):
    """A video file, a stream or a camera.

    Attributes:
      live: the number of a camera or the address of a stream; None for a file.
    """

    live: int | str | None = None


def find(given: Sequence[str], out: Path, stdin: IO[bytes] | None = None) -> list[Input]:
    """The images and videos that the user names, each once; sorted within a folder or pattern.

    Args:
      given: files, folders (searched to any depth), patterns (`photos/**/*.jpg`), addresses
        (http, https; rtsp and others for streams), `camera:0`, and `-` for standard input, which
        holds one image or a list of the others, one per line.
      out: the folder for the results, where downloaded images are kept; it is not searched.
      stdin: standard input.

    Raises:
      UsageError: a path does not exist, or there are no images or videos.
    """
    found: dict[Path, Input] = {}
    for text in given:
        for item in _piped(stdin, out) if text == STDIN else _parse(text, out):
            found.setdefault(item.path, item)
    if not found:
        raise UsageError(
            "There are no images or videos.",
            where=", ".join(given),
            expected=f"files that end in {', '.join(sorted(EXTENSIONS | VIDEO_EXTENSIONS))}",
            fix="Name image files, or a folder that holds some.",
        )
    return list(found.values())


def _parse(text: str, out: Path) -> Iterator[Input]:
    path = Path(text)
    if http.is_url(text):
        target = out / FETCHED / fetch.name_of(text)
        yield (Video if target.suffix.lower() in VIDEO_EXTENSIONS else Input)(target, text)
    elif _STREAM.match(text):
        yield Video(Path("stream"), live=text)
    elif camera := _CAMERA.fullmatch(text):
        yield Video(Path(f"camera{camera[1]}"), live=int(camera[1]))
    elif path.is_dir():
        yield from _inside(path, out)
    elif path.is_file():
        yield _of_file(path)
    elif glob.has_magic(text):
        yield from _matching(text)
    elif path.exists():
        raise UsageError(
            "This is a FIFO, a device or a socket, which may never end.",
            where=path,
            fix="Pipe one image, or a list of paths, and name - for it.",
        )
    else:
        raise UsageError(
            "The file or folder does not exist.", where=files.local(text), fix="Check the path."
        )


def _inside(folder: Path, out: Path) -> Iterator[Input]:
    """The images and videos in a folder, except those that an earlier run wrote."""
    own = out.resolve()
    skip = None if folder.resolve().is_relative_to(own) else own
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() not in EXTENSIONS | VIDEO_EXTENSIONS or not file.is_file():
            continue
        if skip is None or not file.resolve().is_relative_to(skip):
            yield _of_file(file)


def _matching(pattern: str) -> Iterator[Input]:
    names = sorted(glob.glob(files.local(pattern), recursive=True))  # noqa: PTH207  it may be absolute
    if not names:
        raise UsageError(
            "No file matches the pattern.",
            where=pattern,
            fix="Check the pattern; ** matches folders at any depth.",
        )
    yield from (_of_file(Path(name)) for name in names if Path(name).is_file())


def _of_file(path: Path) -> Input:
    return Video(path) if path.suffix.lower() in VIDEO_EXTENSIONS else Input(path)


def _piped(stdin: IO[bytes] | None, out: Path) -> Iterator[Input]:
    """What standard input holds: the bytes of one image, or a list."""
    data = stdin.read(_MAX_BYTES + 1) if stdin is not None else b""
    ending = next((end for start, end in _SIGNATURES.items() if data.startswith(start)), None)
    if len(data) > _MAX_BYTES:
        raise UsageError(
            "Standard input is too long.",
            where=STDIN,
            expected=f"an image, or a list of paths, of at most {_MAX_BYTES // 2**20} MB",
            fix="Name a folder or a pattern.",
        )
    if ending is not None:
        path = out / FETCHED / f"stdin{ending}"
        files.write_bytes(path, data)
        yield Input(path)
        return
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(
            "Standard input holds neither an image nor a list of paths.",
            where=STDIN,
            found=repr(data[:20]),
            fix="Pipe the bytes of one image, or paths and addresses, one per line.",
        ) from error
    for line in lines:
        if line.strip():
            yield from _parse(line.strip(), out)


def drawn_names(paths: Iterable[Path]) -> list[str]:
    """A file name for each drawn image or video: its own, numbered if two folders hold the same.

    Names that differ in case alone are the same on Windows and macOS, and are numbered too.
    """
    taken: dict[str, str] = {}
    for path in paths:
        ending = _ending(path)
        stem = files.portable(path.stem)
        candidates = itertools.chain([stem], (f"{stem}-{n}" for n in itertools.count(2)))
        name = next(name for each in candidates if (name := each + ending).lower() not in taken)
        taken[name.lower()] = name
    return list(taken.values())


def file_fields(path: Path) -> dict[str, str]:
    """The fields of an entry in detections.json that identify its file.

    These are its path and, if the path is not valid UTF-8, the path's bytes in hex.
    """
    text = files.readable(str(path))
    return {"file": text} | ({} if text == str(path) else {"file_bytes": os.fsencode(path).hex()})


def path_of(entry: Mapping[str, Any]) -> Path:
    """The file of an entry that has the fields of `file_fields`."""
    raw = entry.get("file_bytes")
    return Path(entry["file"] if raw is None else os.fsdecode(bytes.fromhex(raw)))


def _ending(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in EXTENSIONS:
        return ".png" if suffix in {".png", ".gif"} else ".jpg"
    return ".mp4" if suffix in VIDEO_EXTENSIONS or not suffix else ".jpg"
