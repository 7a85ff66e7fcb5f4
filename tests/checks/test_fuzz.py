"""Records with altered bytes and correct checksums: check reports findings and never fails."""

import random
from pathlib import Path

import pytest
from altered import TRAIN
from samples import encoded
from small_records import write_records

from tfod_kit import checks
from tfod_kit.records import example_proto, feature_keys, shards

_SEED = 20
_RECORDS = 1500


@pytest.fixture(scope="module")
def mutants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of which each has some bytes changed, removed or inserted."""
    folder = write_records(tmp_path_factory.mktemp("fuzz") / "records", train=3, val=1)
    sound = list(shards.read(folder / TRAIN))
    dice = random.Random(_SEED)
    shards.write(folder / TRAIN, (_mutant(dice.choice(sound), dice) for _ in range(_RECORDS)))
    return folder


def _mutant(record: bytes, dice: random.Random) -> bytes:
    data = bytearray(record)
    for _ in range(dice.randint(1, 6)):
        # The features' names and values are at both ends, with the image between them.
        offset = dice.choice((dice.randrange(len(data)), dice.randrange(min(len(data), 200))))
        match dice.randrange(4):
            case 0:
                data[offset] = dice.randrange(256)
            case 1:
                del data[offset : offset + dice.randint(1, 40)]
            case 2:
                data[offset:offset] = dice.randbytes(dice.randint(1, 9))
            case _:
                data[offset] ^= 1 << dice.randrange(8)
        data = data or bytearray(b"?")
    return bytes(data)


def test_mutants(mutants: Path) -> None:
    report = checks.check(mutants, checks.CheckOptions(pixels=True))
    assert report.splits["train"].files == 1
    codes = {each.code for each in report.findings}
    assert {"not_example", "image_undecodable", "size_wrong", "image_missing"} <= codes
    unparsable = next(each.count for each in report.findings if each.code == "not_example")
    assert unparsable + report.splits["train"].records == _RECORDS


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_cut_at_every_place(tmp_path: Path, kind: str) -> None:
    whole = encoded(kind, 20, 16, orientation=6)
    folder = write_records(tmp_path / "records", train=1, val=0)
    (record,) = shards.read(folder / TRAIN)
    message = example_proto.kind("Example").FromString(record)
    value = message.features.feature[feature_keys.ENCODED].bytes_list.value

    def cut() -> list[bytes]:
        made = []
        for end in range(1, len(whole)):
            value[0] = whole[:end]
            made.append(message.SerializeToString())
        return made

    shards.write(folder / TRAIN, cut())
    report = checks.check(folder, checks.CheckOptions(pixels=True))
    wrong = {"image_undecodable", "image_cut_short", "image_damaged"}
    assert sum(each.count for each in report.findings if each.code in wrong) >= len(whole) - 1
