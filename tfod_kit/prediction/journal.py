"""The journal of an output folder: one line for each image done, so that a run can be resumed.

The first line holds the fingerprint of the model and the options; a run with others
starts again.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from tfod_kit.errors import UsageError
from tfod_kit.io import files, json_files
from tfod_kit.io.files import readable
from tfod_kit.io.locking import try_lock
from tfod_kit.prediction.inputs import Input, path_of

_ENTRY_FIELDS = {"file", "stamp", "drawn"}
NAME = "journal.jsonl"


class Journal:
    """The entries of one output folder; use it as a context manager.

    Attributes:
      changed: which parts of the fingerprint differ from the earlier run, so that its entries do
        not count; empty if none does or there was no earlier run.
    """

    def __init__(
        self, folder: Path, fingerprint: Mapping[str, str], *, restart: bool = False
    ) -> None:
        """Opens the journal, or starts one.

        Args:
          folder: the output folder.
          fingerprint: what the detections depend on besides the image: name -> value.
          restart: whether to ignore the entries of an earlier run.

        Raises:
          UsageError: another run writes to the folder.
        """
        self._offsets: dict[str, int] = {}
        self._stamps: dict[str, tuple[Any, Any]] = {}
        with files.explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._stream: IO[bytes] = (folder / NAME).open("a+b")
            _lock(self._stream, folder)
        header, end = self._read()
        differences = _differences(header, fingerprint) if header is not None else []
        self.changed = [] if restart else differences
        if header is None or differences or restart:
            self._offsets, self._stamps = {}, {}
            end = 0
        self._stream.truncate(end)  # drops a line that a killed run left incomplete
        if end == 0:
            self._write({"by": dict(fingerprint)})

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __contains__(self, item: tuple[Input, str]) -> bool:
        """Whether (input, name of its drawn file or "") is done: the same file, drawn alike."""
        source, drawn = item
        now = stamp(source.path)
        return now is not None and self._stamps.get(readable(str(source.path))) == (now, drawn)

    def add(self, entry: dict[str, Any], drawn: str) -> None:
        """Records that an input is done.

        Args:
          entry: with the fields of `inputs.file_fields`.
          drawn: the name of its drawn file in the folder; "" if it is not drawn.
        """
        file = entry["file"]
        entry |= {"drawn": drawn, "stamp": stamp(path_of(entry))}
        self._offsets[file] = self._write(entry)
        self._stamps[file] = entry["stamp"], drawn

    def entry(self, path: Path) -> dict[str, Any] | None:
        """The entry of an input; None if it is not done."""
        offset = self._offsets.get(readable(str(path)))
        if offset is None:
            return None
        self._stream.seek(offset)
        return dict(msgspec.json.decode(self._stream.readline()))

    def _write(self, content: dict[str, Any]) -> int:
        """Appends a line; returns its offset in bytes."""
        offset = self._stream.seek(0, os.SEEK_END)
        self._stream.write(msgspec.json.encode(content) + b"\n")
        self._stream.flush()
        return offset

    def _read(self) -> tuple[dict[str, str] | None, int]:
        """The fingerprint in the first line, and the offset at which the last whole line ends."""
        self._stream.seek(0)
        lines = _whole_lines(self._stream)
        _, end, first = next(lines, (0, 0, {}))
        header = _fingerprint_of(first)
        for offset, after, entry in lines:
            if not entry.keys() >= _ENTRY_FIELDS or not isinstance(entry["file"], str):
                break  # damaged: this input and those after it are detected again
            self._offsets[entry["file"]] = offset
            self._stamps[entry["file"]] = entry["stamp"], entry["drawn"]
            end = after
        return header, end


def _fingerprint_of(first: Mapping[str, Any]) -> dict[str, str] | None:
    """The fingerprint in the first line; None if there is none or it is damaged."""
    found = first.get("by")
    valid = isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
    return found if valid else None


def _lock(stream: IO[bytes], folder: Path) -> None:
    """Locks the journal until it is closed."""
    if not try_lock(stream):
        stream.close()
        raise UsageError(
            "Another `tfod predict` writes to this folder.",
            where=folder,
            fix="Wait for it, or name another --out.",
        )


def stamp(path: Path) -> list[int] | None:
    """Size and modification time of a file; None if it is missing."""
    try:
        state = path.stat()
    except OSError:
        return None
    return [state.st_size, state.st_mtime_ns]


def _whole_lines(stream: IO[bytes]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """The start, the end and the content of each line, up to the first that is invalid."""
    while True:
        start = stream.tell()
        line = stream.readline()
        if not line.endswith(b"\n"):
            return
        try:
            content = json_files.decode(line, dict[str, Any])
        except ValueError:
            return
        yield start, stream.tell(), content


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [
        name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)
    ]
