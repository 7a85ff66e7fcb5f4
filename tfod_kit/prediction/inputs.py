"""What the user wants looked at: files, folders, patterns, addresses, videos, cameras, a pipe."""

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
FETCHED = "fetched"  # the folder in the output for what came from addresses or a pipe

_STREAM = re.compile(r"(rtsp|rtmp|udp|srt)://", re.IGNORECASE)
_CAMERA = re.compile(r"camera:(\d+)")
_MOST_BYTES = fetch.IMAGE_LIMITS.max_bytes
# The first bytes of pictures; a list of paths starts with none of these.
_PICTURES = {
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
    """A picture file, or a video.

    Attributes:
      path: the file; for a camera or stream its name alone.
      url: where it is fetched from first; empty for a file that is there.
    """

    path: Path
    url: str = ""


@dataclass(frozen=True, slots=True)
class Video(Input):
    """A video file, or what goes on until it is stopped.

    Attributes:
      live: what to open: a camera's number or a stream's address; None for a file.
    """

    live: int | str | None = None


def find(given: Sequence[str], out: Path, stdin: IO[bytes] | None = None) -> list[Input]:
    """The pictures and videos meant, each once: as given, sorted within a folder or pattern.

    Args:
      given: files, folders (searched to any depth), patterns (`photos/**/*.jpg`), addresses
        (http, https; rtsp and its like for streams), `camera:0`, and `-` for standard input, which
        holds one picture or a list of the others, one a line.
      out: the folder for the results, where pictures from addresses are kept; not searched.
      stdin: standard input.

    Raises:
      UsageError: a path does not exist, or no picture or video is among them.
    """
    found: dict[Path, Input] = {}
    for text in given:
        for item in _piped(stdin, out) if text == STDIN else _meant(text, out):
            found.setdefault(item.path, item)
    if not found:
        raise UsageError(
            "There are no pictures to look at.",
            where=", ".join(given),
            expected=f"files that end in {', '.join(sorted(EXTENSIONS | VIDEO_EXTENSIONS))}",
            fix="Name picture files, or a folder that holds some.",
        )
    return list(found.values())


def _meant(text: str, out: Path) -> Iterator[Input]:
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
    else:
        raise UsageError("The picture or folder does not exist.", where=text, fix="Check the path.")


def _inside(folder: Path, out: Path) -> Iterator[Input]:
    """A folder's pictures and videos; not those that an earlier run wrote."""
    own = out.resolve()
    skip = None if folder.resolve().is_relative_to(own) else own
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() not in EXTENSIONS | VIDEO_EXTENSIONS or not file.is_file():
            continue
        if skip is None or not file.resolve().is_relative_to(skip):
            yield _of_file(file)


def _matching(pattern: str) -> Iterator[Input]:
    names = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  it may be absolute
    if not names:
        raise UsageError(
            "No file matches the pattern.",
            where=pattern,
            fix="Check it; ** stands for folders to any depth.",
        )
    yield from (_of_file(Path(name)) for name in names if Path(name).is_file())


def _of_file(path: Path) -> Input:
    return Video(path) if path.suffix.lower() in VIDEO_EXTENSIONS else Input(path)


def _piped(stdin: IO[bytes] | None, out: Path) -> Iterator[Input]:
    """What standard input holds: one picture's bytes, or a list."""
    data = stdin.read(_MOST_BYTES + 1) if stdin is not None else b""
    ending = next((end for start, end in _PICTURES.items() if data.startswith(start)), None)
    if len(data) > _MOST_BYTES:
        raise UsageError(
            "Too much comes from standard input.",
            where=STDIN,
            expected=f"a picture, or a list of paths, of at most {_MOST_BYTES // 2**20} MB",
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
            "What comes from standard input is no picture and no list of paths.",
            where=STDIN,
            found=repr(data[:20]),
            fix="Pipe the bytes of one picture, or paths and addresses, one a line.",
        ) from error
    for line in lines:
        if line.strip():
            yield from _meant(line.strip(), out)


def drawn_names(paths: Iterable[Path]) -> list[str]:
    """A file name for each drawn picture or video: its own, numbered where two folders hold the
    same."""
    taken: dict[str, None] = {}
    for path in paths:
        ending = _ending(path)
        stem = files.portable(path.stem)
        candidates = itertools.chain([stem], (f"{stem}-{n}" for n in itertools.count(2)))
        taken[next(name for each in candidates if (name := each + ending) not in taken)] = None
    return list(taken)


def named(path: Path) -> dict[str, str]:
    """What an entry of detections.json says of its file: its path, and the bytes of that in hex
    where text cannot hold them."""
    said = files.readable(str(path))
    return {"file": said} | ({} if said == str(path) else {"file_bytes": os.fsencode(path).hex()})


def path_of(entry: Mapping[str, Any]) -> Path:
    """The file of an entry, of which `named` gave a part."""
    raw = entry.get("file_bytes")
    return Path(entry["file"] if raw is None else os.fsdecode(bytes.fromhex(raw)))


def _ending(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in EXTENSIONS:
        return ".png" if suffix in {".png", ".gif"} else ".jpg"
    return ".mp4" if suffix in VIDEO_EXTENSIONS or not suffix else ".jpg"
