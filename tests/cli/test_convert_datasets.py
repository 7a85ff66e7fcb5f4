"""The data-set options of `tfod convert`: several sources, classes, ways to split."""

import json
from pathlib import Path

import pytest
from samples import voc

from tfod_kit.cli.main import main
from tfod_kit.records import example, shards


def _tfod(*words: object) -> int:
    return main([str(word) for word in words])


def _report(out: Path) -> dict:
    return json.loads((out / "report.json").read_text())


def _ids(out: Path) -> dict[str, set[str]]:
    return {
        split: {
            example.decode(record)[0].source_id for path in paths for record in shards.read(path)
        }
        for split, paths in shards.bases(out).items()
    }


def test_sources_are_merged_and_classes_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    sources = voc(tmp_path / "a"), voc(tmp_path / "b", 5)
    assert _tfod("convert", *sources, "--merge", "cat,dog=pet", "--split", "1", "--out", out) == 0
    report = _report(out)
    assert report["splits"]["train"]["images"] == 15
    assert report["label_map"] == {"pet": 1}
    assert report["findings"]["class_renamed"]["count"] == 13
    assert "[class_renamed]" in capsys.readouterr().out
    assert len(_ids(out)["train"]) == 15


def test_what_was_not_included_is_counted(tmp_path: Path) -> None:
    out = tmp_path / "out"
    data = voc(tmp_path / "a")
    assert _tfod("convert", data, "--include", "dog", "--drop_emptied", "--out", out) == 0
    report = _report(out)
    assert report["label_map"] == {"dog": 1}
    counts = {code: finding["count"] for code, finding in report["findings"].items()}
    assert counts["class_left_out"] == 5
    assert counts["image_emptied_left_out"] == 5
    assert sum(split["images"] for split in report["splits"].values()) == 5


def test_kfold_writes_each_fold_and_fold_one_alone(tmp_path: Path) -> None:
    data, out = voc(tmp_path / "a", 9), tmp_path / "folds"
    assert _tfod("convert", data, "--kfold", 3, "--split_by", "class", "--out", out) == 0
    folds = [_ids(out / f"fold-{number}") for number in (1, 2, 3)]
    assert sorted(path.name for path in out.iterdir()) == ["fold-1", "fold-2", "fold-3"]
    assert sorted(name for fold in folds for name in fold["val"]) == [f"{n}.jpg" for n in range(9)]
    for fold in folds:
        assert fold["train"] | fold["val"] == {f"{n}.jpg" for n in range(9)}
    assert _tfod("convert", data, "--kfold", 3, "--fold", 2, "--split_by", "class",
                 "--out", tmp_path / "two") == 0  # fmt: skip
    assert _ids(tmp_path / "two") == folds[1]


def test_folds_of_another_k_are_not_left_beside_new_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = voc(tmp_path / "a", 9), tmp_path / "folds"
    assert _tfod("convert", data, "--kfold", 3, "--out", out) == 0
    assert _tfod("convert", data, "--kfold", 2, "--out", out) == 2
    assert "fold-3" in capsys.readouterr().err


def test_lists_and_groups_reach_the_conversion(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for camera in "abc":
        voc(data / camera, 4)
    options = ["--split_by", "group", "--group_key", "folder", "--split", "0.7,0.3"]
    assert _tfod("convert", data, *options, "--out", tmp_path / "groups") == 0
    sides = [{name[0] for name in ids} for ids in _ids(tmp_path / "groups").values()]
    assert len(sides) == 2
    assert not sides[0] & sides[1]
    (tmp_path / "train.txt").write_text("a/1.jpg\nb/2.jpg\n")
    lists = ["--split_lists", f"train={tmp_path / 'train.txt'}"]
    assert _tfod("convert", data, *lists, "--out", tmp_path / "lists") == 0
    assert _ids(tmp_path / "lists") == {"train": {"a/1.jpg", "b/2.jpg"}}
    assert _report(tmp_path / "lists")["findings"]["image_not_in_lists"]["count"] == 10


def test_the_same_bytes_in_two_splits_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "val"):
        voc(tmp_path / "data" / split)
    assert _tfod("convert", tmp_path / "data", "--out", tmp_path / "out") == 0
    assert "[image_of_same_bytes]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--include", "cta"], "Did you mean 'cat'"),
        (["--fold", "1"], "--fold needs --kfold"),
        (["--kfold", "2", "--split", "0.5,0.5"], "four ways to split"),
        (["--split_by", "group"], "needs a group key"),
        (["--split_lists", "train"], "train=FILE"),
        (["--kfold", "99"], "fewer images than folds"),
    ],
)
def test_a_mistake_is_told_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    out = tmp_path / "out"
    assert _tfod("convert", voc(tmp_path / "data"), *words, "--out", out) == 2
    assert said in capsys.readouterr().err
    assert not list(out.glob("*"))
