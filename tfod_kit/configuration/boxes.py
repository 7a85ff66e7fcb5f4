"""The boxes of the training records, by which the input size and the anchors are chosen."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfod_kit.configuration.dataset import DataSet
from tfod_kit.errors import DataError
from tfod_kit.records import example_proto, feature_keys, shards

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FEWEST = 10  # boxes of a class that count by themselves
_IMAGES = 5000  # that are looked at
_EDGES = (feature_keys.YMIN, feature_keys.XMIN, feature_keys.YMAX, feature_keys.XMAX)


@dataclass(frozen=True, slots=True)
class Boxes:
    """The boxes of the training records.

    Attributes:
      edges: [N, 6] ymin, xmin, ymax, xmax in [0, 1], width and height of the image in px.
      classes: [N] class ids.
      names: class ids and names.
    """

    edges: "NDArray[np.float64]"
    classes: "NDArray[np.int64]"
    names: dict[int, str]

    def by_class(self) -> "Iterator[tuple[str, NDArray[np.bool_]]]":
        """The name of each class with enough boxes, and [N] which boxes are of it.

        Nothing where there is only one class.
        """
        import numpy as np

        ids, counts = np.unique(self.classes, return_counts=True)
        if len(ids) == 1:
            return
        for id_, count in zip(ids.tolist(), counts.tolist(), strict=True):
            if count >= _FEWEST:
                yield self.names.get(id_, f"class {id_}"), self.classes == id_


def read(data: DataSet) -> Boxes | None:
    """The boxes of the training records; None if there are none, or they cannot be read.

    Damaged records are reported by `tfod check` and when the training starts.
    """
    import numpy as np

    split = data.splits["train"]
    rows: list[tuple[float, ...]] = []
    try:
        for path in shards.match(split.pattern):
            for record in shards.read(path, every=max(split.images // _IMAGES, 1)):
                rows += _of_record(record)
    except (DataError, LookupError):
        return None
    table = np.asarray(rows, dtype=np.float64).reshape(-1, 7)
    with_area = (table[:, 2] > table[:, 0]) & (table[:, 3] > table[:, 1])
    table = table[with_area & np.isfinite(table).all(axis=1)]
    if not len(table):
        return None
    names = dict(data.label_map.names)
    return Boxes(table[:, :6], table[:, 6].astype(np.int64), names)


def _of_record(record: bytes) -> list[tuple[float, ...]]:
    """Edges in [0, 1], width and height of the image in px, and the class of each object."""
    features = example_proto.read_features(record)
    width, height = (features[key][1][0] for key in (feature_keys.WIDTH, feature_keys.HEIGHT))
    columns = [features.get(key, ("", ()))[1] for key in (*_EDGES, feature_keys.CLASS_LABEL)]
    return [(*box, width, height, label) for *box, label in zip(*columns, strict=False)]
