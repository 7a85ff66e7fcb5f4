import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tfod_kit import demo
from tfod_kit.demo import scene
from tfod_kit.errors import UsageError


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        demo.write(tmp_path / name, images=12, seed=seed)
    assert _files(tmp_path / "a") == _files(tmp_path / "b")
    assert _files(tmp_path / "a") != _files(tmp_path / "c")


def test_images_and_annotations_are_where_the_splits_say(tmp_path: Path) -> None:
    images = demo.write(tmp_path / "demo", images=12)
    files = _files(tmp_path / "demo")
    for image in images:
        assert f"{image.folder}/{image.name}" in files
        assert f"Annotations/{Path(image.name).stem}.xml" in files
    for split in ("train", "val", "test"):
        assert f"annotations/instances_{split}.json" in files
        names = files[f"ImageSets/Main/{split}.txt"].decode().split()
        assert names == [Path(p.name).stem for p in images if p.split == split]
    assert {p.folder for p in images if p.split == "test"} == {"unseen"}


@pytest.mark.parametrize("seed", range(20))
def test_boxes_are_tight_around_visible_pixels(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shape is painted in a plain colour of its own on black, and then located."""
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    painted: list[tuple[int, int, int]] = []

    def paint(image: Image.Image, mask: Image.Image, *_: object) -> Image.Image:
        painted.append(colors[len(painted)])
        return Image.new("RGB", mask.size, painted[-1])

    hard = scene._mask
    monkeypatch.setattr(
        scene, "_mask", lambda *a: hard(*a).point([255 * (v > 127) for v in range(256)])
    )
    monkeypatch.setattr(scene, "_paint", paint)
    monkeypatch.setattr(scene, "_ground", lambda rng: Image.new("RGB", (demo.WIDTH, demo.HEIGHT)))
    monkeypatch.setattr(scene, "_grained", lambda image, rng: image)
    image, shapes = demo.draw(random.Random(seed))
    pixels = np.asarray(image)
    assert len(shapes) == len(painted) > 0
    size = {"size": [demo.HEIGHT, demo.WIDTH]}
    for shape, color in zip(shapes, painted, strict=True):
        visible = (pixels == color).all(axis=2)
        rows, columns = np.nonzero(visible)
        found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert found == shape.corners
        mask = coco_mask.decode([{"counts": shape.mask.counts} | size])[:, :, 0]
        assert (mask == visible).all()
        (_, top), (right, _), (_, bottom), (left, _) = shape.points
        assert (left, top, right + 1, bottom + 1) == shape.corners
        assert all(visible[y, x] for x, y in shape.points)


def test_shapes_are_large_enough_to_learn(tmp_path: Path) -> None:
    shapes = [s for p in demo.write(tmp_path / "demo", images=60) for s in p.shapes]
    sides = [min(s.corners[2] - s.corners[0], s.corners[3] - s.corners[1]) for s in shapes]
    assert min(sides) >= demo.HEIGHT // 12
    assert np.median(sides) >= demo.HEIGHT // 6
    assert {s.label for s in shapes} == set(demo.CLASSES)


def test_more_images_leave_the_first_ones_unchanged(tmp_path: Path) -> None:
    few = {p.name: p for p in demo.write(tmp_path / "few", images=12)}
    many = {p.name: p for p in demo.write(tmp_path / "many", images=24)}
    assert all(many[name] == image for name, image in few.items())


def test_a_folder_with_other_things_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="other things"):
        demo.write(tmp_path, images=3)
    with pytest.raises(UsageError, match="at least 3"):
        demo.write(tmp_path / "demo", images=2)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
