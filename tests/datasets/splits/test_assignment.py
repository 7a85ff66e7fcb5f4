import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from samples import picture

from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.datasets import Loaded
from tfod_kit.datasets.splits import assignment
from tfod_kit.datasets.splits.assignment import SplitOptions
from tfod_kit.errors import DataError, TfodKitError, UsageError
from tfod_kit.formats.base import Source
from tfod_kit.formats.common.findings import Findings

ROOT = Path("/data")


def _image(name: str, label: str = "cat") -> ImageAnnotation:
    objects = (ObjectAnnotation(label, Box(0.1, 0.1, 0.5, 0.5)),) if label else ()
    return ImageAnnotation(ROOT / name, 40, 30, Path(name).name, objects)


def _loaded(*parts: tuple[str | None, Sequence[ImageAnnotation]]) -> Loaded:
    read = [(Source(str(n), split, ()), list(images)) for n, (split, images) in enumerate(parts)]
    return Loaded(("voc",), read, labels.from_names(["cat", "dog"]), {ROOT: ""})


CAMERAS = [_image(f"cam{number % 6}/{number}.jpg") for number in range(60)]


def _ids(groups: dict[str, list[ImageAnnotation]]) -> dict[str, set[str]]:
    return {name: {a.source_id for a in members} for name, members in groups.items()}


def test_the_data_sets_own_splits_are_kept_unless_another_is_asked_for() -> None:
    loaded = _loaded(("train", CAMERAS[:50]), ("test", CAMERAS[50:]))
    groups, told = assignment.apply(SplitOptions(), loaded, 0, Findings())
    assert told == "the data set's own"
    assert [len(groups[name]) for name in ("train", "val", "test")] == [50, 0, 10]
    groups, told = assignment.apply(SplitOptions({"train": 0.5, "val": 0.5}), loaded, 0, Findings())
    assert told == "train 0.5, val 0.5"
    assert [len(groups[name]) for name in ("train", "val", "test")] == [30, 30, 0]
    assert assignment.apply(SplitOptions(by="class"), loaded, 0, Findings())[1].endswith(
        ", by class"
    )


@pytest.mark.parametrize("key", ["folder", "cam[0-9]", r"cam(\d)/"])
def test_no_camera_on_both_sides(key: str) -> None:
    split = SplitOptions({"train": 0.6, "val": 0.4}, by="group", group_key=key)
    groups, told = assignment.apply(split, _loaded((None, CAMERAS)), 0, Findings())
    sides = [{a.image.parent.name for a in groups[name]} for name in ("train", "val")]
    assert sides[0] | sides[1] == {f"cam{number}" for number in range(6)}
    assert not sides[0] & sides[1]
    assert told == "train 0.6, val 0.4, by group"


def test_pictures_that_are_the_same_stay_on_one_side(tmp_path: Path) -> None:
    images = []
    for number in range(12):
        path = tmp_path / f"{number}.jpg"
        # Every picture stands there twice, once compressed anew.
        dice = random.Random(number // 2)
        noise = Image.frombytes("L", (9, 8), dice.randbytes(72)).resize((320, 240))
        noise.save(path, quality=90 - 40 * (number % 2))
        images.append(ImageAnnotation(path, 320, 240, path.name))
    split = SplitOptions({"train": 0.5, "val": 0.5}, by="group", group_key="content")
    groups, _ = assignment.apply(split, _loaded((None, images)), 0, Findings())
    sides = [{int(a.image.stem) // 2 for a in groups[name]} for name in ("train", "val")]
    assert [len(side) for side in sides] == [3, 3]
    assert not sides[0] & sides[1]


def test_folds_cover_everything_once_and_keep_the_test_split() -> None:
    loaded = _loaded(("train", CAMERAS[:40]), ("val", CAMERAS[40:50]), ("test", CAMERAS[50:]))
    validated: list[str] = []
    for fold in (1, 2, 3):
        groups, told = assignment.apply(SplitOptions(folds=3, fold=fold), loaded, 0, Findings())
        ids = _ids(groups)
        assert told == f"fold {fold} of 3"
        assert ids["test"] == {a.source_id for a in CAMERAS[50:]}
        assert not ids["train"] & ids["val"]
        assert len(ids["train"] | ids["val"]) == 50
        assert len(ids["val"]) in (16, 17)
        validated += ids["val"]
    assert sorted(validated) == sorted(a.source_id for a in CAMERAS[:50])


def test_a_share_of_train_becomes_val_and_the_test_split_stays() -> None:
    loaded = _loaded(("train", CAMERAS[:40]), ("test", CAMERAS[40:]))
    groups, told = assignment.apply(SplitOptions(val_share=0.25), loaded, 0, Findings())
    ids = _ids(groups)
    assert told == "the data set's own, and 25% of train as val"
    assert ids["test"] == {a.source_id for a in CAMERAS[40:]}
    assert len(ids["val"]) == 10
    assert ids["train"] | ids["val"] == {a.source_id for a in CAMERAS[:40]}


def test_a_val_split_is_not_replaced() -> None:
    loaded = _loaded(("train", CAMERAS[:40]), ("val", CAMERAS[40:]))
    with pytest.raises(UsageError, match="has a val split already"):
        assignment.apply(SplitOptions(val_share=0.25), loaded, 0, Findings())


def test_folds_by_group() -> None:
    split = SplitOptions(folds=3, fold=2, by="group", group_key="folder")
    groups, _ = assignment.apply(split, _loaded((None, CAMERAS)), 0, Findings())
    sides = [{a.image.parent.name for a in groups[name]} for name in ("train", "val")]
    assert [len(side) for side in sides] == [4, 2]
    assert not sides[0] & sides[1]


def test_lists_name_images_in_any_of_their_spellings(tmp_path: Path) -> None:
    train, val = tmp_path / "train.txt", tmp_path / "val.txt"
    train.write_text("\ufeff0.jpg\n\n./cam1/1.jpg\n2\r\n2\n")
    val.write_text("C:\\photos\\cam3\\3.jpg\n/home/me/cam4/4\n", "utf-8")
    findings = Findings()
    split = SplitOptions(lists={"train": train, "val": val})
    groups, told = assignment.apply(split, _loaded((None, CAMERAS[:6])), 0, findings)
    assert told == "the given lists"
    assert [a.source_id for a in groups["train"]] == ["0.jpg", "1.jpg", "2.jpg"]
    assert [a.source_id for a in groups["val"]] == ["3.jpg", "4.jpg"]
    assert findings.counts == {"image_not_in_lists": 1}


@pytest.mark.parametrize(
    ("lines", "kind", "said"),
    [
        (("7.jgp", ""), DataError, r"train.txt:1\n.*\n.*Did you mean '7(\.jpg)?'"),
        (("0.jpg", "0.jpg"), DataError, "two split lists"),
        (("same.jpg", ""), DataError, "matches several images"),
    ],
)
def test_lists_that_cannot_be_followed(
    tmp_path: Path, lines: tuple[str, str], kind: type[TfodKitError], said: str
) -> None:
    paths = {name: tmp_path / f"{name}.txt" for name in ("train", "val")}
    for path, line in zip(paths.values(), lines, strict=True):
        path.write_text(line)
    twins = [replace(_image(f"{f}/same.jpg"), source_id=f"{f}/same.jpg") for f in "ab"]
    images = [*CAMERAS[:10], *twins]
    with pytest.raises(kind, match=said):
        assignment.apply(SplitOptions(lists=paths), _loaded((None, images)), 0, Findings())


def test_an_absent_list_is_named() -> None:
    split = SplitOptions(lists={"train": Path("absent.txt")})
    with pytest.raises(UsageError, match=r"absent\.txt"):
        assignment.apply(split, _loaded((None, CAMERAS)), 0, Findings())


@pytest.mark.parametrize(
    ("split", "said"),
    [
        (SplitOptions({"train": 1.0}, folds=2), "four ways to split"),
        (SplitOptions({"train": 1.0}, val_share=0.1), "four ways to split"),
        (SplitOptions(val_share=1.0), "below 1 and not negative"),
        (SplitOptions(by="clas"), "Did you mean 'class'"),
        (SplitOptions(by="group"), "needs a group key"),
        (SplitOptions(group_key="x"), "needs a group key"),
        (SplitOptions(folds=1), "at least two folds"),
        (SplitOptions(folds=3, fold=4), "no fold 4 of 3"),
        (SplitOptions(by="class", lists={"train": Path("x")}), "nothing to split by"),
        (SplitOptions(by="group", group_key="("), "not a valid regular expression"),
        (SplitOptions(by="group", group_key="dog"), "does not match the name"),
        (SplitOptions(folds=61), "fewer images than folds"),
    ],
)
def test_ways_that_do_not_fit_together(split: SplitOptions, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        assignment.apply(split, _loaded((None, CAMERAS)), 0, Findings())


@pytest.mark.parametrize("text", ["train", "dev=a.txt", "train=", "train=a,train=b"])
def test_lists_are_named_by_split(text: str) -> None:
    with pytest.raises(UsageError, match="train=FILE"):
        assignment.parse_lists(text)
    assert assignment.parse_lists("train=a.txt, val=b.txt") == {
        "train": Path("a.txt"),
        "val": Path("b.txt"),
    }


def test_the_same_bytes_in_two_splits_are_a_leak_and_in_one_are_none(tmp_path: Path) -> None:
    one = picture(tmp_path / "one.jpg")
    copies = []
    for name in ("copy.jpg", "again.jpg", "other.jpg"):
        copies.append(tmp_path / name)
        copies[-1].write_bytes(one.read_bytes() + (b"\0" if name == "other.jpg" else b""))
    images = [ImageAnnotation(path, 40, 30, path.name) for path in (one, *copies)]
    findings = Findings()
    assignment.note_leaks({"train": images, "val": []}, findings)
    assert findings.counts == {}
    assignment.note_leaks({"train": images[:1], "val": images[1:]}, findings)
    assert findings.counts == {"image_of_same_bytes": 2}
    assert "one.jpg (train), copy.jpg (val), again.jpg (val)" in str(findings.as_dict())


def test_an_image_in_two_splits_is_told_once(tmp_path: Path) -> None:
    image = ImageAnnotation(picture(tmp_path / "a.jpg"), 40, 30, "a.jpg")
    findings = Findings()
    assignment.note_leaks({"train": [image], "val": [image]}, findings)
    assert findings.counts == {"image_in_several_splits": 1}
    assignment.note_leaks({"train": [image], "val": [image]}, findings)
    assert findings.counts == {"image_in_several_splits": 1}
