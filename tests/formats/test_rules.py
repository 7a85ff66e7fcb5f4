"""The rules that hold for every reader, each tried on the fixture of every format.

A new format is tried as soon as it is in the table.
"""

import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tfod_kit import formats, inspection
from tfod_kit.conversion import ConvertOptions, convert
from tfod_kit.conversion.options import RewriteOptions
from tfod_kit.conversion.report import ConversionReport, SplitSummary
from tfod_kit.conversion.rewriting import rewrite
from tfod_kit.datasets import LoadOptions
from tfod_kit.datasets.splits.assignment import SplitOptions
from tfod_kit.errors import DataError
from tfod_kit.formats import FORMATS
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.image_index import EXTENSIONS

FIXTURES = Path(__file__).parent / "fixtures"
EMBEDDED = {"tfrecord", "parquet"}  # their images are in the annotation file
APART = [name for name in FORMATS if name not in EMBEDDED]
ALL_IN_ONE = SplitOptions({"train": 1.0})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def _copy(name: str, data: Path) -> Path:
    return Path(shutil.copytree(FIXTURES / name, data))


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS)


def _annotations(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and path not in _images(folder)
    )


def _counts(read: list) -> tuple[int, Counter[str]]:
    return len(read), Counter(item.label for a in read for item in a.objects)


def _convert(name: str, data: Path, out: Path) -> ConversionReport:
    options = ConvertOptions(format=name, split=ALL_IN_ONE)
    return convert(data, out, options)


@pytest.mark.parametrize("name", APART)
def test_a_data_set_that_loses_all_objects_stops(name: str, data: Path, tmp_path: Path) -> None:
    """The images are others than those annotated: much smaller, and of another shape.

    Fractions fit any image, and then every object is kept.
    """
    once = _counts(formats.read(_copy(name, data), format=name))
    for number, path in enumerate(_images(data), start=1):
        Image.new("RGB", (3, 2), (number, 0, 0)).save(path)
    try:
        report = _convert(name, data, tmp_path / "out")
    except DataError:
        assert not (tmp_path / "out").exists()
    else:
        assert report.splits["train"].classes == once[1]


@pytest.mark.parametrize("name", FORMATS)
def test_annotations_that_are_there_twice_do_not_double_an_image(name: str, data: Path) -> None:
    once = _counts(formats.read(_copy(name, data), format=name))
    for path in _annotations(data):
        again = data / "again" / path.relative_to(data)
        again.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, again)
    try:
        twice = _counts(formats.read(data, format=name))
    except DataError:
        return  # refused
    assert twice == once


@pytest.mark.parametrize("name", APART)
def test_images_behind_links_are_read_and_reported(name: str, data: Path, tmp_path: Path) -> None:
    once = _counts(formats.read(_copy(name, data), format=name))
    outside = tmp_path / "outside"
    for path in _images(data):
        target = outside / path.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        path.symlink_to(target)
    with pytest.raises(DataError, match="--follow_links"):
        formats.read(data, format=name)
    findings = Findings()
    followed = formats.ReadOptions(follow_links=True)
    assert _counts(formats.read(data, format=name, findings=findings, options=followed)) == once
    assert findings.counts["link_followed"] == len(_images(data))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
@pytest.mark.parametrize("name", FORMATS)
def test_fifos_are_not_opened(name: str, data: Path) -> None:
    once = _counts(formats.read(_copy(name, data), format=name))
    suffixes = {path.suffix for path in data.rglob("*") if path.is_file()}
    for folder in [data, *(path for path in data.rglob("*") if path.is_dir())]:
        for suffix in suffixes:
            os.mkfifo(folder / f"fifo{suffix}")
    findings = Findings()
    assert _counts(formats.read(data, findings=findings)) == once
    assert findings.counts["special_file"] >= len(suffixes)


@pytest.mark.parametrize("name", APART)
def test_inspect_finds_what_convert_stops_at(name: str, data: Path, tmp_path: Path) -> None:
    """Here an image that is missing."""
    annotated = max(formats.read(_copy(name, data), format=name), key=lambda a: len(a.objects))
    annotated.image.unlink()
    with pytest.raises(DataError):
        _convert(name, data, tmp_path / "out")
    skipped = Findings("skip")
    try:
        formats.read(data, format=name, findings=skipped)
        found = inspection.inspect(data, LoadOptions(format=name))
    except DataError:
        return  # nothing is left to look at, which is said in the same words
    assert skipped.counts.keys() <= found.findings.keys()


@pytest.mark.parametrize("name", FORMATS)
def test_records_and_another_format_give_the_same_answer(
    name: str, data: Path, tmp_path: Path
) -> None:
    _copy(name, data)
    records = _convert(name, data, tmp_path / "records")
    options = RewriteOptions(format=name, split=ALL_IN_ONE)
    written = rewrite(data, tmp_path / "coco", "coco", options)
    assert _without_files(records) == _without_files(written)
    lost = {code for code in written.findings if code.startswith("lost_")}
    assert records.findings.keys() == written.findings.keys() - lost


def _without_files(report: ConversionReport) -> dict[str, SplitSummary]:
    return {split: replace(summary, files=()) for split, summary in report.splits.items()}
