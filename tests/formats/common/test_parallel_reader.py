"""Reading by several processes gives what reading by one gives."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import rich_samples
from samples import context, picture, voc, voc_xml

from tfod_kit import formats
from tfod_kit.core.annotations import (
    EmbeddedImage,
    ImageAnnotation,
    ImageRef,
    Keypoint,
    ObjectAnnotation,
    Polygons,
    Rle,
)
from tfod_kit.core.boxes import Box
from tfod_kit.formats import FORMATS
from tfod_kit.formats.common import parallel_reader, serialisation, writing

FIXTURES = Path(__file__).parents[1] / "fixtures"
TESTS = Path(__file__).parents[2]

ITEM = ObjectAnnotation("cat", Box(0.1, 0.2, 0.30000000000000004, 1.0), area=123, view="Left")
OBJECTS = (
    ITEM,
    replace(ITEM, mask=Polygons([(4, 3, 20.5, 3, 20, 15)]), difficult=True, area=None, weight=0.5),
    replace(ITEM, mask=Polygons.from_json(b"[[4, 3, 20.5, 3, 20, 15]]"), occluded=True),
    replace(ITEM, label="é", mask=Rle(b"n0P1", 30, 40), is_crowd=True, group_of=True),
    replace(ITEM, keypoints=(Keypoint(0.1, 0.2, 2, "nose"), Keypoint(0, 0, 0)), truncated=True),
    replace(ITEM, score=0.25),
)

# Forks need a process of one thread, which the test runner's is not.
SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tfod_kit.formats.common import parallel_reader
from tfod_kit.io import worker_pool
parallel_reader._FILES = 1
runs, run = [], worker_pool.run
def counted(work, *arguments):
    runs.append(work.__name__)
    return run(work, *arguments)
worker_pool.run = counted
"""


def _run(script: str, *words: object) -> str:
    command = [sys.executable, "-c", SCRIPT + script, TESTS, *words]
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # of numpy, which draws masks
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=one_thread)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_unpacked_is_what_was_packed() -> None:
    unpacked = serialisation.unpack(serialisation.pack(OBJECTS))
    assert unpacked == OBJECTS
    assert repr(unpacked) == repr(OBJECTS)  # 123 and 123.0 are equal, and not the same
    assert serialisation.pack(unpacked) == serialisation.pack(OBJECTS)


def test_an_image_is_deferred_unless_it_has_keypoints() -> None:
    image = ImageAnnotation(Path("a.jpg"), 40, 30, "a", OBJECTS[:4])
    deferred = serialisation.deferred(image)
    assert isinstance(deferred.objects, serialisation.Packed)
    assert (deferred, deferred.labels, deferred.with_keypoints) == (image, ["cat"] * 3 + ["é"], ())
    for kept in (replace(image, objects=OBJECTS), replace(image, objects=())):
        assert serialisation.deferred(kept) is kept


@pytest.mark.parametrize(
    "image",
    [
        Path("a.jpg"),
        EmbeddedImage(Path("a.tfrecord"), "a.jpg", 1024),
        EmbeddedImage(Path("a.json"), "a.jpg"),
    ],
)
def test_an_unpacked_annotation_refers_to_the_same_image(image: ImageRef) -> None:
    annotation = ImageAnnotation(image, 40, 30, "a", OBJECTS)
    packed = serialisation.pack_images([annotation])
    assert list(serialisation.unpack_images(packed, {})) == [annotation]


@pytest.mark.parametrize("name", ["voc", "yolo", "kitti", "labelme"])
def test_processes_read_what_one_reads(name: str, tmp_path: Path) -> None:
    rich = rich_samples.write(tmp_path)
    sources = [FIXTURES / name, *([rich[name]] if name in rich else [])]
    for number in range(3 if name in rich else 0):  # more than one file, or no process is started
        for path in list(rich[name].glob("a.*")):
            (path.parent / f"{path.stem}{number}{path.suffix}").write_bytes(path.read_bytes())
    said = _run(
        "from tfod_kit import formats\n"
        "from tfod_kit.formats.common.findings import Findings\n"
        "for source in sys.argv[3:]:\n"
        "    read = []\n"
        "    for workers in (1, 3):\n"
        "        findings = Findings('skip')\n"
        "        images = formats.read(\n"
        "            source, format=sys.argv[2], findings=findings,\n"
        "            options=formats.ReadOptions(workers=workers))\n"
        "        read.append((images, findings.as_dict()))\n"
        "    assert read[0] == read[1], read\n"
        "    assert repr(read[0]) == repr(read[1]), read\n"
        "print(runs)\n",
        name,
        *sources,
    )
    assert said.strip() == str(["_read"] * len(sources))


def test_record_files_are_read_by_processes_where_they_are_large(tmp_path: Path) -> None:
    data = voc(tmp_path / "data", 12)
    said = _run(
        "from tfod_kit import formats\n"
        "from tfod_kit.conversion import ConvertOptions, convert\n"
        "from tfod_kit.datasets.splits.assignment import SplitOptions\n"
        "data, out = map(Path, sys.argv[2:])\n"
        "split = SplitOptions({'train': 1.0})\n"
        "convert(data, out, ConvertOptions(shards=4, split=split))\n"
        "parallel_reader._FILES, parallel_reader._BYTES = 250, 1 << 40\n"
        "one = formats.read(out, options=formats.ReadOptions(workers=3))\n"
        "assert runs == ['write']\n"
        "parallel_reader._BYTES = 1000\n"
        "assert formats.read(out, options=formats.ReadOptions(workers=3)) == one\n"
        "print(len(one), runs)\n",
        data,
        tmp_path / "out",
    )
    assert said.strip() == "12 ['write', '_read']"


@pytest.mark.parametrize("masks", [[], ["--no_masks"]])
def test_records_and_manifest_do_not_depend_on_the_processes(
    tmp_path: Path, masks: list[str]
) -> None:
    data = rich_samples.write(tmp_path)["voc"]
    for number in range(20):
        xml = voc_xml(f"b{number}.png", [("cat", (4, 3, 20, 15)), ("dog", (1, 2, 50, 15))])
        picture(data / f"b{number}.png")
        (data / f"b{number}.xml").write_text(xml)
    said = _run(
        "from tfod_kit.cli.main import main\n"
        "for workers, out in zip('12', sys.argv[3:5]):\n"
        "    words = ['--out', out, '--workers', workers, '--shards', '2', *sys.argv[5:]]\n"
        "    main(['convert', sys.argv[2], *words])\n"
        "print(runs)\n",
        data,
        tmp_path / "1",
        tmp_path / "2",
        *masks,
    )
    assert said.splitlines()[-1] == str(["write", "_read", "write"])
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "12"
    )
    assert one == two
    assert json.loads(one["report.json"])["findings"]["box_clipped"]["count"] == 20


def test_the_first_mistake_in_a_process_is_the_users_message(tmp_path: Path) -> None:
    data = voc(tmp_path / "data", 12)
    (data / "7.xml").write_text("<annotation><object></annotation>")
    said = _run(
        "from tfod_kit import formats\n"
        "from tfod_kit.errors import DataError\n"
        "try:\n"
        "    formats.read(sys.argv[2], options=formats.ReadOptions(workers=2))\n"
        "except DataError as error:\n"
        "    print(error)\n"
        "print(runs)\n",
        data,
    )
    assert "7.xml:1" in said
    assert said.splitlines()[-1] == "['_read']"


def test_a_process_of_several_threads_reads_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel_reader, "_FILES", 1)
    monkeypatch.setattr(parallel_reader.worker_pool, "fork_is_safe", lambda: False)
    monkeypatch.setattr(parallel_reader.worker_pool, "run", None)
    assert len(formats.read(voc(tmp_path, 5), options=formats.ReadOptions(workers=3))) == 5


@pytest.mark.parametrize("name", ["voc", "yolo", "kitti", "labelme"])
def test_deferred_objects_are_those_that_are_read_at_once(name: str) -> None:
    root = FIXTURES / name
    read = []
    for deferring in (False, True):
        at = replace(context(root), deferring=deferring)
        sources = FORMATS[name].discover(root, at)
        read.append([a for source in sources for a in FORMATS[name].read(source, at).images])
    assert read[0] == read[1]
    assert any(isinstance(a.objects, serialisation.Packed) for a in read[1])


@pytest.mark.parametrize("name", FORMATS.writable)
def test_what_is_written_does_not_depend_on_the_processes(name: str, tmp_path: Path) -> None:
    data = rich_samples.write(tmp_path)["voc"]
    for number in range(5):
        for split in ("train", "val"):  # of one name each, so that names have to be made
            picture(data / split / f"{number}.jpg")
            xml = voc_xml(f"{number}.jpg", [("cat", (4, 3, 20, 15)), ("dog", (1, 2, 50, 15))])
            (data / split / f"{number}.xml").write_text(xml)
    (data / "train" / "2.jpg").write_text("<html>")
    said = _run(
        "from tfod_kit.cli.main import main\n"
        "from tfod_kit.formats.common import writing\n"
        "worker_pool.FORK_FROM, writing._AT_ONCE = 1, 2\n"
        "for workers, out in zip('12', sys.argv[4:6]):\n"
        "    words = ['--out', out, '--workers', workers, '--on_error', 'skip']\n"
        "    assert main(['convert', sys.argv[2], '--to', sys.argv[3], *words]) == 0\n"
        "print(runs)\n",
        data,
        name,
        *(tmp_path / "out" / number for number in "12"),
    )
    assert said.splitlines()[-1] == str(["_put_all", "_read", "_read", "_put_all"])
    one, two = (_tree(tmp_path / "out" / number) for number in "12")
    assert one == two
    assert len([path for path in one if path.endswith((".jpg", ".png"))]) >= 10


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", FORMATS.writable)
def test_a_format_travels_to_processes_that_start_anew(name: str) -> None:
    assert pickle.loads(pickle.dumps(FORMATS[name])) == FORMATS[name]


def test_processes_that_start_anew_write_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = formats.read(voc(tmp_path / "data", 6))
    formats.write("coco", data, tmp_path / "one")
    monkeypatch.setattr(parallel_reader.worker_pool, "fork_is_safe", lambda: False)
    monkeypatch.setattr(parallel_reader.worker_pool, "SPAWN_FROM", 1)
    monkeypatch.setattr(writing, "_BATCH", 2)
    formats.write("coco", data, tmp_path / "two", options=formats.WriteOptions(workers=2))
    assert _tree(tmp_path / "one") == _tree(tmp_path / "two")
