"""Records of an input reader: looked at before TensorFlow reads them, once it failed, or instead.

Upstream waits for ever on an empty file, names no file or record when one is damaged, and ends the
training at the first of them.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfod_kit.engine import runtime
from tfod_kit.errors import DataError, first_line
from tfod_kit.pipeline_config import record_files
from tfod_kit.records import example_proto, feature_keys, shards
from tfod_kit.records.salvage import Damage, salvage


def check_records(reader: Any) -> int:
    """How many records an input reader has, each file seen to be whole as far as its sizes tell.

    Raises:
      DataError: a file is empty or cut short.
      UsageError: there is none.
    """
    return sum(map(shards.count, record_files(reader)))


def count_readable(reader: Any) -> int:
    """About how many records there are, where damaged files are to be passed over."""
    total = 0
    for path in record_files(reader):
        try:
            total += shards.count(path)
        except DataError:
            total += sum(not isinstance(item, Damage) for item in salvage(path))
    return total


def fault(record: bytes) -> str | None:
    """Why upstream's input pipeline would fail on a record; None where it would not."""
    tf = runtime.start()
    try:
        features = example_proto.read_features(record)
    except DataError as error:
        return error.problem
    encoded = [bytes(value) for value in features.get(feature_keys.ENCODED, ("", ()))[1]]
    if not encoded:
        return "it holds no picture"
    try:
        tf.io.decode_image(encoded[0], channels=3, expand_animations=False)
    except (tf.errors.OpError, ValueError) as error:
        return f"its picture does not decode: {first_line(error)}"
    edges = [features.get(key, ("", ()))[1] for key in _EDGES]
    if len({len(values) for values in edges}) > 1:
        return "its boxes have not four edges each"
    for ymin, xmin, ymax, xmax in zip(*edges, strict=True):
        if not (ymax >= ymin and xmax >= xmin):  # said so that NaN is found too
            return f"a box ends before it begins: {ymin:g}, {xmin:g}, {ymax:g}, {xmax:g}"
    return None


_EDGES = (feature_keys.YMIN, feature_keys.XMIN, feature_keys.YMAX, feature_keys.XMAX)


def faults(reader: Any) -> Iterator[DataError]:
    """Reads every record; yields an error for each that training would fail on."""
    for path in record_files(reader):
        for index, item in enumerate(salvage(path)):
            found = item.found if isinstance(item, Damage) else fault(item)
            if found is not None:
                yield _bad_record(path, index, found)


class Skipped:
    """The damaged records that a training passed over; filled by the threads that read.

    Attributes:
      errors: one for each bad record, in the order they were met, each once.
      hopeless: whether every file was read and none held a good record.
    """

    def __init__(self) -> None:
        self.errors: list[DataError] = []
        self.hopeless = False
        self._lock = threading.Lock()
        self._given = 0
        self._bad: set[tuple[Path, int]] = set()
        self._looked_at: dict[Path, int] = {}
        self._barren: set[Path] = set()

    def good_records(self, path: Path, files: int) -> Iterator[bytes]:
        """The records of a file that training can use; what a record is like is looked at once.

        Args:
          path: the file.
          files: how many files there are in all.

        Raises:
          DataError: no file holds a good record; TensorFlow would look for one for ever.
        """
        before = self._given
        for index, item in enumerate(salvage(path)):
            if isinstance(item, Damage):
                self._note(path, index, item.found)
            elif self._is_good(path, index, item):
                self._given += 1
                yield item
        if self._given == before:
            self._barren.add(path)
            if not self._given and len(self._barren) == files:
                self.hopeless = True
                raise self.errors[0]

    def _is_good(self, path: Path, index: int, record: bytes) -> bool:
        """The verdict on a record, found at its first reading and remembered for later epochs."""
        # A file is read from its beginning on, so how far that has come tells what was looked at.
        if index >= self._looked_at.get(path, 0):
            found = fault(record)
            if found is not None:
                self._note(path, index, found)
            self._looked_at[path] = max(index + 1, self._looked_at.get(path, 0))
        return (path, index) not in self._bad

    def _note(self, path: Path, index: int, found: str) -> None:
        with self._lock:
            if (path, index) not in self._bad:
                self._bad.add((path, index))
                self.errors.append(_bad_record(path, index, found))


@contextmanager
def skipping(skipped: Skipped | None) -> Iterator[None]:
    """Within the block upstream builds data sets that pass over damaged records.

    They are read by Python instead of TensorFlow, which costs little beside decoding a picture.

    Args:
      skipped: counts them; with None nothing is changed.
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


def _tolerant(upstream: Callable[..., Any], skipped: Skipped) -> Callable[..., Any]:
    tf = runtime.start()

    def read_dataset(
        file_read_func: Any, input_files: Any, config: Any, filename_shard_fn: Any = None
    ) -> Any:
        files = len([path for pattern in input_files for path in tf.io.gfile.glob(pattern)])

        def good_records(name: Any) -> Iterator[bytes]:
            return skipped.good_records(Path(name.decode()), files)

        def read(name: Any) -> Any:
            text = tf.TensorSpec((), tf.string)
            return tf.data.Dataset.from_generator(good_records, args=(name,), output_signature=text)

        return upstream(read, input_files, config, filename_shard_fn=filename_shard_fn)

    return read_dataset


def _bad_record(path: Path, index: int, found: str) -> DataError:
    return DataError(
        "A record cannot be used.",
        where=f"{path}, record {index}",
        found=found,
        fix="Convert the data set anew, or pass over such records: tfod train --skip_bad_records",
    )
