"""Random scenes: ground truth with boxes, masks and keypoints, and roughly matching detections.

They are written as COCO JSON and COCO results.
"""

import json
import random
from pathlib import Path
from typing import Any

SIDE = 320
NAMES = ("cat", "dog", "bird")
IDS = (1, 2, 4)  # with a gap, as COCO's


def write(folder: Path, *, images: int = 30, points: int = 17, seed: int = 1) -> tuple[Path, Path]:
    """Writes truth.json and found.json; returns their paths."""
    dice = random.Random(seed)
    frames = [
        {"id": 100 + 3 * n, "width": SIDE, "height": SIDE, "file_name": f"{n}.jpg"}
        for n in range(images)
    ]
    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for frame in frames:
        for _ in range(dice.randrange(6)):
            item = _object(dice, frame["id"], points) | {"id": len(truth) + 1}
            truth.append(item)
            found += [_noisy(dice, item) for _ in range(dice.choice((0, 1, 1, 1, 2)))]
        found += [
            _object(dice, frame["id"], points) | {"score": dice.random() / 2}
            for _ in range(dice.randrange(3))
        ]
    for item in found:
        item.pop("area")
        item.pop("iscrowd")
        item["segmentation"] = _compressed(item["segmentation"])
    categories = [{"id": number, "name": name} for number, name in zip(IDS, NAMES, strict=True)]
    content = {"images": frames, "annotations": truth, "categories": categories}
    paths = folder / "truth.json", folder / "found.json"
    for path, value in zip(paths, (content, found), strict=True):
        path.write_text(json.dumps(value))
    return paths


def _object(dice: random.Random, image: int, points: int) -> dict[str, Any]:
    width, height = dice.uniform(10, 150), dice.uniform(10, 150)
    x, y = dice.uniform(0, SIDE - width), dice.uniform(0, SIDE - height)
    flat: list[float] = []
    for _ in range(points):
        flat += [dice.uniform(x, x + width), dice.uniform(y, y + height), dice.choice((0, 1, 2, 2))]
    return {
        "image_id": image,
        "category_id": dice.choice(IDS),
        "bbox": [x, y, width, height],
        "area": width * height / 2,
        "iscrowd": int(dice.random() < 0.08),
        "segmentation": [[x, y, x + width, y, x + width / 2, y + height]],
        "keypoints": flat,
        "num_keypoints": sum(value > 0 for value in flat[2::3]),
    }


def _noisy(dice: random.Random, item: dict[str, Any]) -> dict[str, Any]:
    spread = dice.choice((1, 4, 15))
    x, y, width, height = (value + dice.gauss(0, spread) for value in item["bbox"])
    width, height = max(width, 2), max(height, 2)
    moved = [
        value + (dice.gauss(0, spread / 3) if index % 3 < 2 else 0)
        for index, value in enumerate(item["keypoints"])
    ]
    return {
        **item,
        "category_id": item["category_id"] if dice.random() < 0.8 else dice.choice(IDS),
        "bbox": [x, y, width, height],
        "segmentation": [[x, y, x + width, y, x + width / 2, y + height]],
        "keypoints": moved,
        "score": dice.random(),
    }


def _compressed(rings: list[list[float]]) -> dict[str, Any]:
    from pycocotools import mask

    rle = mask.merge(mask.frPyObjects(rings, SIDE, SIDE))
    return {"size": rle["size"], "counts": rle["counts"].decode()}
