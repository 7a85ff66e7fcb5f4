"""Records that check reports as errors stop upstream's reader; the others do not."""

from pathlib import Path

import pytest
from altered import TRAIN, with_features
from samples import encoded
from small_records import write_records

from tfod_kit.records import feature_keys, shards

pytestmark = pytest.mark.slow

BOXES = (feature_keys.YMIN, feature_keys.XMIN, feature_keys.YMAX, feature_keys.XMAX)
STOPS = {
    "image_undecodable: HTML": {feature_keys.ENCODED: [b"<html>"]},
    "image_undecodable: WebP": {feature_keys.ENCODED: [encoded("WEBP", 128, 128)]},
    "image_undecodable: GIF": {feature_keys.ENCODED: [encoded("GIF", 128, 128)]},
    "image_undecodable: TIFF": {feature_keys.ENCODED: [encoded("TIFF", 128, 128)]},
    "image_cut_short: JPEG": {feature_keys.ENCODED: [encoded("JPEG", 128, 128)[:-70]]},
    "image_cut_short: PNG": {feature_keys.ENCODED: [encoded("PNG", 128, 128)[:-70]]},
    "image_missing": {feature_keys.ENCODED: None},
    "format_raw": {feature_keys.FORMAT: [b"raw"]},
    "type_wrong": {feature_keys.CLASS_LABEL: [1.0, 2.0]},
    "lengths_differ: edges": {feature_keys.YMIN: [0.0]},
    "box_inverted": {feature_keys.YMIN: [0.6, 0.6], feature_keys.YMAX: [0.2, 0.8]},
}
PASSES = {
    "sound": {},
    "image_cmyk": {feature_keys.ENCODED: [encoded("JPEG", 128, 128, mode="CMYK")]},
    "image_turned": {feature_keys.ENCODED: [encoded("JPEG", 128, 128, orientation=6)]},
    "BMP": {feature_keys.ENCODED: [encoded("BMP", 128, 128)]},
    "data after the image": {feature_keys.ENCODED: [encoded("JPEG", 128, 128) + bytes(5000)]},
    "source_id_missing": {feature_keys.SOURCE_ID: None},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_records(tmp_path_factory.mktemp("upstream") / "records", train=1, val=0)


@pytest.fixture(scope="module")
def read(folder: Path):
    """Reads one record as upstream's input does, including the check of its boxes."""
    from tfod_kit.engine import runtime

    tf = runtime.start()
    from object_detection import inputs
    from object_detection.data_decoders.tf_example_decoder import TfExampleDecoder

    decoder = TfExampleDecoder(label_map_proto_file=str(folder / "label_map.pbtxt"))

    def decode(record):
        found = decoder.decode(record)
        boxes = inputs.assert_or_prune_invalid_boxes(found["groundtruth_boxes"])
        return found["image"], boxes, found["groundtruth_classes"]

    def run(record: bytes):
        return next(iter(tf.data.Dataset.from_tensors(record).map(decode)))

    return run


@pytest.fixture(scope="module")
def record(folder: Path) -> bytes:
    return next(iter(shards.read(folder / TRAIN)))


@pytest.mark.parametrize("name", STOPS)
def test_what_is_an_error_stops_upstream(name: str, record: bytes, read) -> None:
    with pytest.raises(Exception, match=r".") as caught:
        read(with_features(record, STOPS[name]))
    assert type(caught.value).__module__.startswith("tensorflow"), caught.value


@pytest.mark.parametrize("name", PASSES)
def test_what_is_not_an_error_does_not_stop_upstream(name: str, record: bytes, read) -> None:
    image, boxes, classes = read(with_features(record, PASSES[name]))
    assert image.shape == (128, 128, 3)
    assert boxes.shape == (2, 4)
    assert classes.numpy().tolist() == [1, 2]


def test_an_unknown_class_silently_becomes_minus_1(record: bytes, read) -> None:
    _, _, classes = read(with_features(record, {feature_keys.CLASS_TEXT: [b"Red", b"blue"]}))
    assert classes.numpy().tolist() == [-1, 2]
