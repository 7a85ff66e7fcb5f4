"""JSON lines and frames: SageMaker, Vertex AI, CrowdHuman, Hugging Face and BDD100K."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import samples
import tool_samples
from rich_samples import pixels, read
from samples import picture

from tfod_kit import formats
from tfod_kit.core import labels
from tfod_kit.core.annotations import Polygons
from tfod_kit.errors import DataError

AROUND = (4.0, 3.0, 20.0, 15.0)
TRIANGLE = Polygons([(4.0, 3.0, 20.0, 3.0, 20.0, 15.0)])


def _lines(folder: Path, name: str, *lines: object, images: Sequence[str] = ("a.png",)) -> Path:
    for image in images:
        picture(folder / image)
    (folder / name).write_text("\n".join(map(json.dumps, lines)))
    return folder


def _manifest(named: str, *class_ids: int, job: str = "pets") -> dict:
    boxes = [{"class_id": i, "left": 4, "top": 3, "width": 16, "height": 12} for i in class_ids]
    return {
        "source-ref": f"s3://bucket/x/{named}",
        job: {"annotations": boxes, "image_size": [{"width": 40, "height": 30, "depth": 3}]},
        f"{job}-metadata": {"class-map": {"0": "cat", "1": "dog"}, "objects": []},
    }


def test_sagemaker(tmp_path: Path) -> None:
    failed = {"source-ref": "s3://bucket/b.png", "pets-metadata": {"failure-reason": "timeout"}}
    twice = _manifest("c.png", 0) | _manifest("c.png", 1, job="corrected")
    lines = _manifest("a.png", 1, 7), failed, twice
    images = ("a.png", "b.png", "c.png")
    folder = _lines(tmp_path, "output.manifest", *lines, images=images)
    (first, second), counts = read(folder, "auto", "skip")
    assert pixels(first) == pixels(second) == [("dog", AROUND)]
    assert counts == {"class_unknown": 1, "not_annotated_yet": 1, "annotated_by_several": 1}
    with pytest.raises(DataError, match="class_id 7") as caught:
        read(folder, "auto")
    assert caught.value.where == "output.manifest:1, object 2"


def test_sagemaker_class_ids_are_kept(tmp_path: Path) -> None:
    _lines(tmp_path, "output.manifest", _manifest("a.png", 1))
    context = samples.context(tmp_path)
    (source,) = formats.FORMATS["sagemaker"].discover(tmp_path, context)
    assert formats.FORMATS["sagemaker"].read(source, context).ids == {"cat": 0, "dog": 1}


def _vertex(named: str, use: str | None = None, **box: float) -> dict:
    line: dict = {"imageGcsUri": f"gs://bucket/{named}"}
    line["boundingBoxAnnotations"] = [{"displayName": "cat"} | box] if box else []
    resource = {} if use is None else {"aiplatform.googleapis.com/ml_use": use}
    return line | {"dataItemResourceLabels": resource}


BOX = {"xMin": 0.1, "yMin": 0.1, "xMax": 0.5, "yMax": 0.5}


def test_vertex_ai_splits(tmp_path: Path) -> None:
    names = ("a.png", "b.png", "c.png")
    uses = ("training", "validation", "test")
    lines = [_vertex(name, use, **BOX) for name, use in zip(names, uses, strict=True)]
    folder = _lines(tmp_path, "x.jsonl", *lines, images=names)
    for name, split in zip(names, ("train", "val", "test"), strict=True):
        (annotation,) = formats.read(folder, split=split)
        assert annotation.image.name == name
        assert pixels(annotation) == [("cat", AROUND)]


def test_vertex_ai_lines_without_a_split_beside_others(tmp_path: Path) -> None:
    lines = _vertex("a.png", "training", **BOX), _vertex("b.png", **BOX)
    folder = _lines(tmp_path, "x.jsonl", *lines, images=("a.png", "b.png"))
    assert len(formats.read(folder)) == 2
    assert len(formats.read(folder, split="train")) == 1


def test_vertex_ai_omits_zeros(tmp_path: Path) -> None:
    (annotation,), _ = read(
        _lines(tmp_path, "x.jsonl", _vertex("a.png", xMax=0.5, yMax=0.5)), "auto"
    )
    assert pixels(annotation) == [("cat", (0.0, 0.0, 20.0, 15.0))]


def test_data_labeling_of_ai_platform(tmp_path: Path) -> None:
    def annotated(*vertices: tuple[float, float]) -> dict:
        poly = {"normalizedVertices": [{"x": x, "y": y} for x, y in vertices]}
        value = {"annotationSpec": {"displayName": "cat"}, "normalizedBoundingPoly": poly}
        return {"name": "x", "annotationValue": {"imageBoundingPolyAnnotation": value}}

    line = {
        "imagePayload": {"mimeType": "IMAGE_PNG", "imageUri": "gs://bucket/a.png"},
        "annotations": [
            annotated((0.1, 0.1), (0.5, 0.1), (0.5, 0.5), (0.1, 0.5)),
            annotated((0.1, 0.1), (0.5, 0.1), (0.5, 0.5)),
        ],
    }
    (annotation,), _ = read(_lines(tmp_path, "x.jsonl", line), "auto")
    assert pixels(annotation) == [("cat", AROUND), ("cat", AROUND)]
    assert annotation.objects[0].mask is None
    assert annotation.objects[1].mask == TRIANGLE


def test_crowdhuman(tmp_path: Path) -> None:
    box = {"fbox": [4, 3, 16, 12], "vbox": [4, 3, 2, 2], "hbox": [5, 3, 2, 2]}
    boxes = [
        box | {"tag": "person", "extra": {"box_id": 0, "occ": 1}},
        box | {"tag": "person", "extra": {"ignore": 1}},
        box | {"tag": "mask"},
    ]
    line = {"ID": "273271,c9db000d5146c15", "gtboxes": boxes}
    folder = _lines(tmp_path, "annotation_val.odgt", line, images=("273271,c9db000d5146c15.jpg",))
    (annotation,), counts = read(folder, "auto")
    assert pixels(annotation) == [("person", AROUND)] * 3
    assert [item.is_crowd for item in annotation.objects] == [False, True, True]
    assert [item.occluded for item in annotation.objects] == [True, False, False]
    assert counts == {}


def test_image_folder_with_numbers_for_classes(tmp_path: Path) -> None:
    objects = {"bbox": [[4, 3, 16, 12], [4, 3, 16, 12]], "category": [1, 0]}
    lines = {"file_name": "a.png", "objects": objects}, {"file_name": "b.png"}
    folder = _lines(tmp_path, "metadata.jsonl", *lines, images=("a.png", "b.png"))
    classes = labels.from_names(["cat", "dog"])
    (annotation,), counts = read(folder, "auto", label_map=classes)
    assert pixels(annotation) == [("dog", AROUND), ("cat", AROUND)]
    assert counts == {"not_annotated_yet": 1}
    with pytest.raises(DataError, match="category 1") as caught:
        read(folder, "auto")
    assert "--label_map" in str(caught.value.fix)


CARD = """---
dataset_info:
  features:
  - name: image
    dtype: image
  - name: objects
    sequence:
    - name: category
      dtype:
        class_label:
          names:
            '0': cat
            '1': dog
---
# Pets
"""


def test_image_folder_with_classes_in_its_card(tmp_path: Path) -> None:
    objects = {"bbox": [[4, 3, 16, 12]], "category": [1]}
    folder = _lines(tmp_path, "metadata.jsonl", {"file_name": "a.png", "objects": objects})
    (folder / "README.md").write_text(CARD)
    (annotation,), counts = read(folder, "auto")
    assert pixels(annotation) == [("dog", AROUND)]
    assert counts == {}


@pytest.mark.parametrize(
    "names", ["'x': cat", "[[", "&a [*a]", "{0: {1: 2}}", "? [1]\n            : 2"]
)
def test_image_folder_with_a_damaged_card(tmp_path: Path, names: str) -> None:
    objects = {"bbox": [[4, 3, 16, 12]], "category": [1]}
    folder = _lines(tmp_path, "metadata.jsonl", {"file_name": "a.png", "objects": objects})
    card = CARD.replace("'0': cat", names).replace("            '1': dog\n", "")
    (folder / "README.md").write_text(card)
    with pytest.raises(DataError, match="category 1"):
        read(folder, "auto")


def test_image_folder_with_a_list_of_objects(tmp_path: Path) -> None:
    objects = [{"bbox": [4, 3, 16, 12], "label": "cat"}]
    line = {"file_name": "a.png", "objects": objects}
    (annotation,), _ = read(_lines(tmp_path, "metadata.jsonl", line), "auto")
    assert pixels(annotation) == [("cat", AROUND)]


def test_image_folder_with_lists_of_different_lengths(tmp_path: Path) -> None:
    line = {"file_name": "a.png", "objects": {"bbox": [[4, 3, 16, 12]], "categories": []}}
    with pytest.raises(DataError, match="1 boxes and 0 categories") as caught:
        read(_lines(tmp_path, "metadata.jsonl", line), "auto")
    assert caught.value.where == "metadata.jsonl:1"


def test_a_line_that_cannot_be_read_costs_itself(tmp_path: Path) -> None:
    folder = _lines(tmp_path, "x.manifest", _manifest("a.png", 0))
    path = folder / "x.manifest"
    path.write_text(path.read_text() + '\n{"source-ref": \n\n[]\n')
    (annotation,), counts = read(folder, "auto", "skip")
    assert pixels(annotation) == [("cat", AROUND)]
    assert counts == {"row_unreadable": 2}
    with pytest.raises(DataError) as caught:
        read(folder, "auto")
    assert caught.value.where == "x.manifest:2"


def _frame(*labelled: dict, **more: object) -> dict:
    return {"name": "a.png", "labels": list(labelled)} | more


def test_bdd100k(tmp_path: Path) -> None:
    (annotation,), counts = read(tool_samples.bdd100k(tmp_path), "auto")
    assert pixels(annotation) == [("car", AROUND)] * 3
    marked, outlined, boxed = annotation.objects
    assert (marked.occluded, marked.truncated, marked.is_crowd, marked.score) == (
        True, False, True, 0.5,
    )  # fmt: skip
    assert outlined.mask == TRIANGLE
    assert boxed.mask is None
    assert counts == {"mask_ignored": 1, "shape_ignored": 2}


def test_scalabel_keeps_frames_beside_their_config(tmp_path: Path) -> None:
    at = {"x1": 4, "y1": 3, "x2": 20, "y2": 15}
    frame = _frame({"category": "car", "box2d": at}, size={"width": 40, "height": 30})
    picture(tmp_path / "a.png")
    content = {"frames": [frame], "config": {"categories": []}}
    (tmp_path / "x.json").write_text(json.dumps(content))
    (annotation,), _ = read(tmp_path, "auto")
    assert pixels(annotation) == [("car", AROUND)]


def test_bdd100k_files_of_one_image(tmp_path: Path) -> None:
    at = {"x1": 4, "y1": 3, "x2": 20, "y2": 15}
    frames = [{"timestamp": 10000, "objects": [{"category": "car", "id": 0, "box2d": at}]}]
    picture(tmp_path / "images" / "0000f77c.png")
    (tmp_path / "0000f77c.json").write_text(json.dumps({"name": "0000f77c", "frames": frames}))
    (annotation,), _ = read(tmp_path, "auto")
    assert pixels(annotation) == [("car", AROUND)]
