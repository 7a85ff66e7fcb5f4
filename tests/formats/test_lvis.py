"""LVIS: what an image was searched for is kept."""

import json
from pathlib import Path

import pytest
from samples import picture
from tfod import tfod

from tfod_kit import formats
from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Searched
from tfod_kit.core.boxes import Box
from tfod_kit.datasets import class_selection
from tfod_kit.errors import DataError
from tfod_kit.evaluation.tables import Collector
from tfod_kit.formats.common.findings import Findings
from tfod_kit.records import example_proto, feature_keys, shards

FIXTURE = Path(__file__).parent / "fixtures" / "lvis"
SEARCHED = {"1": Searched(("rat",), ("dog",)), "2": Searched(("cat", "dog"))}


def _searched(folder: Path, name: str) -> dict[str, Searched | None]:
    return {a.source_id: a.searched for a in formats.read(folder, format=name)}


@pytest.mark.parametrize("name", ["lvis", "coco", "tfrecord"])
def test_the_lists_are_kept(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    to = () if name == "tfrecord" else ("--to", name)
    tfod("convert", FIXTURE, "--split", "1,0,0", "--out", out, *to)
    # A COCO file with these lists is an LVIS file.
    assert _searched(out, "lvis" if name == "coco" else name) == SEARCHED
    assert dict(labels.load(labels.beside(out)).ids) == {"cat": 1, "dog": 3, "rat": 7}


def test_records_have_the_keys_of_upstream(tmp_path: Path) -> None:
    tfod("convert", FIXTURE, "--split", "1,0,0", "--out", tmp_path)
    (path,) = tmp_path.glob("*.tfrecord*")
    keys = feature_keys.ABSENT_CLASSES, feature_keys.PARTLY_ANNOTATED_CLASSES
    records = map(example_proto.read_features, shards.read(path))
    lists = {tuple(tuple(features[key][1]) for key in keys) for features in records}
    assert lists == {((7,), (3,)), ((1, 3), ())}


def test_other_formats_count_what_they_cannot_hold(tmp_path: Path) -> None:
    findings = Findings()
    read = formats.read(FIXTURE)
    formats.write("voc", read, tmp_path / "out", findings=findings)
    assert findings.counts["lost_searched"] == 2


def test_a_data_set_that_annotates_everything(tmp_path: Path) -> None:
    cat = ObjectAnnotation("cat", Box(0.1, 0.1, 0.5, 0.5))
    data = [
        ImageAnnotation(picture(tmp_path / f"{stem}.jpg"), 40, 30, stem, objects)
        for stem, objects in (("1", (cat, cat)), ("2", ()))
    ]
    classes = labels.from_names(["cat", "dog"])
    formats.write("lvis", data, tmp_path / "out", classes=classes)
    content = json.loads((tmp_path / "out" / "annotations" / "instances_train.json").read_text())
    assert [image["neg_category_ids"] for image in content["images"]] == [[2], [1, 2]]
    assert [image["coco_url"] for image in content["images"]] == ["train/1.jpg", "train/2.jpg"]
    counted = ("image_count", "instance_count", "frequency")
    assert [[c[key] for key in counted] for c in content["categories"]] == [
        [1, 2, "r"],
        [0, 0, "r"],
    ]


def test_a_merged_class_is_absent_if_all_of_its_classes_are() -> None:
    image = ImageAnnotation(Path("a.jpg"), 40, 30, "a", (), Searched(("cat", "rat"), ("dog",)))
    ids = [{"cat": 1, "dog": 2, "rat": 3}]

    def selected(**chosen: object) -> Searched | None:
        options = class_selection.parse(**chosen)  # type: ignore[arg-type]
        (part,), _ = class_selection.apply(options, [[image]], ids, Findings())
        return part[0].searched

    assert selected(merge=["cat,rat=pest"]) == Searched(("pest",), ("dog",))
    assert selected(merge=["cat,dog=pet"]) == Searched(("rat",), ("pet",))
    assert selected(exclude=["rat"]) == Searched(("cat",), ("dog",))


def test_the_format_of_coco_names_that_of_lvis() -> None:
    with pytest.raises(DataError) as caught:
        formats.read(FIXTURE, format="coco")
    assert "--format lvis" in str(caught.value.fix)


def test_evaluation_gets_the_lists_of_records(tmp_path: Path) -> None:
    tfod("convert", FIXTURE, "--split", "1,0,0", "--out", tmp_path)
    collector = Collector(["cat", "dog", "rat"])
    for annotation in formats.read(tmp_path, format="tfrecord"):
        collector.add(annotation, ())
    keys = "neg_category_ids", "not_exhaustive_category_ids"
    lists = {image["source_id"]: [image[key] for key in keys] for image in collector.tables.images}
    assert lists == {"1": [[3], [2]], "2": [[1, 2], []]}
