"""The archives of the TensorFlow 2 detection model zoo, with the figures that the zoo publishes.

The data are in tf2_zoo.csv beside this file, from the zoo's own table
(research/object_detection/g3doc/tf2_detection_zoo.md in tensorflow/models).
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("tf2_zoo.csv")

# Addresses of the zoo's bucket, in the order to try. Plain http, to which the zoo's table links,
# comes last: it is refused more and more often.
SOURCES = (
    "https://download.tensorflow.org/models/object_detection/tf2",
    "https://storage.googleapis.com/download.tensorflow.org/models/object_detection/tf2",
    "http://download.tensorflow.org/models/object_detection/tf2",
)

_KAGGLE_OWNER = "tensorflow"


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive: a config and a checkpoint trained on COCO 2017, most with a SavedModel.

    Attributes:
      name: the archive's name, without .tar.gz.
      date: its folder in the zoo.
      title: its name in the zoo's table.
      outputs: what the model detects: "boxes", and "masks" or "keypoints".
      speed_ms: the published time for one image; None if there is none.
      box_map, mask_map, keypoint_map: the published COCO AP@.50:.95 in percent, or None.
      sha256: the archive's checksum if it is known; else later downloads must match the first.
      kaggle: the handle of the same model on Kaggle, as a SavedModel; None if it is not there.
      urls: the addresses of the archive, if it is not the zoo's.
    """

    name: str
    date: str
    title: str
    outputs: tuple[str, ...]
    speed_ms: int | None
    box_map: float | None
    mask_map: float | None
    keypoint_map: float | None
    sha256: str | None
    kaggle: str | None = None
    urls: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The archive's file name."""
        return f"{self.name}.tar.gz"


@cache
def archives() -> Mapping[str, Archive]:
    """All archives by name, in the zoo's order."""
    with _TABLE.open(encoding="utf-8", newline="") as stream:
        return {row["name"]: _archive(row) for row in csv.DictReader(stream)}


def _archive(row: Mapping[str, str]) -> Archive:
    def figure(name: str) -> float | None:
        return float(row[name]) if row[name] else None

    return Archive(
        name=row["name"],
        date=row["date"],
        title=row["title"],
        outputs=tuple(row["outputs"].split("/")),
        speed_ms=int(row["speed_ms"]) if row["speed_ms"] else None,
        box_map=figure("box_map"),
        mask_map=figure("mask_map"),
        keypoint_map=figure("keypoint_map"),
        sha256=row["sha256"] or None,
        kaggle=f"{_KAGGLE_OWNER}/{row['kaggle']}" if row["kaggle"] else None,
    )
