"""What the records of a split hold, as far as checks need it: no images.

A few numbers for each object and record, and its source_id, stay in memory, whatever the size of
the images.
"""

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from tfod_kit.checks.findings import Location

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# An object's class name and class id, None for what is not in the record.
ObjectClass: TypeAlias = tuple[bytes | None, int | None]


# The types of arrays are in quotes, since Python 3.11 cannot subscript array.
@dataclass(slots=True)
class SplitFacts:
    """What a split holds, as parallel lists for records and for objects.

    Attributes:
      files: the record files' names, in the order they were read.
      record_file, record_index: for each record: the index of its file in `files`, and its own
        index in that file.
      sizes: for each record: width and height in px, one after the other; 0 if unknown.
      objects: for each record: how many objects.
      source_ids: for each record: image/source_id, "" if it is missing.
      fingerprints: for each record: a fingerprint of its image; 0 if there is none.
      edges: ymin of all objects, then xmin, ymax and xmax.
      owner: for each object: its record's index in the lists above.
      texts, ids: for each object: class name and class id; None if missing.
      names: each class name once, so that `texts` holds no copies.
      with_masks: how many objects have masks.
      mask_lists: the kinds of feature lists that masks are stored in, with how many records.
      keypoints: for each record: how many keypoints.
      bytes_read: the size of the records.
    """

    files: list[str] = field(default_factory=list)
    record_file: "array[int]" = field(default_factory=lambda: array("l"))
    record_index: "array[int]" = field(default_factory=lambda: array("l"))
    sizes: "array[int]" = field(default_factory=lambda: array("l"))
    objects: "array[int]" = field(default_factory=lambda: array("l"))
    source_ids: list[str] = field(default_factory=list)
    fingerprints: "array[int]" = field(default_factory=lambda: array("Q"))
    edges: "tuple[array[float], ...]" = field(
        default_factory=lambda: tuple(array("f") for _ in range(4))
    )
    owner: "array[int]" = field(default_factory=lambda: array("l"))
    texts: list[bytes | None] = field(default_factory=list)
    ids: list[int | None] = field(default_factory=list)
    names: dict[bytes, bytes] = field(default_factory=dict)
    with_masks: int = 0
    mask_lists: Counter[str] = field(default_factory=Counter)
    keypoints: "array[int]" = field(default_factory=lambda: array("l"))
    bytes_read: int = 0
    _class_counts: Counter[ObjectClass] = field(default_factory=Counter)

    def boxes(self) -> "NDArray[np.float64]":
        """[objects, 4]: ymin, xmin, ymax, xmax."""
        import numpy as np

        edges = [np.frombuffer(edge, np.float32) for edge in self.edges]
        return np.stack(edges, axis=1).astype(np.float64)

    def class_counts(self) -> Mapping[ObjectClass, int]:
        """How many objects have each pair of class name and class id; for use after the scan."""
        if not self._class_counts:
            self._class_counts.update(zip(self.texts, self.ids, strict=True))
        return self._class_counts

    @property
    def records(self) -> int:
        """How many records were read."""
        return len(self.source_ids)

    def location(self, record: int, found: str = "") -> Location:
        """Where a record is, by its index in the lists."""
        return Location(self.files[self.record_file[record]], self.record_index[record], found)
