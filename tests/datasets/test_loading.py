from pathlib import Path

import pytest
from samples import coco, picture, voc

from tfod_kit import datasets
from tfod_kit.conversion import ConvertOptions, convert
from tfod_kit.core import labels
from tfod_kit.datasets.class_selection import Selection
from tfod_kit.datasets.splits.assignment import SplitOptions
from tfod_kit.errors import DataError, UsageError
from tfod_kit.formats.common.findings import Findings
from tfod_kit.records import example, shards


def _coco(folder: Path, name: str = "a.jpg", **more: object) -> Path:
    picture(folder / "images" / name)
    image = {"id": 1, "file_name": name, "width": 40, "height": 30}
    item = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [4, 3, 16, 12], **more}
    return coco(folder / "annotations" / "instances.json", [image], [item]).parent.parent


def _load(*sources: Path, **options: object) -> tuple[datasets.Loaded, Findings]:
    findings = Findings()
    chosen = datasets.LoadOptions(**options)  # type: ignore[arg-type]
    return datasets.load(sources, chosen, findings=findings), findings


def test_sources_of_different_formats_become_one_data_set(tmp_path: Path) -> None:
    loaded, findings = _load(voc(tmp_path / "v", 3), _coco(tmp_path / "c"))
    assert loaded.formats == ("voc", "coco")
    assert loaded.format == "voc+coco"
    assert [a.source_id for _, part in loaded.parts for a in part] == [
        *("0.jpg", "1.jpg", "2.jpg", "1")
    ]
    # COCO's own ids are kept: 1 cat and 3 dog; VOC's names are the same classes.
    assert dict(loaded.classes.ids) == {"cat": 1, "dog": 3}
    assert findings.counts == {}


def test_ids_that_clash_get_their_source_before_them(tmp_path: Path) -> None:
    loaded, _ = _load(voc(tmp_path / "x" / "data", 2), voc(tmp_path / "y" / "data", 3))
    ids = [a.source_id for _, part in loaded.parts for a in part]
    assert ids == ["x/data/0.jpg", "x/data/1.jpg", "y/data/0.jpg", "y/data/1.jpg", "2.jpg"]


def test_label_maps_that_contradict_each_other_are_made_one(tmp_path: Path) -> None:
    first, second = _coco(tmp_path / "a"), _coco(tmp_path / "b", "b.jpg")
    path = second / "annotations" / "instances.json"
    path.write_text(path.read_text().replace('"dog"', '"cow"'))
    loaded, findings = _load(first, second)
    assert dict(loaded.classes.ids) == {"cat": 1, "cow": 2, "dog": 3}
    assert findings.counts == {"ids_renumbered": 1}


def test_a_picture_that_two_files_annotate_has_the_objects_of_both(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    image = {"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}
    cat = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 3, 16, 12]}
    dog = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 1, 9, 9]}
    files = (
        coco(tmp_path / "cats.json", [image], [cat]),
        coco(tmp_path / "b.json", [image], [cat, dog]),
    )
    loaded, findings = _load(*files)
    (annotation,) = [a for _, part in loaded.parts for a in part]
    assert [item.label for item in annotation.objects] == ["cat", "dog"]
    assert findings.counts == {"image_in_several_sources": 1}
    # With sizes that differ, pixels do not mean the same place.
    coco(tmp_path / "b.json", [{**image, "width": 80}], [dog])
    with pytest.raises(DataError, match="80x30"):
        _load(*files)


def test_formats_one_for_all_or_one_each(tmp_path: Path) -> None:
    sources = voc(tmp_path / "v", 2), _coco(tmp_path / "c")
    assert _load(*sources, format="voc, coco")[0].formats == ("voc", "coco")
    with pytest.raises(DataError, match="No annotations"):
        _load(*sources, format="voc")
    with pytest.raises(UsageError, match="number of formats is not the number"):
        _load(*sources, format="voc,coco,voc")
    with pytest.raises(UsageError, match="named twice"):
        _load(sources[0], sources[0])


def test_a_selection_comes_before_the_label_map_is_looked_at(tmp_path: Path) -> None:
    given = labels.from_names(["hound"])
    chosen = Selection(include=("dog",), rename={"dog": "hound"})
    loaded, _ = _load(voc(tmp_path / "v", 4), label_map=given, selection=chosen)
    assert loaded.classes is given
    assert [len(a.objects) for _, part in loaded.parts for a in part] == [0, 0, 1, 0]


def test_names_are_below_each_source_and_tell_sources_apart(tmp_path: Path) -> None:
    first, second = voc(tmp_path / "v", 2), _coco(tmp_path / "c")
    for sources, names in (
        ((first,), ["0.jpg", "1.jpg"]),
        ((first, second), ["v/0.jpg", "v/1.jpg", "c/images/a.jpg"]),
    ):
        loaded, _ = _load(*sources)
        assert [loaded.name(a) for _, part in loaded.parts for a in part] == names
    (tmp_path / "moved").mkdir()
    (first / "1.jpg").rename(tmp_path / "moved" / "1.jpg")
    (first / "0.xml").unlink()
    loaded, _ = _load(first, images_folder=tmp_path / "moved")
    assert [loaded.name(a) for _, part in loaded.parts for a in part] == ["1.jpg"]


def test_in_records_the_id_is_the_name(tmp_path: Path) -> None:
    for camera in "ab":
        voc(tmp_path / "data" / camera, 3)
    convert(
        tmp_path / "data", tmp_path / "records", ConvertOptions(split=SplitOptions({"train": 1.0}))
    )
    loaded, _ = _load(tmp_path / "records")
    names = {loaded.name(a) for _, part in loaded.parts for a in part}
    assert names == {f"{camera}/{number}.jpg" for camera in "ab" for number in range(3)}


def test_convert_merges_records_with_a_folder(tmp_path: Path) -> None:
    convert(
        voc(tmp_path / "v", 6),
        tmp_path / "records",
        ConvertOptions(split=SplitOptions({"train": 1.0})),
    )
    report = convert(
        [tmp_path / "records", _coco(tmp_path / "c")],
        tmp_path / "out",
        ConvertOptions(
            split=SplitOptions({"train": 0.5, "val": 0.5}),
            selection=Selection(rename={"dog": "hound"}),
        ),
    )
    assert report.images == 7
    # The records call the dog 2, the COCO file calls it 3.
    assert dict(report.label_map) == {"cat": 1, "hound": 2}
    assert report.findings["ids_renumbered"]["count"] == 1
    found = [
        example.decode(record)[0]
        for paths in shards.bases(tmp_path / "out").values()
        for path in paths
        for record in shards.read(path)
    ]
    assert sorted(a.source_id for a in found) == ["0.jpg", "1", *(f"{n}.jpg" for n in range(1, 6))]
    assert {item.label for a in found for item in a.objects} == {"cat", "hound"}
