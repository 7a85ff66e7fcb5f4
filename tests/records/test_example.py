from pathlib import Path

import numpy as np
import pytest
from samples import picture

from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons
from tfod_kit.core.boxes import Box
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import ConfigError, DataError
from tfod_kit.records import example, example_proto, feature_keys, images, shards
from tfod_kit.records.rasters import masks

LABELS = LabelMap({"cat": 1, "großer Hund": 3})
# Values that float32 holds exactly, so that they can be compared exactly.
OBJECTS = (
    ObjectAnnotation("cat", Box(0.125, 0.25, 0.5, 1.0), difficult=True, area=96.5),
    ObjectAnnotation("großer Hund", Box(0.0, 0.0, 1.0, 0.75), is_crowd=True, truncated=True),
    ObjectAnnotation("cat", Box(0.5, 0.5, 0.75, 0.75), occluded=True, group_of=True),
)


def _annotation(path: Path, objects: tuple[ObjectAnnotation, ...] = OBJECTS) -> ImageAnnotation:
    return ImageAnnotation(path, 40, 30, "train/ä 1", objects)


@pytest.fixture
def image(tmp_path: Path) -> images.EncodedImage:
    return images.load(picture(tmp_path / "a.jpg"))


def test_what_is_encoded_is_decoded(image: images.EncodedImage) -> None:
    annotation = _annotation(Path("a.jpg"))
    assert example.decode(example.encode(annotation, image, LABELS)) == (annotation, image)


def test_a_negative_stays_one(image: images.EncodedImage) -> None:
    annotation = _annotation(Path("a.jpg"), ())
    assert example.decode(example.encode(annotation, image, LABELS))[0] == annotation


def test_the_same_arguments_give_the_same_bytes(image: images.EncodedImage) -> None:
    first = example.encode(_annotation(Path("/here/a.jpg")), image, LABELS)
    assert example.encode(_annotation(Path("/elsewhere/a.jpg")), image, LABELS) == first


def test_a_class_that_the_map_lacks_is_an_error(image: images.EncodedImage) -> None:
    annotation = _annotation(Path("a.jpg"), (ObjectAnnotation("dog", Box(0, 0, 1, 1)),))
    with pytest.raises(ConfigError, match="'dog' is not in the label map"):
        example.encode(annotation, image, LABELS)


def test_masks_come_back_as_run_lengths(image: images.EncodedImage) -> None:
    outline = Polygons(((4.0, 4.0, 20.0, 4.0, 20.0, 20.0, 4.0, 20.0), (30.0, 5, 39, 5, 39, 29)))
    with_mask = ObjectAnnotation("cat", Box(0, 0, 1, 1), mask=outline)
    annotation = _annotation(Path("a.jpg"), (with_mask, ObjectAnnotation("cat", Box(0, 0, 1, 1))))
    first, second = example.decode(example.encode(annotation, image, LABELS))[0].objects
    assert first.mask == masks.to_rle(outline, 30, 40)
    assert second.mask is None


def test_keypoints_come_back(image: images.EncodedImage) -> None:
    points = (Keypoint(0.5, 0.25, 2), Keypoint(0.0, 0.0, 0), Keypoint(0.125, 1.0, 1))
    posed = ObjectAnnotation("cat", Box(0, 0, 1, 1), keypoints=points)
    annotation = _annotation(Path("a.jpg"), (posed, OBJECTS[1]))
    assert example.decode(example.encode(annotation, image, LABELS))[0] == annotation


def test_records_without_names_need_the_label_map(image: images.EncodedImage) -> None:
    message = example_proto.kind("Example").FromString(
        example.encode(_annotation(Path("a.jpg")), image, LABELS)
    )
    del message.features.feature[feature_keys.CLASS_TEXT]
    nameless = message.SerializeToString()
    assert example.decode(nameless, LABELS)[0].objects == OBJECTS
    with pytest.raises(DataError, match=r"no class names[^$]*\[1, 3, 1\]"):
        example.decode(nameless)


def test_what_is_no_example_is_explained() -> None:
    with pytest.raises(DataError, match=r"not a tf\.train\.Example"):
        example.decode(b"\xff\xff\xff\xff")


@pytest.mark.slow
def test_upstreams_decoder_reads_exactly_the_annotation(
    image: images.EncodedImage, tmp_path: Path
) -> None:
    from tfod_kit import compat
    from tfod_kit.core import labels

    compat.activate()
    import tensorflow as tf
    from object_detection.data_decoders import tf_example_decoder
    from object_detection.protos import input_reader_pb2

    outline = Polygons(((4.0, 4.0, 20.0, 4.0, 20.0, 20.0, 4.0, 20.0),))
    points = (Keypoint(0.5, 0.25, 2), Keypoint(0.125, 1.0, 1))
    objects = (
        ObjectAnnotation("cat", OBJECTS[0].box, mask=outline, keypoints=points, area=96.5),
        OBJECTS[1],
    )
    labels.save(LABELS, tmp_path / "label_map.pbtxt")
    path = tmp_path / "a.tfrecord"
    shards.write(path, [example.encode(_annotation(Path("a.jpg"), objects), image, LABELS)])
    decoder = tf_example_decoder.TfExampleDecoder(
        label_map_proto_file=str(tmp_path / "label_map.pbtxt"),
        load_instance_masks=True,
        instance_mask_type=input_reader_pb2.PNG_MASKS,
        num_keypoints=2,
    )
    (serialized,) = tf.data.TFRecordDataset(str(path))
    read = {key: value.numpy() for key, value in decoder.decode(serialized).items()}

    expected = np.array([(o.box.ymin, o.box.xmin, o.box.ymax, o.box.xmax) for o in objects], "f")
    assert np.array_equal(read["groundtruth_boxes"], expected)
    assert read["groundtruth_classes"].tolist() == [1, 3]
    assert read["groundtruth_is_crowd"].tolist() == [False, True]
    assert read["groundtruth_difficult"].tolist() == [False, False]
    assert read["groundtruth_area"].tolist() == [96.5, 0.0]
    assert read["source_id"].decode() == "train/ä 1"
    assert read["filename"].decode() == "a.jpg"
    assert read["original_image_spatial_shape"].tolist() == [30, 40]
    assert np.array_equal(read["image"], tf.io.decode_jpeg(image.data, channels=3).numpy())
    assert read["groundtruth_instance_masks"].shape == (2, 30, 40)
    assert read["groundtruth_instance_masks"][0, 4:20, 4:20].all()
    assert read["groundtruth_instance_masks"].sum() == 16 * 16
    assert read["groundtruth_instance_mask_weights"].tolist() == [1.0, 0.0]
    assert read["groundtruth_keypoints"][0].tolist() == [[0.5, 0.25], [0.125, 1.0]]
    assert np.isnan(read["groundtruth_keypoints"][1]).all()
