"""Thousands of damaged and hostile files: an error that is explained, or findings; nothing else.

Each reader's fixture is mutated, as bytes and as text and as JSON, and what can be read of it is
taken through the whole way to a record. What hypothesis must not find: any other exception, a file
left behind, or one that takes seconds.
"""

import json
import random
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import rich_samples
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfod_kit import formats
from tfod_kit.core import labels
from tfod_kit.errors import TfodKitError
from tfod_kit.formats import FORMATS
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.repair import fitted
from tfod_kit.records import example, example_proto, feature_keys, images, shards

FIXTURES = Path(__file__).parent / "fixtures"
PICTURES = (".png", ".jpg")

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


SETTINGS = settings(
    max_examples=300,
    deadline=5000,  # ms
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

EXTRA_KEYS = [
    feature_keys.MASK,
    feature_keys.KEYPOINT_X,
    feature_keys.KEYPOINT_Y,
    feature_keys.KEYPOINT_VISIBILITY,
    feature_keys.AREA,
]


@dataclass(repr=False)
class _Place:
    """A copy of a fixture, and its annotation files as they were."""

    folder: Path
    originals: dict[Path, bytes]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, _Place]:
    made = {}
    rich = rich_samples.write(tmp_path_factory.mktemp("rich"))
    for name in FORMATS:
        folder = tmp_path_factory.mktemp("fuzz") / name
        shutil.copytree(FIXTURES / name, folder / "plain")
        if name in rich:
            shutil.copytree(rich[name], folder / "rich")
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        made[name] = _Place(
            folder, {path: path.read_bytes() for path in files if path.suffix not in PICTURES}
        )
    return made


def _bytes(data: bytes, rng: random.Random) -> bytes:
    """Cuts, repeats or overwrites a piece, or puts bytes of any kind or a nasty text somewhere."""
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + rng.choice((0, 1, 4, 40)))
    kind = rng.randrange(5)
    if kind == 0:
        return data[:start]
    if kind == 1:
        return data[:start] + data[end:]
    if kind == 2:
        return data[:end] + data[start:]
    new = (
        rng.randbytes(end - start)
        if kind == 3
        else rng.choice(TEXTS).encode(errors="surrogatepass")
    )
    return data[:start] + new + data[end:]


def _token(data: bytes, rng: random.Random) -> bytes:
    """Replaces one word, number or mark by a nasty one."""
    spans = [match.span() for match in re.finditer(rb"[\w.+-]+|[^\w\s]", data)]
    if not spans:
        return data
    start, end = rng.choice(spans)
    return data[:start] + rng.choice(TEXTS).encode(errors="surrogatepass") + data[end:]


def _node(data: bytes, rng: random.Random) -> bytes:
    """Replaces, removes or doubles one value of a JSON document."""
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
    """A record file whose records are damaged and whose checksums are right all the same."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.tfrecord")
        path.write_bytes(data)
        records = list(shards.read(path))
        for _ in range(rng.choice((1, 3))):
            place = rng.randrange(len(records))
            records[place] = rng.choice((_bytes, _feature))(records[place], rng)
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


def _mutated(data: bytes, seed: int, name: str = "") -> bytes:
    rng = random.Random(seed)
    if name.endswith(".tfrecord") and rng.random() < 0.8:
        return _framed(data, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice((_bytes, _token, _node))(data, rng)
    return data


def _to_records(name: str, folder: Path, on_error: str) -> int:
    """Reads and encodes everything; returns how many objects came through."""
    findings = Findings(on_error)
    read = formats.read(folder, format=name, findings=findings)
    every = {item.label for annotation in read for item in annotation.objects}
    label_map = labels.from_names(sorted(every))
    assert len({annotation.source_id for annotation in read}) == len(read)
    done = 0
    for annotation in read:
        size = annotation.width, annotation.height
        image = images.load(annotation.image, declared=size)
        kept = fitted(annotation, image, findings)
        if kept is not None:
            example.encode(kept, image, label_map)
            done += len(kept.objects)
            assert all(item.box.is_inside and item.box.area > 0 for item in kept.objects)
    return done


@pytest.mark.parametrize("name", FORMATS)
@SETTINGS
@given(
    seed=st.integers(0, 2**32 - 1),
    which=st.integers(0, 99),
    on_error=st.sampled_from(("skip", "fix", "skip")),
)
def test_no_mutation_is_a_traceback(
    places: dict[str, _Place], name: str, seed: int, which: int, on_error: str
) -> None:
    place = places[name]
    path = list(place.originals)[which % len(place.originals)]
    path.write_bytes(_mutated(place.originals[path], seed, path.name))
    try:
        _to_records(name, place.folder, on_error)
    except TfodKitError as error:
        explained = bool(error.fix) and (error.where is not None or error.found is not None)
        assert explained, error  # noqa: PT017 most mutations raise nothing
    finally:
        path.write_bytes(place.originals[path])


@pytest.mark.parametrize("name", FORMATS)
def test_the_fixture_itself_comes_through(places: dict[str, _Place], name: str) -> None:
    """Else the mutations of it would prove nothing."""
    assert _to_records(name, places[name].folder, "fix") >= 2


@SETTINGS
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(sorted(FORMATS)))
def test_auto_and_writing_are_whole_or_nothing(
    places: dict[str, _Place], seed: int, name: str
) -> None:
    place = places[name]
    rng = random.Random(seed)
    path = rng.choice(list(place.originals))
    path.write_bytes(_mutated(place.originals[path], seed, path.name))
    out = place.folder.parent / "out"
    to = rng.choice(FORMATS.writable)
    try:
        formats.write(to, formats.read(place.folder), out)
    except TfodKitError:
        assert not out.exists()
    else:
        assert (out / "report.json").is_file()
        formats.read(out, format=to)
    finally:
        path.write_bytes(place.originals[path])
        shutil.rmtree(out, ignore_errors=True)
    assert {entry.name for entry in place.folder.parent.iterdir()} == {name}
