"""fast_record_parser gives the same features as parsing the whole record, for any layout."""

import pytest
from altered import TRAIN, with_features
from samples import encoded
from small_records import write_records

from tfod_kit.checks.scanning.fast_record_parser import ParsedRecord, parse
from tfod_kit.errors import DataError
from tfod_kit.records import example_proto, feature_keys, shards

_INSIDE = b"\n\rimage/encoded\x12\x03"  # the key's own bytes, as a text may contain them


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = write_records(tmp_path_factory.mktemp("parser") / "records", train=1, val=0)
    return next(iter(shards.read(folder / TRAIN)))


def _compare(record: bytes) -> ParsedRecord:
    """Parses the record both ways, and compares."""
    found = parse(record)
    whole = example_proto.read_features(record)
    _, (image, *_) = whole.pop(feature_keys.ENCODED, ("", (b"",)))
    assert found.image() == image
    assert {key: (kind, list(values)) for key, (kind, values) in found.features.items()} == {
        key: (kind, list(values)) for key, (kind, values) in whole.items()
    }
    return found


def test_a_record_as_it_is_written(record: bytes) -> None:
    assert _compare(record).data is record, "the image is not copied"


@pytest.mark.parametrize("size", [1, 100, 127, 128, 16_383, 16_384, 2_100_000])
def test_image_lengths_that_take_one_to_four_bytes(record: bytes, size: int) -> None:
    _compare(with_features(record, {feature_keys.ENCODED: [b"x" * size]}))


@pytest.mark.parametrize(
    "changes",
    [
        {feature_keys.ENCODED: [encoded("JPEG", 40, 30) + _INSIDE]},
        {feature_keys.FILENAME: [_INSIDE * 3]},
        {"image/before": [_INSIDE + b"\n\x01"]},
        {feature_keys.ENCODED: [b"one", b"two"]},
        {feature_keys.ENCODED: None},
        {feature_keys.ENCODED: [b""]},
        {"image/encoded_too": [b"other"]},
    ],
    ids=["in the image", "in the name", "before", "two", "missing", "empty", "a longer key"],
)
def test_misleading_records(record: bytes, changes: dict) -> None:
    _compare(with_features(record, changes))


def test_a_record_cut_anywhere_is_an_error_or_parsed_as_protobuf_parses_it(record: bytes) -> None:
    record = with_features(record, {feature_keys.ENCODED: [b"p" * 30], feature_keys.MASK: None})
    for end in range(len(record)):
        cut = record[:end]
        try:
            _compare(cut)
        except DataError:
            with pytest.raises(DataError):
                example_proto.read_features(cut)


def test_fingerprints_of_different_images_differ() -> None:
    data = [encoded("PNG", 200, 200, seed=seed) for seed in (1, 2)]
    prints = [ParsedRecord({}, b"??" + each, 2, len(each) + 2).fingerprint() for each in data]
    assert prints[0] != prints[1]
    again = ParsedRecord({}, data[0], 0, len(data[0])).fingerprint()
    assert again == prints[0], "at any offset"
    bitmap = b"BM" + bytes(20_000)
    altered = bitmap[:9000] + b"!" + bitmap[9001:]
    first, second = (ParsedRecord({}, each, 0, len(each)) for each in (bitmap, altered))
    assert first.fingerprint() != second.fingerprint(), "uncompressed images are covered whole"
