"""Decides which images go into which record file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tfod_kit import datasets
from tfod_kit.conversion.options import ConvertOptions, SharedOptions
from tfod_kit.conversion.writing import Shard
from tfod_kit.core.annotations import ImageAnnotation
from tfod_kit.datasets.splits import assignment, shares
from tfod_kit.errors import DataError
from tfod_kit.formats.common.findings import Findings
from tfod_kit.io import resumable_output
from tfod_kit.records import example, image_files, shards

_SHARD_BYTES = 100 << 20  # TensorFlow advises files of 100 to 200 MB for tf.data
_SHARD_IMAGES = 250  # of small images: enough files for a few readers, few enough to look through
_FEW_SHARDS = 4


def assign(
    loaded: datasets.Loaded, options: SharedOptions, findings: Findings
) -> tuple[assignment.Groups, str]:
    """The images by split, and a description of where the splits came from.

    Raises:
      DataError: no image remains.
    """
    groups, description = assignment.apply(options.split, loaded, options.seed, findings)
    if not any(groups.values()):
        raise DataError(
            "No image is left to convert.",
            where=", ".join(map(str, loaded.roots)),
            fix=_advice(findings),
        )
    return groups, description


def plan(
    groups: assignment.Groups, loaded: datasets.Loaded, out: Path, options: ConvertOptions
) -> list[Shard]:
    """The shards to write. Each gets images in shuffled order, a random sample of its split."""
    planned = []
    folder = resumable_output.partial_folder(out)
    keypoints = example.keypoint_names(a for members in groups.values() for a in members)
    for name, members in groups.items():
        if not members:
            continue
        order = shares.order([a.source_id for a in members], options.seed)
        shuffled = [members[index] for index in order]
        total = min(options.shards or _default_shards(members), len(members))
        planned += [
            Shard(
                path=folder / shards.name(name, index, total),
                split=name,
                annotations=tuple(shuffled[index::total]),
                label_map=loaded.classes,
                on_error=options.on_error,
                max_side=options.max_side,
                keypoints=keypoints,
                masks=options.masks,
            )
            for index in range(total)
        ]
    return planned


def _default_shards(members: Sequence[ImageAnnotation]) -> int:
    """The number of record files, from the size of the images and their number."""
    total_bytes = sum(image_files.size_on_disk(a.image) for a in members)
    by_number = min(_FEW_SHARDS, -(-len(members) // _SHARD_IMAGES))
    return max(by_number, -(-total_bytes // _SHARD_BYTES))


def _advice(findings: Findings) -> str:
    counts: Mapping[str, int] = findings.counts
    reasons = ", ".join(f"{count} {code}" for code, count in counts.items())
    return f"Correct what was left out: {reasons}." if reasons else "Add images to the data set."
