"""Symbolic links and special files in a data set."""

import os
from pathlib import Path

import pytest
from rich_samples import read
from samples import picture, voc_xml

from tfod_kit.datasets import LoadOptions, load
from tfod_kit.errors import DataError, UsageError
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.image_index import ImageIndex

ROW = "0 0.3 0.3 0.4 0.4\n"


def _yolo(root: Path, images: Path) -> Path:
    """A data set whose images/ is a link to another folder."""
    picture(images / "a.jpg")
    (root / "labels").mkdir(parents=True)
    (root / "labels" / "a.txt").write_text(ROW)
    (root / "classes.txt").write_text("cat")
    (root / "images").symlink_to(images)
    return root


def _load(root: Path, **options: bool) -> tuple[list[str], dict[str, int]]:
    findings = Findings()
    loaded = load(root, LoadOptions(**options), findings=findings)
    names = [str(a.image.relative_to(root)) for _, part in loaded.parts for a in part]
    return names, dict(findings.counts)


def test_a_link_within_the_data_set_is_followed_and_reported(tmp_path: Path) -> None:
    root = _yolo(tmp_path / "data", tmp_path / "data" / "store" / "pixels")
    names, counts = _load(root)
    assert names == ["images/a.jpg"]
    assert counts["link_followed"] == 1


def test_a_link_that_leads_out_is_followed_only_if_asked(tmp_path: Path) -> None:
    root = _yolo(tmp_path / "data", tmp_path / "elsewhere")
    with pytest.raises(DataError, match="--follow_links") as caught:
        _load(root)
    assert caught.value.where == "images"
    names, counts = _load(root, follow_links=True)
    assert names == ["images/a.jpg"]
    assert counts["link_followed"] == 1


def test_a_linked_image_file_that_leads_out(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / "a.jpg").symlink_to(picture(tmp_path / "elsewhere.jpg"))
    (root / "a.xml").write_text(voc_xml("a.jpg", [("cat", (4, 3, 20, 15))]))
    with pytest.raises(DataError, match="--follow_links"):
        _load(root)
    assert _load(root, follow_links=True)[0] == ["a.jpg"]


def test_an_image_that_is_found_again_through_a_link_is_one_image(tmp_path: Path) -> None:
    root = tmp_path / "data"
    picture(root / "JPEGImages" / "a.jpg")
    (root / "images").symlink_to("JPEGImages")
    (root / "Annotations").mkdir()
    xml = voc_xml("a.jpg", [("cat", (4, 3, 20, 15))])
    (root / "Annotations" / "a.xml").write_text(xml)
    names, counts = _load(root)
    assert len(names) == 1
    assert counts == {"link_followed": 1}


def test_links_in_circles_and_to_each_other_end(tmp_path: Path) -> None:
    for number in range(20):
        folder = tmp_path / f"d{number:02}"
        folder.mkdir()
        (folder / "up").symlink_to(tmp_path)
        for name in "ab":
            (folder / name).symlink_to(tmp_path / f"d{(number + 1) % 20:02}")
    picture(tmp_path / "d19" / "x.jpg")
    assert 0 < len(ImageIndex(tmp_path).files(tmp_path)) < 1000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_a_fifo_is_never_opened(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_text(voc_xml("a.jpg", [("cat", (4, 3, 20, 15))]))
    for name in ("b.jpg", "b.xml", "c.json", "data.yaml", "d.tfrecord", "e.csv"):
        os.mkfifo(tmp_path / name)
    names, counts = _load(tmp_path)
    assert names == ["a.jpg"]
    assert counts == {"special_file": 6}
    (tmp_path / "c.xml").symlink_to(tmp_path / "c.json")
    assert _load(tmp_path)[1] == {"special_file": 7}
    with pytest.raises(UsageError, match="FIFO"):
        read(tmp_path / "c.json", "coco")
