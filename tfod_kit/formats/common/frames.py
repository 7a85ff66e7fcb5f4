"""Images of video sequences that annotations refer to by the number of the frame."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.core.annotations import ImageRef
from tfod_kit.formats.base import Context
from tfod_kit.formats.common import reading

Rows = list[tuple[int, list[str]]]
"""Rows as (line number, fields)."""

_DIGITS = re.compile(r"(?:^|\D)(\d{1,9})$")


@dataclass(frozen=True, slots=True)
class Sequence:
    """The images of a sequence.

    Attributes:
      folder: where they should be.
      split: the split of the sequence.
    """

    folder: Path
    split: str | None

    def images(
        self, by_frame: Mapping[int, Rows], near: Path, context: Context
    ) -> Iterator[tuple[ImageRef, tuple[int, int], Rows]]:
        """(image, (width, height) in px, rows) of each frame that has an image, in order.

        A frame with rows and without an image is a finding, and so is an unusable image. Images
        without rows are frames without objects.
        """
        files = self._files(context)
        for number in sorted(files.keys() | by_frame.keys()):
            rows = by_frame.get(number, [])
            where = f"{context.name(near)}:{rows[0][0]}" if rows else context.name(near)
            image: ImageRef | None = files.get(number)
            if image is None:
                named = f"{self.folder.as_posix()}/{number:06}.jpg"
                image = reading.image_file(named, near, self.split, where, context)
            size = None if image is None else reading.measured_size(image, context)
            if image is not None and size is not None:
                yield image, size, rows

    def _files(self, context: Context) -> dict[int, Path]:
        """Number at the end of the name -> image, of those in the folder."""
        files: dict[int, Path] = {}
        for path in context.images.paths:
            digits = _DIGITS.search(path.stem) if path.parent == self.folder else None
            if digits:
                files.setdefault(int(digits[1]), path)
        return files


def by_frame(rows: Rows, fields: int, path: Path, context: Context) -> dict[int, Rows]:
    """Frame -> its rows. A row of another length, or without a whole number first, is a finding."""
    frames: dict[int, Rows] = {}
    for line, row in rows:
        if len(row) < fields or not row[0].isdecimal() or len(row[0]) > 9:
            found = ",".join(row)[:80]
            context.findings.add("row_unreadable", f"{context.name(path)}:{line}", found)
        else:
            frames.setdefault(int(row[0]), []).append((line, row))
    return frames
