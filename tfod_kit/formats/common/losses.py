"""Stops a conversion in which a data set, a split or a class loses all of its objects."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tfod_kit.core.annotations import ImageAnnotation
from tfod_kit.formats.common.findings import Findings

Classes = Mapping[str, Mapping[str, int]]
"""Split -> class name -> number of objects."""

# Reasons for which objects are left out, with or without their image.
_CAUSES = (
    "shape_ignored",
    "image_level_label",
    "dont_care",
    "box_empty",
    "box_outside",
    "annotation_of_absent_image",
    "box_of_other_size",
    "box_missing",
    "number_unreadable",
    "not_fractions",
    "class_missing",
    "class_unknown",
    "image_missing",
    "image_several",
    "image_unusable",
    "row_unreadable",
    "annotation_unreadable",
    "split_without_labels",
)


def check_read(
    annotations: Iterable[ImageAnnotation], where: object, findings: Findings, before: Counter[str]
) -> None:
    """Reports a source without any object, if objects were left out while reading it.

    Args:
      annotations: the images of the source.
      where: the source, for the message.
      findings: those of reading, and of other sources.
      before: their counts before the source was read.
    """
    if any(annotation.objects for annotation in annotations):
        return
    causes = _causes(Counter(findings.counts) - before)
    if causes:
        findings.add("objects_all_lost", where, causes)


def check_written(
    planned: Mapping[str, Sequence[ImageAnnotation]], written: Classes, findings: Findings
) -> None:
    """Reports the splits and classes that had objects and have none now.

    Args:
      planned: the images of each split, before the objects were compared with the images.
      written: the objects of each split that were written; includes classes without objects.
      findings: those of reading and writing.
    """
    totals: Counter[str] = Counter()
    for objects in written.values():
        totals.update(objects)
    used = {split: annotations for split, annotations in planned.items() if annotations}
    if all(totals.values()) and all(any(written.get(split, {}).values()) for split in used):
        return  # the labels of millions of objects need not be looked at
    causes = _causes(Counter(findings.counts))
    lost: Counter[str] = Counter()
    for split, annotations in used.items():
        labels = Counter(label for annotation in annotations for label in annotation.labels)
        lost += Counter({label: count for label, count in labels.items() if not totals[label]})
        if labels and not any(written.get(split, {}).values()):
            findings.add("objects_all_lost", f"split {split}", causes, count=labels.total())
    for label, count in lost.items():
        findings.add("objects_all_lost", f"class {label!r}", causes, count=count)


def _causes(counts: Mapping[str, int]) -> str:
    """What objects were left out for, such as "20 box_outside"."""
    return ", ".join(f"{counts[code]:,} {code}" for code in _CAUSES if counts.get(code))
