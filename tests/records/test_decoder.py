"""Records read by upstream's TfExampleDecoder give exactly the annotation, field by field."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from samples import picture

from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.core.labels import LabelMap
from tfod_kit.records import example, images
from tfod_kit.records.rasters import masks

pytestmark = pytest.mark.slow

LABELS = LabelMap({"cat": 1, "großer Hund": 3})
HEIGHT, WIDTH = 30, 40
NAMES = ("nose", "left eye", "tail")
RINGS = Polygons(((4.3, 4.1, 20.7, 5.0, 18.9, 20.2, 3.5, 19.9), (30.0, 5.0, 39.9, 5.0, 39.9, 29.0)))
NOISE = np.asfortranarray(np.random.default_rng(1).random((HEIGHT, WIDTH)) < 0.3, dtype=np.uint8)
RUNS = Rle(coco_mask.encode(NOISE)["counts"], HEIGHT, WIDTH)
# Values that float32 holds exactly, so that they can be compared exactly.
OBJECTS = (
    ObjectAnnotation(
        "cat",
        Box(0.125, 0.25, 0.5, 1.0),
        mask=RINGS,
        keypoints=(
            Keypoint(0.5, 0.25, 2, NAMES[0]),
            Keypoint(0.125, 1.0, 1, NAMES[1]),
            Keypoint(0.0, 0.0, 0, NAMES[2]),
        ),
        difficult=True,
        area=96.5,
        view="Left",
        weight=0.25,
    ),
    ObjectAnnotation("großer Hund", Box(0.0, 0.0, 1.0, 0.75), mask=RUNS, is_crowd=True),
    ObjectAnnotation("cat", Box(0.5, 0.5, 0.75, 0.75), group_of=True, truncated=True),
)


@pytest.fixture(scope="module")
def decode(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Decodes a serialised record as upstream's input pipeline does, to NumPy values."""
    from tfod_kit import compat

    compat.activate()
    from object_detection.data_decoders import tf_example_decoder
    from object_detection.protos import input_reader_pb2

    label_map = tmp_path_factory.mktemp("labels") / "label_map.pbtxt"
    labels.save(LABELS, label_map)
    decoder = tf_example_decoder.TfExampleDecoder(
        label_map_proto_file=str(label_map),
        load_instance_masks=True,
        instance_mask_type=input_reader_pb2.PNG_MASKS,
        num_keypoints=len(NAMES),
    )
    return lambda record: {key: value.numpy() for key, value in decoder.decode(record).items()}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> images.EncodedImage:
    return images.load(picture(tmp_path_factory.mktemp("image") / "a.png", (WIDTH, HEIGHT)))


@pytest.fixture(scope="module")
def read(decode: Any, image: images.EncodedImage) -> dict[str, np.ndarray]:
    annotation = ImageAnnotation(Path("ä b.png"), WIDTH, HEIGHT, "train/ä 1", OBJECTS)
    return decode(example.encode(annotation, image, LABELS))


def test_the_image(read: dict[str, np.ndarray], image: images.EncodedImage) -> None:
    from PIL import Image

    assert np.array_equal(read["image"], np.asarray(Image.open(_stream(image)).convert("RGB")))
    assert read["original_image_spatial_shape"].tolist() == [HEIGHT, WIDTH]
    assert read["source_id"].decode() == "train/ä 1"
    assert read["filename"].decode() == "ä b.png"
    assert read["key"].decode() == hashlib.sha256(image.data).hexdigest()


def _stream(image: images.EncodedImage) -> Any:
    import io

    return io.BytesIO(image.data)


def test_boxes_and_classes(read: dict[str, np.ndarray]) -> None:
    edges = [(o.box.ymin, o.box.xmin, o.box.ymax, o.box.xmax) for o in OBJECTS]
    assert np.array_equal(read["groundtruth_boxes"], np.array(edges, np.float32))
    assert read["groundtruth_classes"].tolist() == [1, 3, 1]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("groundtruth_is_crowd", [False, True, False]),
        ("groundtruth_difficult", [True, False, False]),
        ("groundtruth_group_of", [False, False, True]),
        ("groundtruth_area", [96.5, 0.0, 0.0]),
        ("groundtruth_weights", [0.25, 1.0, 1.0]),
        ("groundtruth_instance_mask_weights", [1.0, 1.0, 0.0]),
    ],
)
def test_what_each_object_says(
    read: dict[str, np.ndarray], field: str, expected: list[object]
) -> None:
    assert read[field].tolist() == expected


def test_masks(read: dict[str, np.ndarray]) -> None:
    outline = coco_mask.frPyObjects([list(ring) for ring in RINGS.rings], HEIGHT, WIDTH)
    drawn = coco_mask.decode(coco_mask.merge(outline))
    expected = np.stack([drawn, NOISE, np.zeros_like(NOISE)])
    assert drawn.sum() > 100
    assert np.array_equal(read["groundtruth_instance_masks"], expected)


def test_keypoints(read: dict[str, np.ndarray]) -> None:
    points = read["groundtruth_keypoints"]
    # Upstream turns what is not labelled into NaN.
    assert points[0, :2].tolist() == [[0.5, 0.25], [0.125, 1.0]]
    assert np.isnan(points[0, 2]).all()
    assert np.isnan(points[1:]).all()
    visible = read["groundtruth_keypoint_visibilities"]
    assert visible.tolist() == [[True, True, False]] + [[False] * 3] * 2


def test_keypoint_names_are_looked_up(
    image: images.EncodedImage, tmp_path: Path, decode: Any
) -> None:
    """With use_keypoint_label_map, upstream places each keypoint by its name."""
    from object_detection.data_decoders import tf_example_decoder

    points = "".join(
        f"keypoints {{ id: {number} label: '{name}' }}\n"
        for number, name in enumerate(reversed(NAMES))
    )
    label_map = tmp_path / "label_map.pbtxt"
    label_map.write_text(f"item {{ id: 1 name: 'cat' {points} }}\n", encoding="utf-8")
    decoder = tf_example_decoder.TfExampleDecoder(
        label_map_proto_file=str(label_map), num_keypoints=3, use_keypoint_label_map=True
    )
    annotation = ImageAnnotation(Path("a.png"), WIDTH, HEIGHT, "1", OBJECTS[:1])
    read = decoder.decode(example.encode(annotation, image, LABELS))
    assert read["groundtruth_keypoints"][0, ::-1][:2].numpy().tolist() == [
        [0.5, 0.25],
        [0.125, 1.0],
    ]


def test_an_image_without_keypoints_in_a_data_set_that_has_some(
    decode: Any, image: images.EncodedImage
) -> None:
    annotation = ImageAnnotation(Path("a.png"), WIDTH, HEIGHT, "1", OBJECTS[1:])
    read = decode(example.encode(annotation, image, LABELS, NAMES))
    assert read["groundtruth_keypoints"].shape == (2, 3, 2)
    assert np.isnan(read["groundtruth_keypoints"]).all()


def test_a_negative(decode: Any, image: images.EncodedImage) -> None:
    annotation = ImageAnnotation(Path("a.png"), WIDTH, HEIGHT, "empty", ())
    read = decode(example.encode(annotation, image, LABELS, NAMES))
    assert read["source_id"].decode() == "empty"
    assert read["groundtruth_boxes"].shape == (0, 4)
    assert read["groundtruth_classes"].shape == (0,)
    assert read["image"].shape == (HEIGHT, WIDTH, 3)


def test_what_upstream_has_no_field_for_comes_back_from_the_record(
    image: images.EncodedImage,
) -> None:
    annotation = ImageAnnotation(Path("a.png"), WIDTH, HEIGHT, "1", OBJECTS)
    (back, _) = example.decode(example.encode(annotation, image, LABELS))
    assert [item.view for item in back.objects] == ["Left", "", ""]
    assert [item.truncated for item in back.objects] == [False, False, True]
    assert [item.weight for item in back.objects] == [0.25, 1.0, 1.0]
    assert [point.name for point in back.objects[0].keypoints] == list(NAMES)
    assert [item.keypoints for item in back.objects[1:]] == [(), ()]
    assert back.objects[0].mask == masks.to_rle(RINGS, HEIGHT, WIDTH)
