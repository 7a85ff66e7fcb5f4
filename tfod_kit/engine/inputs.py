"""Record files of an input reader: looked at before TensorFlow reads them, or once it failed."""

from pathlib import Path
from typing import Any

from tfod_kit.records import shards


def check_records(reader: Any) -> list[Path]:
    """The record files of an input reader, each seen to be whole as far as its sizes tell.

    Upstream waits for ever on an empty file, and names no file when one is damaged.

    Raises:
      DataError: there is none, or one is empty or cut short.
    """
    files = []
    for pattern in reader.tf_record_input_reader.input_path:
        if "://" in pattern:
            continue  # remote storage: TensorFlow's to open
        found = shards.match(pattern)
        for path in found:
            shards.count(path)
        files += found
    return files


def scan_records(reader: Any) -> None:
    """Reads every record; raises the DataError that names the damaged one."""
    for path in check_records(reader):
        for _ in shards.read(path):
            pass
