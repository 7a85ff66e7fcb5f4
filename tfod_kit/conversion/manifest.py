"""manifest.json: hashes of the sources of the records and of the records.

Two conversions with equal `inputs` and `options` have equal `files`, on any machine. The manifest
shows whether records come from a data set and whether a copy of them is complete, without reading
either in full. It contains neither times nor paths.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from tfod_kit import __version__
from tfod_kit.conversion.writing import Shard, WrittenShard

MANIFEST = "manifest.json"


def manifest(
    options: Mapping[str, object], plan: Sequence[Shard], written: Sequence[WrittenShard]
) -> dict[str, object]:
    """The content of manifest.json.

    Args:
      options: the options of the conversion.
      plan, written: the shards, and the content of each.
    """
    return {
        "tfod_kit": __version__,
        "options": dict(options),
        "inputs": {
            "annotations_sha256": _joined(done.annotations for done in written),
            "images_sha256": _joined(done.pixels for done in written),
        },
        "files": {
            shard.path.name: {
                "records": done.images,
                "bytes": done.bytes,
                "crc32c": done.crc32c,
            }
            for shard, done in zip(plan, written, strict=True)
        },
    }


def _joined(hashes: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
