"""The result of a conversion: the content of report.json."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfod_kit.conversion.writing import Shard, WrittenShard
from tfod_kit.datasets import Loaded
from tfod_kit.formats.common.findings import Findings


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """The content of one split.

    Attributes:
      images: number of images, those without objects included.
      negatives: number of images without objects.
      objects: number of objects of all classes.
      classes: class name -> number of objects, in the order of the label map.
      files: the names of the record or annotation files.
      most_objects: the largest number of objects in one image; the config must allow for them.
      masks: number of objects with a mask.
    """

    images: int
    negatives: int
    objects: int
    classes: Mapping[str, int]
    files: tuple[str, ...]
    most_objects: int = 0
    masks: int = 0


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """What a conversion wrote, left out and changed; the content of report.json.

    Attributes:
      format: a key of FORMATS; of several sources, their formats joined by "+".
      split: a description of where the splits came from.
      seed: the seed that shuffled the images.
      label_map: class name -> id.
      splits: the content of each split, by name.
      findings: reason code -> severity, text, count and examples.
      known_by: a description of what the format was recognised by.
      unfinished: number of record files that other jobs have yet to write; not in report.json.
    """

    format: str
    split: str
    seed: int
    label_map: Mapping[str, int]
    splits: Mapping[str, SplitSummary]
    findings: Mapping[str, Mapping[str, object]]
    known_by: str = ""
    unfinished: int = 0

    @property
    def images(self) -> int:
        """Number of images in all splits."""
        return sum(part.images for part in self.splits.values())

    @property
    def objects(self) -> int:
        """Number of objects in all splits."""
        return sum(part.objects for part in self.splits.values())


def summarise(
    loaded: Loaded,
    plan: Sequence[Shard],
    written: Sequence[WrittenShard | None],
    findings: Findings,
    *,
    split: str,
    seed: int,
) -> ConversionReport:
    """The report of a conversion.

    Args:
      loaded: the data set.
      plan: its shards.
      written: the content of each; None for one that another job has yet to write.
      findings: those of reading and planning; takes those of the shards.
      split: a description of where the splits came from.
      seed: the seed that shuffled the images.
    """
    summaries = {
        name: _summary(
            loaded, [pair for pair in zip(plan, written, strict=True) if pair[0].split == name]
        )
        for name in dict.fromkeys(shard.split for shard in plan)
    }
    for part in written:
        if part is not None:
            findings.merge(Findings.from_dict(part.findings))
    return ConversionReport(
        format=loaded.format,
        split=split,
        seed=seed,
        label_map=dict(loaded.classes.ids),
        splits=summaries,
        findings=findings.as_dict(),
        known_by=loaded.known_by,
        unfinished=sum(part is None for part in written),
    )


def _summary(loaded: Loaded, members: Sequence[tuple[Shard, WrittenShard | None]]) -> SplitSummary:
    """The content of the shards of one split that are written."""
    finished = [(shard, content) for shard, content in members if content is not None]
    contents = [content for _, content in finished]
    objects: Counter[str] = Counter()
    for content in contents:
        objects.update(content.classes)
    return SplitSummary(
        images=sum(content.images for content in contents),
        negatives=sum(content.negatives for content in contents),
        objects=objects.total(),
        classes={label: objects[label] for label in loaded.classes},
        files=tuple(shard.path.name for shard, _ in finished),
        most_objects=max((content.most_objects for content in contents), default=0),
        masks=sum(content.masks for content in contents),
    )
