"""Checks the records of an input reader: before TensorFlow reads them, after it failed, or instead.

Upstream waits forever on an empty file, names neither file nor record if one is damaged, and stops
the training at the first damaged record.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import Dataset, InputReader, Tensor
from tfod_kit.errors import DataError, first_line
from tfod_kit.pipeline_config import record_files
from tfod_kit.records import example_proto, feature_keys, shards
from tfod_kit.records.salvage import Damage, salvage


def check_records(reader: InputReader) -> int:
    """The number of records of an input reader; checks that the size of each file is plausible.

    Raises:
      DataError: a file is empty or cut short.
      UsageError: a pattern matches nothing.
    """
    return sum(map(shards.count, record_files(reader)))


def count_readable(reader: InputReader) -> int:
    """The approximate number of records that can be read, in files that may be damaged."""
    total = 0
    for path in record_files(reader):
        try:
            total += shards.count(path)
        except DataError:
            total += sum(not isinstance(item, Damage) for item in salvage(path))
    return total


def fault(record: bytes) -> str | None:
    """The reason why upstream's input pipeline fails on a record; None if it does not."""
    tf = runtime.start()
    try:
        features = example_proto.read_features(record)
    except DataError as error:
        return error.problem
    encoded = [bytes(value) for value in features.get(feature_keys.ENCODED, ("", ()))[1]]
    if not encoded:
        return "it contains no image"
    try:
        tf.io.decode_image(encoded[0], channels=3, expand_animations=False)
    except (tf.errors.OpError, ValueError) as error:
        return f"its image cannot be decoded: {first_line(error)}"
    edges = [features.get(key, ("", ()))[1] for key in _EDGES]
    if len({len(values) for values in edges}) > 1:
        return "its boxes do not have four edges each"
    for ymin, xmin, ymax, xmax in zip(*edges, strict=True):
        if not (ymax >= ymin and xmax >= xmin):  # this form is true for NaN too
            return f"a box ends before it begins: {ymin:g}, {xmin:g}, {ymax:g}, {xmax:g}"
    return None


_EDGES = (feature_keys.YMIN, feature_keys.XMIN, feature_keys.YMAX, feature_keys.XMAX)


def faults(reader: InputReader) -> Iterator[DataError]:
    """Reads every record; yields an error for each one that training would fail on."""
    for path in record_files(reader):
        for index, item in enumerate(salvage(path)):
            problem = item.found if isinstance(item, Damage) else fault(item)
            if problem is not None:
                yield _bad_record(path, index, problem)


class Skipped:
    """The damaged records that a training skips; the reading threads fill it.

    Attributes:
      errors: one error for each damaged record, in the order in which they were read.
      hopeless: whether every file was read and none contains a good record.
    """

    def __init__(self) -> None:
        self.errors: list[DataError] = []
        self.hopeless = False
        self._lock = threading.Lock()
        self._good = 0
        self._bad: set[tuple[Path, int]] = set()
        self._checked: dict[Path, int] = {}
        self._without_good: set[Path] = set()

    def good_records(self, path: Path, files: int) -> Iterator[bytes]:
        """Yields the records of a file that training can use; each record is checked once.

        Args:
          path: the file.
          files: the number of all files.

        Raises:
          DataError: no file contains a good record; TensorFlow would search forever.
        """
        before = self._good
        for index, item in enumerate(salvage(path)):
            if isinstance(item, Damage):
                self._note(path, index, item.found)
            elif self._is_good(path, index, item):
                self._good += 1
                yield item
        if self._good == before:
            self._without_good.add(path)
            if not self._good and len(self._without_good) == files:
                self.hopeless = True
                raise self.errors[0]

    def _is_good(self, path: Path, index: int, record: bytes) -> bool:
        """Whether a record is good; checked when it is first read, remembered for later epochs."""
        # A file is read from its start, so one index states which records were checked.
        if index >= self._checked.get(path, 0):
            problem = fault(record)
            if problem is not None:
                self._note(path, index, problem)
            self._checked[path] = max(index + 1, self._checked.get(path, 0))
        return (path, index) not in self._bad

    def _note(self, path: Path, index: int, problem: str) -> None:
        with self._lock:
            if (path, index) not in self._bad:
                self._bad.add((path, index))
                self.errors.append(_bad_record(path, index, problem))


@contextmanager
def skipping(skipped: Skipped | None) -> Iterator[None]:
    """Makes upstream build data sets that skip damaged records within the block.

    Python reads the records instead of TensorFlow, which costs little compared with decoding.

    Args:
      skipped: counts the damaged records; None changes nothing.
    """
    if skipped is None:
        yield
        return
    runtime.start()
    from object_detection.builders import dataset_builder

    upstream = dataset_builder.read_dataset
    dataset_builder.read_dataset = _tolerant(upstream, skipped)
    try:
        yield
    finally:
        dataset_builder.read_dataset = upstream


def _tolerant(upstream: Callable[..., Dataset], skipped: Skipped) -> Callable[..., Dataset]:
    tf = runtime.start()

    def read_dataset(
        file_read_func: Any, input_files: Any, config: Any, filename_shard_fn: Any = None
    ) -> Dataset:
        files = len([path for pattern in input_files for path in tf.io.gfile.glob(pattern)])

        def good_records(name: bytes) -> Iterator[bytes]:
            return skipped.good_records(Path(name.decode()), files)

        def read(name: Tensor) -> Dataset:
            text = tf.TensorSpec((), tf.string)
            return tf.data.Dataset.from_generator(good_records, args=(name,), output_signature=text)

        return upstream(read, input_files, config, filename_shard_fn=filename_shard_fn)

    return read_dataset


def _bad_record(path: Path, index: int, problem: str) -> DataError:
    return DataError(
        "A record cannot be used.",
        where=f"{path}, record {index}",
        found=problem,
        fix="Convert the data set again, or skip such records: tfod train --skip_bad_records",
    )
