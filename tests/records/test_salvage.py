import time
from pathlib import Path

import pytest

from tfod_kit.records import shards
from tfod_kit.records.salvage import Damage, salvage

RECORDS = [bytes([number]) * size for number, size in enumerate((40, 0, 300, 7, 64))]
OVERHEAD = 16  # bytes of length and checksums round each record


@pytest.fixture
def file(tmp_path: Path) -> Path:
    shards.write(tmp_path / "a.tfrecord", RECORDS)
    return tmp_path / "a.tfrecord"


def start_of(index: int) -> int:
    return sum(len(record) + OVERHEAD for record in RECORDS[:index])


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_a_whole_file_reads_whole(file: Path) -> None:
    assert list(salvage(file)) == RECORDS


@pytest.mark.parametrize("part", ["length", "length's checksum", "data", "data's checksum"])
@pytest.mark.parametrize("index", [0, 2, 4])
def test_a_damaged_record_costs_itself_alone(file: Path, index: int, part: str) -> None:
    within = {"length": 1, "length's checksum": 9, "data": 14, "data's checksum": -1}[part]
    flip(file, (start_of(index) if within >= 0 else start_of(index + 1)) + within)
    found = list(salvage(file))
    damage = found.pop(index)
    assert isinstance(damage, Damage)
    assert (damage.index, damage.offset) == (index, start_of(index))
    assert found == RECORDS[:index] + RECORDS[index + 1 :]


@pytest.mark.parametrize("left", [5, 12, 30, start_of(4) + 15])
def test_a_file_cut_short_gives_what_is_before_the_cut(file: Path, left: int) -> None:
    file.write_bytes(file.read_bytes()[:left])
    *whole, damage = salvage(file)
    assert whole == RECORDS[: len(whole)]
    assert isinstance(damage, Damage)


def test_something_else_is_one_damage(tmp_path: Path) -> None:
    for name, data in (("empty", b""), ("zeros", bytes(1000)), ("text", b"no records" * 50)):
        (tmp_path / name).write_bytes(data)
        found = [item for item in salvage(tmp_path / name) if item != b""]
        assert all(isinstance(item, Damage) for item in found), name
        assert found, name


def test_zeros_cost_no_time_and_what_follows_them_is_found(tmp_path: Path) -> None:
    """Part of a file on a failing disk: 100 MB took 200 s."""
    shards.write(tmp_path / "good.tfrecord", RECORDS)
    good = (tmp_path / "good.tfrecord").read_bytes()
    path = tmp_path / "zeroed.tfrecord"
    for zeros in (1, 11, 12, 13, 100 << 20):
        path.write_bytes(good + bytes(zeros) + good)
        started = time.process_time()
        found = list(salvage(path))
        assert time.process_time() - started < 5
        assert [item for item in found if isinstance(item, bytes)] == [*RECORDS, *RECORDS]
        (damage,) = (item for item in found if isinstance(item, Damage))
        assert (damage.index, damage.offset) == (len(RECORDS), len(good))
    path.write_bytes(good + bytes(100 << 20))
    *whole, damage = salvage(path)
    assert whole == RECORDS
    assert isinstance(damage, Damage)
