"""MOT Challenge and VisDrone: frames of sequences, and numbers separated by commas."""

from pathlib import Path

import pytest
from rich_samples import pixels, read
from samples import picture

from tfod_kit.errors import DataError

AT = (4.0, 3.0, 20.0, 15.0)


def _mot(home: Path, rows: str, frames: int = 2, folder: str = "img1") -> Path:
    for number in range(1, frames + 1):
        picture(home / folder / f"{number:06}.jpg")
    (home / "gt").mkdir(parents=True)
    (home / "gt" / "gt.txt").write_text(rows)
    return home


def test_mot16(tmp_path: Path) -> None:
    rows = "1,1,5,4,16,12,1,1,0.3\n1,2,5,4,16,12,0,8,1\n3,1,5,4,16,12,1,1,1\n"
    for name in ("MOT16-02", "MOT16-04"):
        _mot(tmp_path / "train" / name, rows, frames=3)
        (tmp_path / "train" / name / "det").mkdir()
        (tmp_path / "train" / name / "det" / "det.txt").write_text("1,-1,5,4,16,12,0.9,-1,-1,-1\n")
    found, counts = read(tmp_path, "auto", split="train", origin=1)
    assert [pixels(a) for a in found] == [[("pedestrian", AT)], [], [("pedestrian", AT)]] * 2
    assert [item.occluded for a in found for item in a.objects] == [True, False] * 2
    assert len({a.source_id for a in found}) == 6
    assert counts == {"dont_care": 2}


def test_mot15_has_coordinates_in_place_of_a_class(tmp_path: Path) -> None:
    (first, _), _ = read(_mot(tmp_path / "x", "1,1,4,3,16,12,1,-1,-1,-1\n"), "auto")
    assert pixels(first) == [("pedestrian", AT)]


def test_seqinfo_names_the_folder_of_the_images(tmp_path: Path) -> None:
    home = _mot(tmp_path / "x", "1,1,4,3,16,12,1,1,1\n", folder="frames")
    (home / "seqinfo.ini").write_text("[Sequence]\nname=x\nimDir=frames\nseqLength=2\n")
    (first, second), _ = read(home, "auto")
    assert (pixels(first), pixels(second)) == ([("pedestrian", AT)], [])


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("1,2,4,3,16,x,1,1,1", "number_unreadable"),
        ("1,2,4,3,16,12,1,99,1", "class_missing"),
        ("1.5,2,4,3,16,12,1,1,1", "row_unreadable"),
        ("1,2,4", "row_unreadable"),
        ("7,2,4,3,16,12,1,1,1", "image_missing"),
    ],
)
def test_mot_rows_that_only_a_person_can_correct(tmp_path: Path, row: str, code: str) -> None:
    home = _mot(tmp_path / "x", f"1,1,4,3,16,12,1,1,1\n{row}\n", frames=1)
    with pytest.raises(DataError) as caught:
        read(home, "auto")
    assert caught.value.where == "gt/gt.txt:2"
    (annotation,), counts = read(home, "auto", "skip")
    assert pixels(annotation) == [("pedestrian", AT)]
    assert counts == {code: 1}


def _visdrone(root: Path, rows: str) -> Path:
    picture(root / "VisDrone2019-DET-train" / "images" / "0000001_1.jpg")
    folder = root / "VisDrone2019-DET-train" / "annotations"
    folder.mkdir()
    (folder / "0000001_1.txt").write_text(rows)
    return root


def test_visdrone(tmp_path: Path) -> None:
    rows = "4,3,16,12,1,4,1,2\n4,3,16,12,0,0,0,0\n4,3,16,12,0,11,0,0\n4,3,16,12,1,1,0,0,\n"
    (annotation,), counts = read(_visdrone(tmp_path, rows), "auto", split="train")
    assert pixels(annotation) == [("car", AT), ("pedestrian", AT)]
    car, pedestrian = annotation.objects
    assert (car.truncated, car.occluded) == (True, True)
    assert (pedestrian.truncated, pedestrian.occluded) == (False, False)
    assert counts == {"dont_care": 2}


def test_visdrone_sequences(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        picture(tmp_path / "sequences" / "uav7" / f"{number:07}.jpg")
    (tmp_path / "annotations").mkdir()
    rows = "1,0,4,3,16,12,1,4,0,0\n3,0,4,3,16,12,1,9,0,1\n3,1,4,3,16,12,0,0,0,0\n"
    (tmp_path / "annotations" / "uav7.txt").write_text(rows)
    found, counts = read(tmp_path, "auto")
    assert [pixels(a) for a in found] == [[("car", AT)], [], [("bus", AT)]]
    assert counts == {"dont_care": 1}


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("4,3,16,12,1,99,0,0", "class_missing"),
        ("4,3,16,12,1", "row_unreadable"),
        ("4,3,16,nan,1,4,0,0", "number_unreadable"),
    ],
)
def test_visdrone_rows_that_only_a_person_can_correct(tmp_path: Path, row: str, code: str) -> None:
    _visdrone(tmp_path, f"4,3,16,12,1,4,0,0\n{row}\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path, "auto")
    assert str(caught.value.where).endswith("0000001_1.txt:2")
    (annotation,), counts = read(tmp_path, "auto", "skip")
    assert pixels(annotation) == [("car", AT)]
    assert counts == {code: 1}
