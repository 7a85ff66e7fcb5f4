"""Every reader of the kit's own files meets the same mutations: it reads, or explains."""

from pathlib import Path

import pytest
from own_files import READERS, mutations
from own_models import write_checkpoint_index

from tfod_kit.errors import CheckpointError, TfodKitError
from tfod_kit.runs import checkpoint_index

MUTATIONS, MUTATIONS_OF_SLOW = 300, 20  # the soak reads many more


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_ends_in_one_message(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    path = reader.write(tmp_path)
    original = path.read_bytes()
    reader.read(path)
    refused = 0
    for data in mutations(original, 14, MUTATIONS_OF_SLOW if reader.slow else MUTATIONS):
        path.write_bytes(data)
        try:
            reader.read(path)
        except TfodKitError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error} for {data[:3000]!r}") from error
    assert refused or not reader.refuses


def test_every_changed_bit_of_a_checkpoint_index_is_noticed(tmp_path: Path) -> None:
    path = write_checkpoint_index(tmp_path)
    data = path.read_bytes()
    table = len(data) - 48  # the footer's padding holds nothing
    for at in range(table):
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        with pytest.raises(CheckpointError, match="damaged"):
            checkpoint_index.read(tmp_path / "ckpt-1")
