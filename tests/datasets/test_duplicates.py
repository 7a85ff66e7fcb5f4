import random
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageEnhance

from tfod_kit.datasets import duplicates


def _scene(path: Path, seed: int, *, change: str = "", size: tuple[int, int] = (320, 240)) -> Path:
    """Writes a picture of random rectangles, or a changed copy of it."""
    dice = random.Random(seed)
    image = Image.new("RGB", size, "gray")
    pen = ImageDraw.Draw(image)
    for _ in range(25):
        x, y = dice.randrange(size[0]), dice.randrange(size[1])
        colour = tuple(dice.randrange(256) for _ in range(3))
        pen.rectangle((x, y, x + dice.randrange(20, 90), y + dice.randrange(20, 90)), colour)
    if change == "smaller":
        image = image.resize((160, 120))
    if change == "brighter":
        image = ImageEnhance.Brightness(image).enhance(1.08)
    if change == "mirrored":
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image.save(path, **({"quality": 40} if change == "compressed" else {}))
    return path


@pytest.mark.parametrize("change", ["smaller", "brighter", "compressed", ""])
def test_a_changed_copy_looks_the_same_and_other_pictures_do_not(
    tmp_path: Path, change: str
) -> None:
    others = [_scene(tmp_path / f"{seed}.jpg", seed) for seed in range(60)]
    copy = _scene(tmp_path / "copy.jpg", 7, change=change)
    assert list(duplicates.alike([*others, copy])) == [(others[7], copy)]


def test_a_png_is_compared_with_a_jpeg(tmp_path: Path) -> None:
    pair = _scene(tmp_path / "a.jpg", 1), _scene(tmp_path / "a.png", 1)
    assert list(duplicates.alike(pair)) == [pair]


def test_a_mirrored_picture_is_another_as_documented(tmp_path: Path) -> None:
    pair = _scene(tmp_path / "a.jpg", 1), _scene(tmp_path / "b.jpg", 1, change="mirrored")
    assert list(duplicates.alike(pair)) == []


def test_what_shows_nothing_or_cannot_be_read_is_like_no_other(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png", "absent.png")]
    for path, colour in zip(paths[:2], ("black", "black"), strict=True):
        Image.new("RGB", (50, 50), colour).save(path)
    paths[2].write_text("<html>")
    assert list(duplicates.alike(paths)) == []
    assert duplicates.same_bytes(paths) == [paths[:2]]


def test_same_bytes_groups_by_content_not_by_name_or_size(tmp_path: Path) -> None:
    contents = {"a": b"12", "b": b"34", "c": b"12", "d": b"123", "e": b"34", "f": b"12"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    groups = duplicates.same_bytes([tmp_path / name for name in (*contents, "a", "absent")])
    assert [[path.name for path in group] for group in groups] == [["a", "c", "f"], ["b", "e"]]


def test_only_files_of_one_size_that_end_alike_are_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = bytes(200)
    for name, content in {
        "a": b"1",
        "b": b"2" + body,
        "c": b"3" + body,
        "d": body + b"4",
        "absent": None,
    }.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    read: list[str] = []
    whole = duplicates.image_files.read
    monkeypatch.setattr(
        duplicates.image_files, "read", lambda path: read.append(path.name) or whole(path)
    )
    assert duplicates.same_bytes(sorted(tmp_path.iterdir())) == []
    assert read == ["b", "c"]


def test_families_join_what_is_the_same_at_any_remove(tmp_path: Path) -> None:
    one, other = _scene(tmp_path / "a.jpg", 1), _scene(tmp_path / "b.jpg", 2)
    smaller = _scene(tmp_path / "c.jpg", 1, change="smaller")
    copy = tmp_path / "d.jpg"
    copy.write_bytes(smaller.read_bytes())
    found = duplicates.families([one, other, smaller, copy])
    assert found == {one: one, other: other, smaller: one, copy: one}
