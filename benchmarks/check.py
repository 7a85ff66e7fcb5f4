"""`tfod check` against the time of reading the same bytes, and pixels against tf.data; one table.

  python benchmarks/check.py [--size 350] [--images 3500] [--runs 3] [--pixels 1000]

Generates the records (350 MB, 21,000 boxes), then measures, best of several: reading the files
alone, from the disk (the kernel is asked to forget them first) and from memory; the check with
every checksum, every feature and every picture's header, both ways; and, on real JPEGs, the check
with pixels against tf.data decoding the same records. Exits with 1 when the check takes over twice
the time of reading from the disk, or fewer pictures a second than 0.8 of tf.data's.
"""

import argparse
import io
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tfod_kit import checks
from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.records import example, shards
from tfod_kit.records.images import EncodedImage

_BOXES = 6  # a picture
_SHARDS = 4
_LIMIT = 2.0
_LEAST = 0.8
_NAMES = ("ant", "bee", "cat", "dog", "eel", "fox")
_DECODE = """
import sys, time, tensorflow as tf
files = sys.argv[1:]
def decode(record):
    features = tf.io.parse_single_example(
        record, {"image/encoded": tf.io.FixedLenFeature((), tf.string)})
    return tf.io.decode_jpeg(features["image/encoded"], channels=3)
def run():
    data = tf.data.Dataset.from_tensor_slices(files).interleave(tf.data.TFRecordDataset)
    data = data.map(decode, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    start = time.perf_counter()
    count = sum(1 for _ in data)
    return count / (time.perf_counter() - start)
print(max(run() for _ in range(3)))
"""


def main() -> int:
    """Measures, prints, judges."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=350, help="MB of records")
    parser.add_argument("--images", type=int, default=3500)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--pixels", type=int, default=1000, help="real JPEGs of 640x480")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        files = _records(folder / "headers", args.images, _noise(args.size * 10**6 // args.images))
        slow = _compare_reading(folder / "headers", files, args.runs)
        files = _records(folder / "pixels", args.pixels, _jpegs())
        slow |= _compare_decoding(folder / "pixels", files, args.pixels, args.runs)
    return int(slow)


def _compare_reading(folder: Path, files: list[Path], runs: int) -> bool:
    weight = sum(path.stat().st_size for path in files)
    print(f"{weight / 1e6:,.0f} MB in {len(files)} files")
    ratios = {}
    for what, prepare in (("disk", _forget), ("memory", lambda files: None)):
        _read(files)
        reading = _best(lambda: _read(files), lambda: prepare(files), runs)  # noqa: B023
        checking = _best(lambda: _check(folder), lambda: prepare(files), runs)  # noqa: B023
        ratios[what] = checking[0] / reading[0]
        print(
            f"from {what:<7} reading {reading[0]:6.3f} s (CPU {reading[1]:.3f})  "
            f"check {checking[0]:6.3f} s (CPU {checking[1]:.3f})  {ratios[what]:5.2f} times  "
            f"{weight / checking[0] / 1e6:6,.0f} MB/s"
        )
    print(f"limit: {_LIMIT:g} times the reading from the disk")
    return ratios["disk"] > _LIMIT


def _compare_decoding(folder: Path, files: list[Path], pictures: int, runs: int) -> bool:
    pixels = checks.CheckOptions(pixels=True)
    seconds, _ = _best(lambda: checks.check(folder, pixels), lambda: None, runs)
    done = subprocess.run(
        [sys.executable, "-c", _DECODE, *map(str, files)],
        capture_output=True,
        text=True,
        check=True,
    )
    theirs, ours = float(done.stdout), pictures / seconds
    print(f"pixels of {pictures:,} JPEGs, 640x480")
    print(f"tfod check --pixels {ours:7,.0f} images/s")
    print(f"tf.data decoding    {theirs:7,.0f} images/s  ours / theirs {ours / theirs:.2f}")
    return ours < _LEAST * theirs


def _records(folder: Path, count: int, pictures: Iterator[bytes]) -> list[Path]:
    folder.mkdir()
    label_map = labels.from_names(_NAMES)
    labels.save(label_map, folder / "label_map.pbtxt")
    dice = random.Random(1)

    def encoded(place: int) -> bytes:
        found = tuple(
            ObjectAnnotation(name, Box(y, x, y + 0.2, x + 0.3))
            for name in _NAMES[:_BOXES]
            for y, x in [(dice.uniform(0, 0.7), dice.uniform(0, 0.6))]
        )
        annotation = ImageAnnotation(Path(f"{place}.jpg"), 640, 480, f"{place}", found)
        return example.encode(annotation, EncodedImage(next(pictures), "jpeg", 640, 480), label_map)

    paths = [folder / shards.name("train", index, _SHARDS) for index in range(_SHARDS)]
    for index, path in enumerate(paths):
        shards.write(path, map(encoded, range(index, count, _SHARDS)))
    return paths


def _noise(size: int) -> Iterator[bytes]:
    """A JPEG's headers and end, and bytes between them that cost no time to make."""
    start, end = next(_jpegs())[:623], b"\xff\xd9"
    while True:
        yield start + os.urandom(size - len(start) - len(end)) + end


def _jpegs() -> Iterator[bytes]:
    from PIL import Image

    small = Image.frombytes("RGB", (64, 48), random.Random(2).randbytes(64 * 48 * 3))
    whole = small.resize((640, 480))
    place = 0
    while True:
        stream = io.BytesIO()
        place += 1
        whole.rotate(place % 90).save(stream, format="JPEG", quality=90)
        yield stream.getvalue()


def _read(files: list[Path]) -> None:
    for path in files:
        with path.open("rb", buffering=0) as stream:
            while stream.read(2**20):
                pass


def _check(folder: Path) -> None:
    report = checks.check(folder)
    if not report.ok:
        sys.exit(f"the benchmark's own records are wrong: {report.findings}")


def _forget(files: list[Path]) -> None:
    """Asks the kernel to drop the files from its cache."""
    for path in files:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _best(
    work: Callable[[], object], prepare: Callable[[], object], runs: int
) -> tuple[float, float]:
    """The shortest wall time and the least processor time of several runs, in seconds."""
    wall, processor = [], []
    for _ in range(runs):
        prepare()
        start, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return min(wall), min(processor)


if __name__ == "__main__":
    sys.exit(main())
