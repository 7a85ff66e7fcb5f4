"""Images inside Parquet files, as Hugging Face stores them: a struct of bytes and path per row."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from tfod_kit.errors import SetupError

SUFFIX = ".parquet"

_LARGEST_GROUP = 2 << 30  # bytes of a row group; it is decoded as a whole


def pyarrow() -> Any:
    """The module pyarrow.parquet. Raises SetupError if pyarrow is not installed."""
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise SetupError(
            "Reading Parquet files needs pyarrow, which is not installed.",
            fix="pip install 'tfod_kit[parquet]'",
        ) from error
    return parquet


def open_file(path: Path) -> Any:
    """The ParquetFile of a path.

    Raises:
      ValueError: it is not a Parquet file, or a row group of it is too large.
      OSError: it cannot be read.
      SetupError: pyarrow is not installed.
    """
    parquet = pyarrow()
    file = parquet.ParquetFile(path, pre_buffer=False)
    sizes = (file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups))
    if max(sizes, default=0) > _LARGEST_GROUP:
        raise ValueError(f"a row group of over {_LARGEST_GROUP >> 30} GiB")
    return file


def column(schema: Any) -> str | None:
    """The first column of images: a struct with "bytes", or binary and called image; else None."""
    from pyarrow import types

    for field in schema:
        if types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            return str(field.name)
        is_binary = types.is_binary(field.type) or types.is_large_binary(field.type)
        if is_binary and field.name.startswith("image"):
            return str(field.name)
    return None


def read(path: Path, row: int) -> bytes:
    """The encoded bytes of the image in a row.

    Raises:
      ValueError: the file is damaged, or the row does not exist or has no image.
      OSError: the file cannot be read.
    """
    status = os.stat(path)  # noqa: PTH116 called for each image
    values, start = _group_of(path, row, status.st_size, status.st_mtime_ns)
    if row - start >= len(values):  # its metadata are damaged
        raise ValueError(f"row {row} is missing")
    value = values[row - start].as_py()
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise ValueError(f"row {row} has no image")
    return data


def bytes_of_row(path: Path) -> int:
    """The bytes that a row takes on disk, on average. Raises as `read`."""
    status = os.stat(path)  # noqa: PTH116 called for each image
    return status.st_size // max(1, sum(_group_sizes(path, status.st_size, status.st_mtime_ns)))


def _group_of(path: Path, row: int, size: int, modified: int) -> tuple[Any, int]:
    """The images of the row group that a row is in, and the group's first row."""
    start = 0
    for group, rows in enumerate(_group_sizes(path, size, modified)):
        if row < start + rows:
            return _images(path, group, size, modified), start
        start += rows
    raise ValueError(f"row {row} of {start}")


@lru_cache(maxsize=64)
def _group_sizes(path: Path, size: int, modified: int) -> tuple[int, ...]:
    with open_file(path) as file:
        return tuple(file.metadata.row_group(i).num_rows for i in range(file.num_row_groups))


@lru_cache(maxsize=4)  # rows are read one after another, or in random order
def _images(path: Path, group: int, size: int, modified: int) -> Any:
    with open_file(path) as file:
        name = column(file.schema_arrow)
        if name is None:
            raise ValueError("the file has no column of images")
        return file.read_row_group(group, columns=[name], use_threads=False).column(name)
