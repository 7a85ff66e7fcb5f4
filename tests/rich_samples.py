"""Annotation files that use all that their formats offer, for an image a.png of 40x30."""

import base64
import io
import itertools
import json
from pathlib import Path

from PIL import Image
from samples import picture

from tfod_kit import formats
from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation
from tfod_kit.formats.common.findings import Findings
from tfod_kit.records import example_proto, shards

# 40x30, the columns 20 to 22 set but for their first ten rows.
RUNS = [610, 20, 10, 20, 10, 20, 510]


def _png_mask() -> str:
    stream = io.BytesIO()
    Image.new("L", (4, 3), 255).save(stream, format="PNG")
    return base64.b64encode(stream.getvalue()).decode()


def coco() -> str:
    box = {"image_id": 1, "category_id": 1, "bbox": [4, 3, 16, 12], "area": 96.0, "iscrowd": 0}
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
            "annotations": [
                box | {"id": 1, "segmentation": [[4, 3, 20, 3, 20, 15], [5, 5, 9, 5, 9, 9]]},
                box | {"id": 2, "segmentation": {"counts": RUNS, "size": [30, 40]}, "iscrowd": 1},
                box | {"id": 3, "segmentation": {"counts": "Rc0d0:000d?", "size": [30, 40]}},
                box | {"id": 4, "keypoints": [5, 6, 2, 7, 8, 1], "num_keypoints": 2},
                box | {"id": 5, "attributes": {"occluded": True, "truncated": False}},
            ],
            "categories": [{"id": 1, "name": "cat", "keypoints": ["nose", "tail"], "skeleton": []}],
        }
    )


def labelme(data: bytes) -> str:
    def shape(kind: str, points: list, **more: object) -> dict:
        return {"label": "cat", "points": points, "shape_type": kind, "group_id": None} | more

    return json.dumps(
        {
            "shapes": [
                shape("polygon", [[4, 3], [20, 3], [20, 15]], flags={"difficult": True}),
                shape("circle", [[20, 15], [20, 10]]),
                shape("polygon", [[1, 1], [4, 1], [4, 4]], group_id=7),
                shape("polygon", [[6, 1], [9, 1], [9, 4]], group_id=7),
                shape("mask", [[10, 11], [13, 13]], mask=_png_mask()),
                shape("point", [[1, 1]]),
                shape("rectangle", [[4, 3], [20, 15]], group_id=3),
                shape("point", [[8, 6]], label="tail", group_id=3),
                shape("point", [[12, 6]], label="ear", group_id=3, flags={"occluded": True}),
                shape("point", [[16, 6]], label="ear", group_id=3),
                shape("linestrip", [[1, 1], [2, 2], [3, 3]]),
            ],
            "imagePath": "C:\\x\\inside.png",
            "imageData": base64.b64encode(data).decode(),
            "imageHeight": 30,
            "imageWidth": 40,
        }
    )


def cvat() -> str:
    return """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <image id="0" name="a.png" width="40" height="30">
    <box label="cat" occluded="1" xtl="10" ytl="10" xbr="30" ybr="20" rotation="90">
      <attribute name="difficult">true</attribute></box>
    <polygon label="cat" occluded="0" points="4.00,3.00;20.00,3.00;20.00,15.00"/>
    <ellipse label="cat" cx="20" cy="15" rx="10" ry="5"/>
    <mask label="cat" rle="1, 3, 4, 4" left="5" top="6" width="4" height="3"/>
    <skeleton label="cat"><points label="nose" outside="0" occluded="1" points="5.0,6.0"/>
      <points label="tail" outside="1" occluded="0" points="0.0,0.0"/>
      <points label="ear" outside="0" occluded="0" points="9.0,16.0"/></skeleton>
    <points label="cat" points="1,1"/>
    <polyline label="cat" points="1,1;2,2"/>
    <tag label="cat"/>
  </image>
</annotations>"""


def _brush() -> list[int]:
    """Rows 3 to 5 of columns 10 to 19 painted, as Label Studio packs RGBA pixels of 40x30."""
    pixels = [
        255 if channel == 3 and 3 <= y < 6 and 10 <= x < 20 else 0
        for y in range(30)
        for x in range(40)
        for channel in range(4)
    ]
    sizes = (3, 4, 8, 16)  # bits of a run's length less 1
    bits = f"{len(pixels):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    runs = [(value, len(list(run))) for value, run in itertools.groupby(pixels)]
    for value, length in runs:
        choice = next(n for n, size in enumerate(sizes) if length <= 1 << size)
        same = length != 3  # the transparent part of a painted pixel, told value by value
        bits += f"{same:b}{choice:02b}{length - 1:0{sizes[choice]}b}"
        bits += f"{value:08b}" * (1 if same else length)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


def label_studio() -> str:
    def result(number: str, kind: str, value: dict) -> dict:
        size = {"original_width": 40, "original_height": 30}
        return {"id": number, "type": kind, "value": value, **size}

    turned = {"x": 50, "y": 50, "width": 25, "height": 10, "rotation": 90}
    return json.dumps(
        [
            {
                "id": 9,
                "data": {"image": "/data/local-files/?d=x/a.png"},
                "annotations": [
                    {
                        "was_cancelled": False,
                        "result": [
                            result("1", "rectangle", turned),
                            result("1", "labels", {**turned, "labels": ["cat"]}),
                            result(
                                "2",
                                "polygonlabels",
                                {
                                    "points": [[10, 10], [50, 10], [50, 50]],
                                    "polygonlabels": ["dog"],
                                },
                            ),
                            result(
                                "3",
                                "ellipselabels",
                                {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20}
                                | {"ellipselabels": ["dog"]},
                            ),
                            result("4", "brushlabels", {"rle": _brush(), "brushlabels": ["dog"]}),
                            result(
                                "5",
                                "keypointlabels",
                                {"x": 1, "y": 1, "width": 0.5, "keypointlabels": ["dog"]},
                            ),
                            result(
                                "7",
                                "keypointlabels",
                                {"x": 50, "y": 20, "width": 0.5, "keypointlabels": ["tail"]},
                            )
                            | {"parentID": "2"},
                            {"id": "6", "type": "choices", "value": {"choices": ["indoors"]}},
                        ],
                    }
                ],
            }
        ]
    )


def voc() -> str:
    box = "<bndbox><xmin>4</xmin><ymin>3</ymin><xmax>20</xmax><ymax>15</ymax></bndbox>"
    return (
        "<annotation><filename>a.png</filename><size><width>40</width><height>30</height></size>"
        f"<object><name>cat</name><pose>Left</pose><truncated>1</truncated>{box}</object>"
        f"<object><name>dog</name><difficult>1</difficult>{box}<polygon><x1>4</x1><y1>3</y1>"
        "<x2>20</x2><y2>3</y2><x3>20</x3><y3>15</y3></polygon></object></annotation>"
    )


YOLO = """0 0.3 0.3 0.4 0.4
0 0.1 0.1 0.5 0.1 0.5 0.5
1 0.3 0.3 0.4 0.4 0.2 0.3 2 0.4 0.5 1
1 0.3 0.3 0.4 0.4 0.75
"""


def numbered(size: tuple[int, int], number: int = 0) -> Image.Image:
    """A picture of numbers with a palette of 256, as VOC's segmentations are."""
    image = Image.new("P", size, number)
    image.putpalette(bytes(value for value in range(256) for _ in "rgb"))
    return image


def write(folder: Path) -> dict[str, Path]:
    """Writes a folder a format; returns format -> folder."""
    texts = {
        "coco": ("a.json", coco()),
        "cvat": ("annotations.xml", cvat()),
        "label_studio": ("export.json", label_studio()),
        "voc": ("a.xml", voc()),
        "yolo": ("a.txt", YOLO),
    }
    for name, (file, text) in texts.items():
        picture(folder / name / "a.png")
        (folder / name / file).write_text(text)
    (folder / "yolo" / "classes.txt").write_text("cat\ndog\n")
    segmentation = numbered((40, 30))
    segmentation.paste(1, (4, 3, 20, 15))
    segmentation.paste(255, (4, 3, 6, 5))
    (folder / "SegmentationObject").mkdir()
    segmentation.save(folder / "SegmentationObject" / "a.png")
    _write_tfds(folder / "tfrecord")
    _write_sequence(folder / "visdrone")
    data = picture(folder / "elsewhere.png").read_bytes()
    (folder / "elsewhere.png").unlink()
    (folder / "labelme").mkdir()
    (folder / "labelme" / "a.json").write_text(labelme(data))
    return {name: folder / name for name in (*texts, "labelme", "tfrecord", "visdrone")}


def _write_tfds(folder: Path) -> None:
    """A record as TensorFlow Datasets writes it."""
    folder.mkdir()
    record = example_proto.kind("Example")()
    features = record.features.feature
    features["image"].bytes_list.value.append(picture(folder / "x.jpg").read_bytes())
    (folder / "x.jpg").unlink()
    features["image/filename"].bytes_list.value.append(b"x.jpg")
    features["objects/bbox"].float_list.value.extend([0.1, 0.1, 0.5, 0.5, 0.2, 0.2, 0.9, 0.9])
    features["objects/label"].int64_list.value.extend([0, 1])
    features["objects/is_difficult"].int64_list.value.extend([0, 1])
    shards.write(folder / "pets-train.tfrecord", [record.SerializeToString()])
    (folder / "objects.label.labels.txt").write_text("cat\ndog\n")


def _write_sequence(folder: Path) -> None:
    """Frames and boxes as in VisDrone's videos."""
    for number in (1, 2):
        picture(folder / "sequences" / "uav7" / f"{number:07}.png")
    (folder / "annotations").mkdir()
    rows = "1,0,4,3,16,12,1,4,0,0\n2,0,4,3,16,12,1,9,0,1\n2,1,4,3,16,12,0,0,0,0\n"
    (folder / "annotations" / "uav7.txt").write_text(rows)


def read(
    folder: Path, name: str, on_error: str = "fix", split: str | None = None, **more: object
) -> tuple[list[ImageAnnotation], dict[str, int]]:
    """What a reader makes of a folder, and the findings' counts; `more` as in ReadOptions."""
    findings = Findings(on_error)
    options = formats.ReadOptions(**more)  # type: ignore[arg-type]
    read = formats.read(folder, format=name, split=split, findings=findings, options=options)
    return read, dict(findings.counts)


def pixels(annotation: ImageAnnotation) -> list[tuple[str, tuple[float, ...]]]:
    """(class, (xmin, ymin, xmax, ymax) in px) of each object."""
    size = {"width": annotation.width, "height": annotation.height}
    return [
        (item.label, tuple(round(edge, 3) for edge in boxes.to_pixels(item.box, **size)))
        for item in annotation.objects
    ]
