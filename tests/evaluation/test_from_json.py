"""`tfod evaluate --ground_truth --detections`: any tool's detections, without TensorFlow."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import samples
import scenes
from tfod import tfod

from tfod_kit.errors import DataError
from tfod_kit.evaluation import coco, from_json
from tfod_kit.runs import results


def test_figures_are_printed_and_kept_and_the_worst_images_drawn(tmp_path: Path) -> None:
    truth, found = scenes.write(tmp_path)
    for number in range(30):
        samples.picture(tmp_path / "pictures" / f"{number}.jpg", (scenes.SIDE, scenes.SIDE))
    printed = tfod(
        *("evaluate", "--ground_truth", truth, "--detections", found),
        *("--images", tmp_path / "pictures", "--out", tmp_path / "eval"),
    )
    document = results.load(tmp_path / "eval" / "truth-0.json")
    assert document.split == "truth"
    average = document.metrics["DetectionBoxes_Precision/mAP"]
    assert f"boxes{average:13.3f}" in printed
    assert "masks" in printed
    assert "keypoints" in printed
    assert "Best score threshold" in printed
    drawn = [tmp_path / "eval" / image.drawn for image in document.worst if image.drawn]
    assert len(drawn) == 12
    drawn += [tmp_path / "eval" / image.drawn for image in document.samples]
    assert len(drawn) == 18
    assert all(path.stat().st_size > 1000 for path in drawn)


def test_no_tensorflow_is_loaded(tmp_path: Path) -> None:
    truth, found = scenes.write(tmp_path, images=3)
    script = (
        "import sys; from tfod_kit.cli import main\n"
        f"code = main.main(['evaluate', '--ground_truth', {str(truth)!r}, '--detections', "
        f"{str(found)!r}])\n"
        "print(code, [name for name in ('tensorflow', 'object_detection') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr


def test_what_tfod_predict_writes_is_read(tmp_path: Path) -> None:
    truth, found = scenes.write(tmp_path)
    names = dict(zip(scenes.IDS, scenes.NAMES, strict=True))
    content, rows = json.loads(truth.read_text()), json.loads(found.read_text())
    side = scenes.SIDE
    predicted = [
        {
            "file": f"/elsewhere/{image['file_name']}",
            "width": side,
            "height": side,
            "detections": [
                {
                    "label": names[row["category_id"]],
                    "score": row["score"],
                    "box": [
                        row["bbox"][1] / side,
                        row["bbox"][0] / side,
                        (row["bbox"][1] + row["bbox"][3]) / side,
                        (row["bbox"][0] + row["bbox"][2]) / side,
                    ],
                    "mask": row["segmentation"],
                    "keypoints": [row["keypoints"][n : n + 3] for n in range(0, 51, 3)],
                }
                for row in rows
                if row["image_id"] == image["id"]
            ],
        }
        for image in content["images"]
    ]
    other = tmp_path / "detections.json"
    other.write_text(json.dumps({"model": "m", "images": predicted, "unreadable": []}))
    expected = coco.measure(from_json.read(truth, found))[0]
    assert coco.measure(from_json.read(truth, other))[0] == pytest.approx(expected)


def _change_truth(name: str, value: Any) -> Callable[[Any, Any], None]:
    def change(truth: Any, found: Any) -> None:
        truth["annotations"][0][name] = value

    return change


def _change_found(name: str, value: Any) -> Callable[[Any, Any], None]:
    def change(truth: Any, found: Any) -> None:
        found[0][name] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(_change_found("image_id", 999), r"detection 0[\s\S]*999", id="image"),
        pytest.param(_change_found("category_id", 3), "category_id 3", id="category"),
        pytest.param(_change_truth("image_id", 999), "annotation 0", id="annotation's image"),
        pytest.param(_change_found("bbox", [1, 2, 3]), "bbox is invalid", id="three numbers"),
        pytest.param(_change_found("bbox", "here"), "Expected `array", id="text for numbers"),
        pytest.param(_change_found("score", None), "no score", id="no score"),
        pytest.param(_change_found("score", 97), r"not between 0 and 1[\s\S]*97", id="per cent"),
        pytest.param(_change_found("keypoints", [1, 2]), "not triples", id="keypoints"),
        pytest.param(
            lambda truth, found: [image.update(width=0) for image in truth["images"]],
            "size is not stated",
            id="masks without a size",
        ),
        pytest.param(
            _change_found("segmentation", {"size": [320, 320], "counts": "zz"}),
            "mask cannot be read",
            id="damaged mask",
        ),
        pytest.param(
            _change_found("segmentation", {"size": [2, 2], "counts": [4]}),
            "mask of 2x2",
            id="small mask",
        ),
        pytest.param(
            lambda truth, found: truth["images"].append(truth["images"][0]),
            "Two entries have the same image",
            id="image twice",
        ),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, change: Callable[[Any, Any], None], said: str
) -> None:
    paths = scenes.write(tmp_path, images=5)
    contents = [json.loads(path.read_text()) for path in paths]
    change(*contents)
    for path, content in zip(paths, contents, strict=True):
        path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=said):
        from_json.read(*paths)


def test_files_that_are_something_else_are_refused(tmp_path: Path) -> None:
    truth, found = scenes.write(tmp_path, images=2)
    with pytest.raises(DataError, match="COCO JSON"):
        from_json.read(found, found)
    found.write_text(found.read_text()[:50])
    with pytest.raises(DataError, match="truncated"):
        from_json.read(truth, found)
    printed = tfod("evaluate", "--ground_truth", truth, "--detections", tmp_path / "no", code=2)
    assert "No such file" in printed
    assert "both --ground_truth and" in tfod("evaluate", "--ground_truth", truth, code=2)


@pytest.mark.parametrize("ids", [(int, str), (str, int)])
def test_ids_as_text_and_as_numbers_are_one(
    tmp_path: Path, ids: tuple[Callable[[int], object], Callable[[int], object]]
) -> None:
    truth, found = scenes.write(tmp_path, images=5)
    expected = coco.measure(from_json.read(truth, found))
    document = json.loads(truth.read_text())
    for image in document["images"]:
        image["id"] = ids[0](image["id"])
    for item in document["annotations"]:
        item["image_id"] = ids[0](item["image_id"])
    truth.write_text(json.dumps(document))
    items = json.loads(found.read_text())
    found.write_text(json.dumps([item | {"image_id": ids[1](item["image_id"])} for item in items]))
    assert coco.measure(from_json.read(truth, found)) == expected


def test_text_and_number_stay_apart_where_both_occur(tmp_path: Path) -> None:
    truth, found = scenes.write(tmp_path, images=2)
    document = json.loads(truth.read_text())
    document["images"].append(document["images"][0] | {"id": "100"})
    truth.write_text(json.dumps(document))
    tables = from_json.read(truth, found)
    assert [image["source_id"] for image in tables.images] == ["100", "103", "100"]
    assert {row["image_id"] for row in tables.detections} <= {1, 2}


@pytest.mark.parametrize("number", ["9" * 400, "1e300", "-1e300"])
def test_an_absurd_number_is_refused_with_its_place(tmp_path: Path, number: str) -> None:
    truth, found = scenes.write(tmp_path, images=2)
    items = json.loads(found.read_text())
    items[1]["bbox"][2] = 12345.5
    found.write_text(json.dumps(items).replace("12345.5", number))
    with pytest.raises(DataError) as caught:
        from_json.read(truth, found)
    assert "found.json" in str(caught.value)
    assert "bbox" in str(caught.value)
