"""What is done already: a line a picture, so that a run that was stopped goes on where it was.

The first line says by which model and options; with others the run starts anew.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from tfod_kit.errors import UsageError
from tfod_kit.io import files
from tfod_kit.io.files import readable
from tfod_kit.io.locking import try_lock
from tfod_kit.prediction.inputs import Input, path_of

NAME = "journal.jsonl"


class Journal:
    """The entries of one output folder; use it as a context.

    Attributes:
      changed: what differs from the run before, so that its entries do not count; empty when
        nothing does or there was none.
    """

    def __init__(self, folder: Path, identity: Mapping[str, str], *, anew: bool = False) -> None:
        """Opens the journal, or begins one.

        Args:
          folder: the output folder.
          identity: what the detections depend on besides the picture: name -> value.
          anew: leave out what was done before.

        Raises:
          UsageError: another run writes into the folder.
        """
        self._places: dict[str, int] = {}
        self._stamps: dict[str, tuple[Any, Any]] = {}
        with files.explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._stream: IO[bytes] = (folder / NAME).open("a+b")
            _take(self._stream, folder)
        header, end = self._read()
        differences = _differences(header, identity) if header is not None else []
        self.changed = [] if anew else differences
        if header is None or differences or anew:
            self._places, self._stamps = {}, {}
            end = 0
        self._stream.truncate(end)  # less a line that a kill cut off
        if end == 0:
            self._write({"by": dict(identity)})

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __contains__(self, item: tuple[Input, str]) -> bool:
        """Whether (input, the name of its drawn file or "") is done: the same file, drawn so."""
        source, drawn = item
        now = stamp(source.path)
        return now is not None and self._stamps.get(readable(str(source.path))) == (now, drawn)

    def add(self, entry: dict[str, Any], drawn: str) -> None:
        """Notes that an input is done.

        Args:
          entry: has what inputs.named says of the input's path.
          drawn: the name of its drawn file in the folder; "" where none was asked for.
        """
        file = entry["file"]
        entry |= {"drawn": drawn, "stamp": stamp(path_of(entry))}
        self._places[file] = self._write(entry)
        self._stamps[file] = entry["stamp"], drawn

    def entry(self, path: Path) -> dict[str, Any] | None:
        """What was noted of an input; None where it is not done."""
        place = self._places.get(readable(str(path)))
        if place is None:
            return None
        self._stream.seek(place)
        return dict(msgspec.json.decode(self._stream.readline()))

    def _write(self, content: dict[str, Any]) -> int:
        """Appends a line; returns where it begins."""
        place = self._stream.seek(0, os.SEEK_END)
        self._stream.write(msgspec.json.encode(content) + b"\n")
        self._stream.flush()
        return place

    def _read(self) -> tuple[dict[str, str] | None, int]:
        """The identity that the file begins with, and where its last whole line ends."""
        self._stream.seek(0)
        lines = _whole_lines(self._stream)
        _, end, first = next(lines, (0, 0, {}))
        header = first.get("by")
        for place, after, entry in lines:
            self._places[entry["file"]] = place
            self._stamps[entry["file"]] = entry["stamp"], entry["drawn"]
            end = after
        return header, end


def _take(stream: IO[bytes], folder: Path) -> None:
    """Locks the journal until it is closed."""
    if not try_lock(stream):
        stream.close()
        raise UsageError(
            "Another `tfod predict` writes into this folder.",
            where=folder,
            fix="Wait for it, or name another --out.",
        )


def stamp(path: Path) -> list[int] | None:
    """Size and time of change of a file; None where it is gone or no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _whole_lines(stream: IO[bytes]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Where each line begins and ends, and its content, up to the first that is none."""
    while True:
        place = stream.tell()
        line = stream.readline()
        if not line.endswith(b"\n"):
            return
        try:
            content = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.MsgspecError:
            return
        yield place, stream.tell(), content


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [
        name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)
    ]
