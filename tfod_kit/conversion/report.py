"""What a conversion made, changed and left out: the content of report.json."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfod_kit.conversion.writing import Shard, Written
from tfod_kit.datasets import Loaded
from tfod_kit.formats.common.findings import Findings


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """What one split holds.

    Attributes:
      images: how many, empty ones included.
      negatives: how many of them show no object.
      objects: how many, all classes together.
      classes: class name -> objects, in the order of the label map.
      files: the shards' names.
      most_objects: in one image; the config must have room for them.
      masks: how many objects have one.
    """

    images: int
    negatives: int
    objects: int
    classes: Mapping[str, int]
    files: tuple[str, ...]
    most_objects: int = 0
    masks: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What a conversion made, and what it left out or changed; the content of report.json.

    Attributes:
      format: a key of FORMATS.
      split: where the splits came from, in words.
      seed: what shuffled the images.
      label_map: class name -> id.
      splits: by name.
      findings: reason code -> severity, text, count and examples.
      known_by: what the format was recognised by, in words.
      unfinished: record files that are still to be written, by other jobs; not in report.json.
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
        return sum(part.images for part in self.splits.values())

    @property
    def objects(self) -> int:
        return sum(part.objects for part in self.splits.values())


def report(
    loaded: Loaded,
    told: str,
    seed: int,
    plan: Sequence[Shard],
    written: Sequence[Written | None],
    findings: Findings,
) -> Report:
    """Sums up what was written; `findings` takes those of the shards."""
    summaries = {}
    for split in dict.fromkeys(shard.split for shard in plan):
        members = [
            (shard, done)
            for shard, done in zip(plan, written, strict=True)
            if shard.split == split and done is not None
        ]
        objects: Counter[str] = Counter()
        for _, done in members:
            objects.update(done.classes)
        summaries[split] = SplitSummary(
            images=sum(done.images for _, done in members),
            negatives=sum(done.negatives for _, done in members),
            objects=objects.total(),
            classes={label: objects[label] for label in loaded.classes},
            files=tuple(shard.path.name for shard, _ in members),
            most_objects=max((done.most_objects for _, done in members), default=0),
            masks=sum(done.masks for _, done in members),
        )
    for part in written:
        if part is not None:
            findings.merge(Findings.from_dict(part.findings))
    return Report(
        loaded.format,
        told,
        seed,
        dict(loaded.classes.ids),
        summaries,
        findings.as_dict(),
        loaded.known_by,
        unfinished=sum(part is None for part in written),
    )
