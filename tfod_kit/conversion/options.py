"""The options of a conversion, named as the arguments of `tfod convert`, with the same defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfod_kit.conversion.beam import Runner
from tfod_kit.core import labels
from tfod_kit.core.labels import LabelMap
from tfod_kit.datasets import LoadOptions
from tfod_kit.datasets.class_selection import Selection
from tfod_kit.datasets.splits.assignment import SplitOptions
from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.formats import AUTO
from tfod_kit.formats.base import RotatedBoxes
from tfod_kit.io import resources


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedOptions:
    """What a conversion to records and one to another annotation format have in common.

    Attributes:
      format: a key of FORMATS, or "auto"; or one for each source, separated by commas.
      images: the folder of the images; None for the folder of the data set.
      label_map: a label map, its file, or the name of a standard one such as "coco_2017"; None
        builds one from the data set.
      selection: the classes to keep, rename and merge.
      split: how to split; by default the data set's own splits, or `shares.DEFAULT`.
      seed: shuffles the images; the same seed gives the same bytes for any number of workers.
      on_error: "fix", "skip" or "fail"; see formats.common.findings.
      origin: the number of the first pixel, 0 or 1, in formats that may count from either.
      max_side: px; larger images are scaled down to it, with boxes, masks and keypoints.
      masks: False omits masks, which a detector of boxes does not use.
      workers: processes.
      follow_links: whether to follow symbolic links that lead out of the data set.
      columns: what is in the columns of a CSV table; see formats.ReadOptions.
      obb: what rotated boxes become; see formats.ReadOptions.
    """

    format: str = AUTO
    images: Path | None = None
    label_map: str | Path | LabelMap | None = None
    selection: Selection = field(default_factory=Selection)
    split: SplitOptions = field(default_factory=SplitOptions)
    seed: int = 0
    on_error: str = "fix"
    origin: int = 0
    max_side: int | None = None
    masks: bool = True
    workers: int = 1
    follow_links: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    obb: RotatedBoxes = "box"

    def for_loading(self) -> LoadOptions:
        """The options that reading the data set takes.

        Raises:
          UsageError: there is no label map of that name.
          ConfigError: the label map is invalid.
        """
        return LoadOptions(
            format=self.format,
            images_folder=self.images,
            label_map=_label_map(self.label_map),
            selection=self.selection,
            origin=self.origin,
            defer_objects=True,
            workers=self.workers,
            masks=self.masks,
            follow_links=self.follow_links,
            columns=self.columns,
            obb=self.obb,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions(SharedOptions):
    """How to convert a data set to records.

    Attributes:
      shards: record files for each split; None derives the number from the size of the images.
      shard_range: (i, n) writes only every n-th record file starting at the i-th, from 0, for one
        of n jobs that share a disk. The same conversion without it writes what is missing and
        completes the output.
      runner: a runner of Apache Beam, whose workers share the disk too, instead of processes.

    The other attributes are those of `SharedOptions`.
    """

    shards: int | None = None
    shard_range: tuple[int, int] | None = None
    runner: Runner | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteOptions(SharedOptions):
    """How to convert a data set to another annotation format.

    Attributes:
      link: links to the images that need no change instead of copying them.
      scores: writes scores even where the usual readers of the format do not expect them.

    The other attributes are those of `SharedOptions`.
    """

    link: bool = False
    scores: bool = False


def load_label_map(name: str | Path) -> LabelMap:
    """Loads a label map from its file, or a standard one by its name such as "coco_2017".

    Raises:
      UsageError: there is neither a file nor a standard label map of that name.
      ConfigError: the file is not a valid label map.
    """
    path = Path(name)
    standard = {file.stem: file for file in sorted(resources.label_maps().glob("*.pbtxt"))}
    if not path.exists() and str(name) in standard:
        path = standard[str(name)]
    if not path.exists():
        raise UsageError(
            "There is no such label map.",
            where=name,
            expected=f"a file, or one of {', '.join(standard)}",
            fix=did_you_mean(str(name), standard),
        )
    return labels.load(path)


def _label_map(given: str | Path | LabelMap | None) -> LabelMap | None:
    return load_label_map(given) if isinstance(given, str | Path) else given
