"""The record files that a config's input readers name."""

from pathlib import Path

from tfod_kit.errors import UsageError
from tfod_kit.pipeline_config.messages import InputReader
from tfod_kit.records import shards


def record_patterns(*readers: InputReader) -> list[str]:
    """The input_path entries of input readers, in order."""
    return [path for reader in readers for path in reader.tf_record_input_reader.input_path]


def record_files(
    *readers: InputReader, skip_remote: bool = True, skip_missing: bool = False
) -> list[Path]:
    """The record files that input readers name, in the order they are named.

    Args:
      readers: train_input_reader, or some of eval_input_reader.
      skip_remote: whether to leave out remote storage, which only TensorFlow can open.
      skip_missing: whether to leave out patterns that match no file.

    Raises:
      UsageError: a pattern matches no file, unless `skip_missing` is set.
    """
    files = []
    for pattern in record_patterns(*readers):
        if skip_remote and is_remote(pattern):
            continue
        try:
            files += shards.match(pattern)
        except UsageError:
            if not skip_missing:
                raise
    return files


def is_remote(path: str) -> bool:
    """Whether a path names remote storage, such as gs://bucket/train."""
    return "://" in path
