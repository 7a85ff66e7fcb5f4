import json
import os
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

import pytest
from samples import voc, voc_xml

from tfod_kit import formats
from tfod_kit.cli.main import main
from tfod_kit.formats import FORMATS


def _tfod(*words: object) -> int:
    return main([str(word) for word in words])


def test_the_summary_names_counts_findings_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = voc(tmp_path / "data")
    (data / "3.xml").write_text(voc_xml("3.jpg", [("cat", (4, 3, 50, 15))]))
    assert _tfod("convert", data, "--out", tmp_path / "out", "--split", "train=0.8,val=0.2") == 0
    said = capsys.readouterr().out
    assert "Read as Pascal VOC XML (10 files, such as 0.xml). Splits: train 0.8, val 0.2." in said
    assert "box_clipped" in said
    assert "3.jpg, object 1 (cat): xmin 4, ymin 3, xmax 50, ymax 15 px in 40x30" in said
    assert f"Wrote {tmp_path}/out/train-?????-of-00001.tfrecord" in said
    assert f"Wrote {tmp_path}/out/report.json" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["absent"], "The data set does not exist"),
        (["data", "--format", "yollo"], "There is no format 'yollo'"),
        (["data", "--split", "0.5,0.6"], "split ratios are invalid"),
        (["data", "--shards", "0"], "argument --shards: 0 is below 1"),
        (["data", "--workers", "many"], "--workers: 'many' is not a whole number"),
        (["data", "--label_map", "coco2017"], "Did you mean 'coco_2017'"),
        (["empty"], "No annotations were found"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    voc(tmp_path / "data")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert _tfod("convert", *words) == 2
    message = capsys.readouterr().err
    assert message.startswith("tfod: ")
    assert said in message
    assert "Traceback" not in message
    assert not (tmp_path / "work").exists()


def test_what_is_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = voc(tmp_path / "data")
    (data / "7.jpg").write_text("<html>")
    assert _tfod("convert", data, "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err.count("--on_error skip") == 1
    assert _tfod("convert", data, "--out", tmp_path / "out", "--on_error", "skip") == 0
    said = capsys.readouterr().out
    assert "1  left out: An image cannot be used. [image_unusable]" in said
    assert "7.jpg: text that looks like HTML" in said


def test_seed_shards_and_workers_reach_the_conversion(tmp_path: Path) -> None:
    data = voc(tmp_path / "data")
    options = ["--split", "1", "--shards", "2", "--workers", "2", "--seed", "5"]
    assert _tfod("convert", data, "--out", tmp_path / "out", *options) == 0
    assert len(list((tmp_path / "out").glob("train-*-of-00002.tfrecord"))) == 2


def test_demo_then_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _tfod("demo", "--out", tmp_path / "demo", "--images", "6") == 0
    assert f"tfod convert {tmp_path / 'demo'} --format voc" in capsys.readouterr().out
    assert _tfod("convert", tmp_path / "demo", "--out", tmp_path / "records") == 0
    assert (tmp_path / "records" / "label_map.pbtxt").is_file()


NO_NEGATIVES = {"open_images"}  # the format lists boxes, and nothing else


@pytest.mark.parametrize("to", FORMATS.writable)
def test_another_format_and_back_to_the_same_boxes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], to: str
) -> None:
    data = voc(tmp_path / "data")
    assert _tfod("convert", data, "--to", to, "--out", tmp_path / to, "--seed", "3") == 0
    said = capsys.readouterr().out
    assert f"Wrote {tmp_path / to}/report.json" in said
    for line in said.splitlines():
        if line.startswith("Wrote "):
            assert Path(line.removeprefix("Wrote ")).exists()
    original, again = (
        {a.image.name: [(item.label, item.box) for item in a.objects] for a in formats.read(folder)}
        for folder in (data, tmp_path / to)
    )
    if to in NO_NEGATIVES:
        original = {name: objects for name, objects in original.items() if objects}
    assert again.keys() == original.keys()
    for name, objects in original.items():
        assert [label for label, _ in again[name]] == [label for label, _ in objects]
        for (_, box), (_, other) in zip(objects, again[name], strict=True):
            assert astuple(box) == pytest.approx(astuple(other), abs=1e-6)


def test_records_go_back_to_annotations(tmp_path: Path) -> None:
    data = voc(tmp_path / "data")
    assert _tfod("convert", data, "--out", tmp_path / "records") == 0
    assert _tfod("convert", tmp_path / "records", "--to", "voc", "--out", tmp_path / "voc") == 0
    lists = tmp_path / "voc" / "ImageSets" / "Main"
    assert sorted(path.name for path in lists.iterdir()) == ["test.txt", "train.txt", "val.txt"]
    for name in ("1.jpg", "7.jpg"):
        assert (tmp_path / "voc" / "JPEGImages" / name).read_bytes() == (data / name).read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "coco", "--shards", "3"], "are for records"),
        (["--link"], "they cannot link"),
        (["--to", "coco", "--out", "data"], "contains the data set itself"),
        (["--to", "coco", "--out", "."], "contains the data set itself"),
    ],
)
def test_mistakes_with_to(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    voc(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    assert _tfod("convert", "data", *words) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
@pytest.mark.parametrize(
    "verb", [["convert"], *(["convert", "--to", to] for to in FORMATS.writable)]
)
def test_a_name_that_is_no_utf_8(tmp_path: Path, verb: list[str]) -> None:
    """As unpacked of an archive from Windows: "é" is one byte, and no UTF-8."""
    data = voc(tmp_path / "data", 4)
    name = os.fsdecode(b"caf\xe9")
    for ending in (".jpg", ".xml"):
        (data / f"1{ending}").rename(data / f"{name}{ending}")
        (data / f"2{ending}").rename(data / f"caf_{ending}")  # what the other's name is made to
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    out = tmp_path / "out"
    for words in ([*verb, str(data), "--out", str(out), "--split", "1"], ["inspect", str(data)]):
        command = [sys.executable, "-m", "tfod_kit", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=strict)
        assert done.returncode == 0, done.stderr
    read = formats.read(out)
    expected = 3 if verb[-1] in NO_NEGATIVES else 4
    assert len(read) == expected
    assert len({a.source_id for a in read}) == expected
    for annotation in read:
        annotation.source_id.encode()
        annotation.image.name.encode()
    os.truncate(data / f"{name}.jpg", 100)  # so that it is spoken of
    command = [sys.executable, "-m", "tfod_kit", *verb, str(data), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, env=strict)
    assert done.returncode == 2
    assert "caf\\udce9.jpg" in done.stderr
    done = subprocess.run([*command, "--on_error", "skip"], capture_output=True, env=strict)
    assert done.returncode == 0
    assert json.loads((out / "report.json").read_text())["findings"]["image_unusable"]["count"] == 1
