"""Damaged and hostile versions of annotation files and records, and what reads them."""

import json
import random
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import rich_samples
import tool_samples
from google.protobuf.message import DecodeError

from tfod_kit import formats
from tfod_kit.core import labels
from tfod_kit.formats import FORMATS
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.repair import fitted
from tfod_kit.records import example, example_proto, feature_keys, images, shards

FIXTURES = Path(__file__).parent / "formats" / "fixtures"
IMAGE_SUFFIXES = (".png", ".jpg")

NUMBERS = ["-1", "0", "1e9", "-1e308", "1e999", "nan", "inf", "99999999999999999999", "1,5", "0x10"]
TEXTS = [
    *NUMBERS,
    "",
    " ",
    "../../../etc/passwd",
    "/etc/passwd",
    "C:\\windows\\a.png",
    "a.png",
    "\x00",
    "é\u202e\ud7ff",
    "a" * 5000,
    "&x;",
    "<!ENTITY x SYSTEM 'file:///etc/passwd'>",
    "[" * 3000,
    '{"a":' * 3000,
    "<a>" * 3000,
    "\r",
    ",",
    ";",
    '"',
]
VALUES = [
    None,
    True,
    -1,
    0,
    1e300,
    2**63,
    "",
    "../a.png",
    [],
    {},
    [[]],
    [1, 2],
    {"counts": "P", "size": [9, 9]},
]


EXTRA_KEYS = [
    feature_keys.MASK,
    feature_keys.KEYPOINT_X,
    feature_keys.KEYPOINT_Y,
    feature_keys.KEYPOINT_VISIBILITY,
    feature_keys.AREA,
]


@dataclass(repr=False)
class Fixture:
    """A copy of a fixture, and its annotation files as they were."""

    folder: Path
    originals: dict[Path, bytes]


def copies(folder: Path) -> dict[str, Fixture]:
    """A copy of the fixtures of every format, and of richer ones, in a folder."""
    copied = {}
    for part in ("rich", "tools"):
        (folder / part).mkdir()
    rich = rich_samples.write(folder / "rich")
    rich |= tool_samples.write_all(folder / "tools")
    for name in FORMATS:
        own = folder / f"fuzz-{name}" / name
        shutil.copytree(FIXTURES / name, own / "plain")
        if name in rich:
            shutil.copytree(rich[name], own / "rich")
        files = (path for path in sorted(own.rglob("*")) if path.is_file())
        copied[name] = Fixture(
            own, {path: path.read_bytes() for path in files if path.suffix not in IMAGE_SUFFIXES}
        )
    return copied


def _bytes(data: bytes, rng: random.Random) -> bytes:
    """Cuts, repeats or overwrites a piece, or inserts random bytes or a hostile text."""
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + rng.choice((0, 1, 4, 40)))
    mutation = rng.randrange(5)
    if mutation == 0:
        return data[:start]
    if mutation == 1:
        return data[:start] + data[end:]
    if mutation == 2:
        return data[:end] + data[start:]
    new = (
        rng.randbytes(end - start)
        if mutation == 3
        else rng.choice(TEXTS).encode(errors="surrogatepass")
    )
    return data[:start] + new + data[end:]


def _token(data: bytes, rng: random.Random) -> bytes:
    """Recopies one word, number or character by a hostile text."""
    spans = [match.span() for match in re.finditer(rb"[\w.+-]+|[^\w\s]", data)]
    if not spans:
        return data
    start, end = rng.choice(spans)
    return data[:start] + rng.choice(TEXTS).encode(errors="surrogatepass") + data[end:]


def _node(data: bytes, rng: random.Random) -> bytes:
    """Recopies, removes or doubles one value of a JSON document."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return _token(data, rng)
    node, key = None, None
    below = content
    while isinstance(below, dict | list) and below and (node is None or rng.random() < 0.85):
        node = below
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        below = node[key]
    if node is None:
        return json.dumps(rng.choice(VALUES)).encode()
    if rng.random() < 0.2:
        del node[key]
    elif isinstance(node, list) and rng.random() < 0.2:
        node.append(below)
    else:
        node[key] = rng.choice([*VALUES, *NUMBERS])
    return json.dumps(content).encode()


def _framed(data: bytes, rng: random.Random) -> bytes:
    """A record file whose records are damaged, with correct checksums."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.tfrecord")
        path.write_bytes(data)
        records = list(shards.read(path))
        for _ in range(rng.choice((1, 3))):
            index = rng.randrange(len(records))
            records[index] = rng.choice((_bytes, _feature))(records[index], rng)
        shards.write(path, records)
        return path.read_bytes()


def _feature(data: bytes, rng: random.Random) -> bytes:
    """A record with one feature's list changed."""
    try:
        record = example_proto.kind("Example").FromString(data)
    except DecodeError:  # damaged by an earlier step
        return data
    feature = record.features.feature
    key = rng.choice([*feature, *EXTRA_KEYS])
    kind = rng.choice(("bytes_list", "float_list", "int64_list"))
    values = {
        "bytes_list": [text.encode(errors="surrogatepass") for text in TEXTS[:20]],
        "float_list": [0.5, -1.0, 1e30, float("nan"), float("inf")],
        "int64_list": [0, 1, 2, -1, 1 << 40],
    }[kind]
    feature[key].Clear()
    getattr(feature[key], kind).value.extend(rng.choices(values, k=rng.randrange(5)))
    return record.SerializeToString()


def mutated(data: bytes, seed: int, name: str = "") -> bytes:
    rng = random.Random(seed)
    if name.endswith(".tfrecord") and rng.random() < 0.8:
        return _framed(data, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice((_bytes, _token, _node))(data, rng)
    return data


def to_records(name: str, folder: Path, on_error: str) -> int:
    """Reads and encodes everything; returns the number of objects encoded."""
    findings = Findings(on_error)
    read = formats.read(folder, format=name, findings=findings)
    names = {item.label for annotation in read for item in annotation.objects}
    label_map = labels.from_names(sorted(names))
    assert len({annotation.source_id for annotation in read}) == len(read)
    encoded = 0
    for annotation in read:
        size = annotation.width, annotation.height
        image = images.load(annotation.image, declared=size)
        kept = fitted(annotation, image, findings)
        if kept is not None:
            example.encode(kept, image, label_map)
            encoded += len(kept.objects)
            assert all(item.box.is_inside and item.box.area > 0 for item in kept.objects)
    return encoded
