from pathlib import Path

import pytest

from tfod_kit.errors import DataError, UsageError
from tfod_kit.io import files
from tfod_kit.records import shards

RECORDS = [b"one", b"", b"three" * 1000]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / shards.name("train", 0, 1)
    shards.write(path, RECORDS)
    return path


def test_what_is_written_is_read(path: Path) -> None:
    assert list(shards.read(path)) == RECORDS
    assert shards.count(path) == 3


def test_parts_are_written_out_while_others_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[int, int]] = []
    monkeypatch.setattr(shards, "_WRITE_OUT", 100)
    monkeypatch.setattr(
        files, "start_writing_out", lambda _, start, size: begun.append((start, size))
    )
    records = [bytes(50)] * 5
    size, _ = shards.write(tmp_path / "a.tfrecord", records)
    assert list(shards.read(tmp_path / "a.tfrecord")) == records
    assert begun == [(0, 132), (132, 132)]
    assert size == 330


def test_the_framing_is_tensorflows(tmp_path: Path) -> None:
    """The bytes that tf.io.TFRecordWriter (TensorFlow 2.20) writes for one record b"abc"."""
    shards.write(tmp_path / "a", [b"abc"])
    expected = "0300000000000000b099490e6162636e57f121"
    assert (tmp_path / "a").read_bytes().hex() == expected


@pytest.mark.parametrize("cut", [1, 5, 20, 5020], ids=["1 byte", "trailer", "data", "header"])
def test_a_file_cut_short_names_file_and_record(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match="cut short") as caught:
        list(shards.read(path))
    expected = 1 if cut == 5020 else 2
    assert caught.value.where == f"{path}, record {expected}"


@pytest.mark.parametrize("place", [0, 9, 13], ids=["length", "its checksum", "data"])
def test_a_flipped_bit_names_file_and_record(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged[^$]*record 0"):
        list(shards.read(path))


def test_damage_to_the_data_shows_after_what_is_whole(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    records = shards.read(path)
    assert next(records) == b"one"
    assert next(records) == b""
    with pytest.raises(DataError, match="record 2"):
        next(records)
    assert shards.count(path) == 3  # by the lengths alone, which are whole


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.tfrecord").write_bytes(b"")
    with pytest.raises(DataError, match="wait forever"):
        list(shards.read(tmp_path / "empty.tfrecord"))


def test_what_is_no_record_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "a.tfrecord").write_text("item { id: 1 name: 'cat' }")
    with pytest.raises(DataError, match="not a TFRecord file"):
        list(shards.read(tmp_path / "a.tfrecord"))
    with pytest.raises(DataError, match="cannot be read"):
        list(shards.read(tmp_path / "absent.tfrecord"))


def test_a_failing_source_leaves_no_file(tmp_path: Path) -> None:
    def records() -> object:
        yield b"one"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        shards.write(tmp_path / "a.tfrecord", records())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_names() -> None:
    assert shards.name("train", 3, 12) == "train-00003-of-00012.tfrecord"
    assert shards.pattern("train", 12) == "train-?????-of-00012.tfrecord"


@pytest.mark.parametrize(
    "wanted",
    [
        "train-?????-of-00002.tfrecord",
        "train-*.tfrecord",
        "train@2.tfrecord",
        "train-0000[01]-of-00002.tfrecord",
    ],
)
def test_match(tmp_path: Path, wanted: str) -> None:
    paths = [tmp_path / shards.name("train", index, 2) for index in range(2)]
    for path in [*paths, tmp_path / shards.name("val", 0, 1)]:
        shards.write(path, [b"x"])
    assert shards.match(str(tmp_path / wanted)) == paths
    assert shards.bases(tmp_path) == {"train": paths, "val": [tmp_path / shards.name("val", 0, 1)]}


def test_match_says_what_is_missing(tmp_path: Path) -> None:
    shards.write(tmp_path / shards.name("train", 0, 2), [b"x"])
    with pytest.raises(UsageError, match="00001-of-00002"):
        shards.match(str(tmp_path / "train@2.tfrecord"))
    with pytest.raises(UsageError, match="No record file matches"):
        shards.match(str(tmp_path / "val-*.tfrecord"))


@pytest.mark.parametrize("size", [1 << 40, (1 << 63) - 1, (1 << 64) - 1])
def test_a_huge_length_with_the_right_checksum(tmp_path: Path, size: int) -> None:
    length = shards.LENGTH.pack(size)
    checksum = shards.CRC.pack(shards.masked_crc(length))
    (tmp_path / "a").write_bytes(length + checksum + bytes(100))
    for read in (shards.read, shards.count):
        with pytest.raises(DataError, match="cut short"):
            list(read(tmp_path / "a"))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="cut short"):
        shards.read_at(tmp_path / "a", 0)
