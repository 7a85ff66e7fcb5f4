"""light: the same features as a whole parse, whatever the record's layout."""

import pytest
from altered import TRAIN, with_features
from samples import encoded
from small_records import write_records

from tfod_kit.checks import fast_record_parser
from tfod_kit.errors import DataError
from tfod_kit.records import example, shards

_INSIDE = b"\n\rimage/encoded\x12\x03"  # the key's own bytes, as a picture or a text may hold them


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = write_records(tmp_path_factory.mktemp("light") / "records", train=1, val=0)
    return next(iter(shards.read(folder / TRAIN)))


def _same(record: bytes) -> fast_record_parser.ParsedRecord:
    """Compares with a whole parse."""
    found = fast_record_parser.parse(record)
    whole = example.features(record)
    _, (picture, *_) = whole.pop(example.ENCODED, ("", (b"",)))
    assert found.picture() == picture
    assert {key: (kind, list(values)) for key, (kind, values) in found.features.items()} == {
        key: (kind, list(values)) for key, (kind, values) in whole.items()
    }
    return found


def test_a_record_as_it_is_written(record: bytes) -> None:
    assert _same(record).data is record, "the picture is not copied"


@pytest.mark.parametrize("size", [1, 100, 127, 128, 16_383, 16_384, 2_100_000])
def test_pictures_whose_lengths_take_one_to_four_bytes(record: bytes, size: int) -> None:
    _same(with_features(record, {example.ENCODED: [b"x" * size]}))


@pytest.mark.parametrize(
    "changes",
    [
        {example.ENCODED: [encoded("JPEG", 40, 30) + _INSIDE]},
        {example.FILENAME: [_INSIDE * 3]},
        {"image/before": [_INSIDE + b"\n\x01"]},
        {example.ENCODED: [b"one", b"two"]},
        {example.ENCODED: None},
        {example.ENCODED: [b""]},
        {"image/encoded_too": [b"other"]},
    ],
    ids=["in the picture", "in the name", "before", "two", "none", "empty", "a longer key"],
)
def test_records_that_mislead(record: bytes, changes: dict) -> None:
    _same(with_features(record, changes))


def test_a_record_cut_at_any_place_is_an_error_or_parsed_as_protobuf_does(record: bytes) -> None:
    picture = {example.ENCODED: [b"p" * 30]}
    record = with_features(record, {**picture, example.MASK: None})
    for end in range(len(record)):
        cut = record[:end]
        try:
            _same(cut)
        except DataError:
            with pytest.raises(DataError):
                example.features(cut)


def test_the_fingerprint_tells_pictures_apart() -> None:
    data = [encoded("PNG", 200, 200, seed=seed) for seed in (1, 2)]
    prints = [
        fast_record_parser.ParsedRecord({}, b"??" + each, 2, len(each) + 2).fingerprint()
        for each in data
    ]
    assert prints[0] != prints[1]
    again = fast_record_parser.ParsedRecord({}, data[0], 0, len(data[0])).fingerprint()
    assert again == prints[0], "wherever it lies"
    flat = [bytes((b"B"[0], b"M"[0])) + bytes(20_000) for _ in range(2)]
    flat[1] = flat[1][:9000] + b"!" + flat[1][9001:]
    assert (
        len(
            {fast_record_parser.ParsedRecord({}, each, 0, len(each)).fingerprint() for each in flat}
        )
        == 2
    )
