"""How the agents and the tests exchange data sets: as JSON, which needs no package of either.

    {"classes": ["cat", ...],
     "images": [{"name": "a.jpg", "path": "/.../a.jpg", "split": "train", "width": 64, "height": 48,
                 "objects": [{"label": "cat", "box": [xmin, ymin, xmax, ymax],
                              "rings": [[x0, y0, ...], ...] or null,
                              "runs": [zeros, ones, ...] or null}]}]}

Boxes and rings are in px. `runs` is a mask of the whole image, column by column, as in COCO; a mask
is given as rings or as runs.

An agent is a script with READERS and WRITERS, run in the environment of its peer:

    python AGENT.py read FORMAT FOLDER RESULT.json
    python AGENT.py write FORMAT CONTENT.json FOLDER
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

Item = dict  # an object, an image or a data set, as above
Reader = Callable[[Path], Item]
Writer = Callable[[Item, Path], None]


def main(readers: Mapping[str, Reader], writers: Mapping[str, Writer]) -> None:
    """Runs what the command line names."""
    action, name, source, target = sys.argv[1:]
    if action == "read":
        content = readers[name](Path(source))
        Path(target).write_text(json.dumps(content, default=float))
    else:
        content = json.loads(Path(source).read_text())
        writers[name](content, Path(target))


def object_of(
    label: str,
    box: Iterable[float],
    rings: Iterable[Iterable[float]] | None = None,
    bitmap: object = None,
) -> Item:
    """An object; `bitmap` is an array of the image's size."""
    return {
        "label": label,
        "box": [float(edge) for edge in box],
        "rings": None if rings is None else [[float(v) for v in ring] for ring in rings],
        "runs": None if bitmap is None else runs(bitmap),
    }


def from_xywh(x: float, y: float, width: float, height: float) -> list[float]:
    return [x, y, x + width, y + height]


def runs(bitmap: object) -> list[int]:
    """The run lengths of a mask, column by column, zeros first."""
    import numpy as np

    flat = np.asarray(bitmap, dtype=bool).ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate(([0], ends, [flat.size]))).tolist()
    return [0, *lengths] if flat.size and flat[0] else lengths


def split_of(path: Path) -> str:
    """The split that one of a path's parts names, "" if none does."""
    words = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
    parts = (*path.parent.parts, path.stem)
    return next((words[part] for part in reversed(parts) if part in words), "")


def by_split(content: Item) -> dict[str, list[Item]]:
    splits: dict[str, list[Item]] = {}
    for image in content["images"]:
        splits.setdefault(image["split"], []).append(image)
    return splits
