"""The commonest failures with the API, one test a row of docs/troubleshooting.md.

Each makes the failure's cause and sees what tfod_kit does about it: prevents it, finds it before
the training, or explains it.
"""

import importlib.metadata
import io
import json
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from altered import TRAIN, set_features
from index_writer import write_index
from PIL import Image
from samples import coco, encoded, picture, voc_xml
from small_records import write_records
from tfod import small_model, tfod

from tfod_kit import checks, doctor, evaluation, pipeline_config
from tfod_kit.compat import environment, protos
from tfod_kit.configuration import Configured, Request, configure, edits
from tfod_kit.configuration.dataset import Split
from tfod_kit.conversion import ConvertOptions, convert
from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.engine import runtime
from tfod_kit.errors import CheckpointError, ConfigError, DataError, TfodKitError
from tfod_kit.exports import parity
from tfod_kit.io import resources
from tfod_kit.records import example, shards
from tfod_kit.runs import checkpoints
from tfod_kit.training.freezing import freeze

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "docs" / "troubleshooting.md"
CHECKS = ROOT / "tfod_kit" / "checks"
IMAGE = {"id": 7, "file_name": "a.jpg", "width": 40, "height": 30}
ITEM = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [4, 3, 16, 12]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with sound records/ and a run/ configured for them."""
    write_records(tmp_path / "records", train=20)
    configure(Request(tmp_path / "records", tmp_path / "run", "ssd_cpu"))
    return tmp_path


def _found(target: Path, code: str) -> checks.Finding:
    return next(each for each in checks.check(target).findings if each.code == code)


def _edit(run: Path, **fields: str) -> None:
    config = pipeline_config.load(run)
    for name, text in fields.items():
        pipeline_config.set_field(config, name.replace("__", "."), text)
    pipeline_config.save(config, run / "pipeline.config")


def _converted(source: Path, out: Path, **options: Any) -> list[ImageAnnotation]:
    """What the records of a converted data set hold, all splits together."""
    convert(source, out, ConvertOptions(**options))
    return [example.decode(record)[0] for record in _records(out)]


def _records(out: Path) -> Iterator[bytes]:
    for paths in shards.bases(out).values():
        for path in paths:
            yield from shards.read(path)


def _voc(folder: Path, xml: str | bytes, *, name: str = "a.jpg") -> Path:
    """A picture of 40x30 and its XML."""
    picture(folder / name)
    data = xml if isinstance(xml, bytes) else xml.encode()
    (folder / name).with_suffix(".xml").write_bytes(data)
    return folder


def _row(rows: Iterable[doctor.Diagnosis], name: str) -> doctor.Diagnosis:
    return next(row for row in rows if row.name == name)


def test_the_table_has_all_rows_and_each_has_a_test() -> None:
    states = {"prevented", "found", "explained"}
    rows = re.findall(r"^\| (\d+) \| (\w+)", TABLE.read_text("utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 41))
    assert {state for _, state in rows} <= states
    listed = TABLE.read_text("utf-8").split("| about | codes |")[1]
    cells = " ".join(line.split("|")[2] for line in listed.splitlines() if line.startswith("|"))
    codes = set(re.findall(r"[a-z]+(?:_[a-z]+)*", cells)) - {"with", "estimates", "variables"}
    sources = "".join(path.read_text("utf-8") for path in CHECKS.glob("*.py"))
    given = set(re.findall(r"(?:error|warning|note|add|refused)\(\s*\"(\w+)\"", sources))
    given |= set(re.findall(r"\"((?:box|file)_\w+)\"", sources))
    assert given == codes
    tested = {name[5:7] for name in globals() if re.match(r"test_\d\d_", name)}
    assert tested == {f"{int(number):02}" for number, _ in rows}


# Installing


def test_01_every_dependency_has_a_range_and_one_tested_set() -> None:
    from packaging.requirements import Requirement

    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    exact = {doctor.canonical(each.name): each for each in pinned}
    asked = [Requirement(line) for line in importlib.metadata.requires("tfod_kit") or []]
    for requirement in asked:
        if requirement.marker is None:
            version = str(exact[doctor.canonical(requirement.name)].specifier).removeprefix("==")
            assert requirement.specifier.contains(version), requirement
    assert _row(doctor.packages(), "Versions agree").level == doctor.OK


def test_02_pyyaml_is_one_that_builds_with_cython_3() -> None:
    pinned = re.search(r"^pyyaml==([\d.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert tuple(map(int, pinned[1].split("."))) >= (6, 0, 1), "the first that does"


def test_03_the_messages_need_no_protoc() -> None:
    assert protos.load("preprocessor").PreprocessingStep.DESCRIPTOR.fields_by_name


def test_04_generated_code_of_protobuf_3_loads_under_a_current_one() -> None:
    plain = "import object_detection.protos.pipeline_pb2"
    failed = subprocess.run([sys.executable, "-c", plain], capture_output=True, text=True)
    assert "Descriptors cannot be created directly" in failed.stderr
    assert _row(doctor.packages(), "Config messages").level == doctor.OK


def test_05_keras_is_2_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.LEGACY_KERAS, "0")
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    assert _row(doctor.settings(), "Keras setting").level == doctor.WARNING
    environment.use_keras_2()
    assert _row(doctor.settings(), "Keras setting").level == doctor.OK


def test_06_pycocotools_of_another_numpy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *rest: Any) -> Any:
        if name == "pycocotools.mask":
            raise ValueError("numpy.ndarray size changed, may indicate binary incompatibility")
        return real(name, *rest)

    real = __import__
    monkeypatch.setattr("builtins.__import__", refuse)
    row = _row(doctor.packages(), "pycocotools loads")
    assert (row.level, "--force-reinstall" in row.fix) == (doctor.ERROR, True)


def _versions(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata,
        "version",
        lambda name: versions.get(name.replace("-", "_")) or real(name),
    )


def test_07_mixed_opencv_wheels_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _versions(monkeypatch, opencv_python="4.8.0", opencv_python_headless="4.10.0")
    row = _row(doctor.packages(), "OpenCV")
    assert row.level == doctor.ERROR
    assert "pip uninstall" in row.fix


def test_08_a_gpu_without_its_libraries_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "has_nvidia_gpu", lambda: True)
    monkeypatch.setattr(doctor.ctypes.util, "find_library", lambda name: None)
    row = _row(doctor.nvidia(), "CUDA libraries")
    assert row.level == doctor.WARNING
    assert "tensorflow[and-cuda]" in row.fix


def test_09_gpu_memory_that_others_hold_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "has_nvidia_gpu", lambda: True)
    taken = subprocess.CompletedProcess([], 0, "16384, 16000\n", "")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: taken)
    assert "98% taken" in _row(doctor.nvidia(), "GPU memory").value


# Annotations and conversion


def test_10_a_class_that_is_not_in_the_map_stops_with_its_name(tmp_path: Path) -> None:
    data = _voc(tmp_path / "data", voc_xml("a.jpg", [("wolf", (4, 3, 20, 15))]))
    labels.save(labels.from_names(["cat", "dog"]), tmp_path / "map.pbtxt")
    with pytest.raises(TfodKitError) as caught:
        convert(data, tmp_path / "out", ConvertOptions(label_map=tmp_path / "map.pbtxt"))
    assert "wolf" in str(caught.value)
    assert "a.jpg" in str(caught.value)


def test_11_numbers_with_a_point_missing_fields_and_a_bom_are_read(tmp_path: Path) -> None:
    xml = b"\xef\xbb\xbf" + voc_xml("a.jpg", [("cat", (4.4, "3.0", 20, 15.9))]).encode()
    (found,) = _converted(_voc(tmp_path / "data", xml), tmp_path / "out")
    assert found.objects[0].box.xmin == pytest.approx(4.4 / 40)
    assert not found.objects[0].difficult


def test_12_another_case_gets_the_nearest_name(tmp_path: Path) -> None:
    data = _voc(tmp_path / "data", voc_xml("a.jpg", [("Cat", (4, 3, 20, 15))]))
    labels.save(labels.from_names(["cat", "dog"]), tmp_path / "map.pbtxt")
    with pytest.raises(TfodKitError, match="Did you mean 'cat'"):
        convert(data, tmp_path / "out", ConvertOptions(label_map=tmp_path / "map.pbtxt"))


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "PNG"])
def test_13_a_lying_extension_is_written_anew(tmp_path: Path, kind: str) -> None:
    data = _voc(tmp_path / "data", voc_xml("a.jpg", [("cat", (4, 3, 20, 15))]))
    (data / "a.jpg").write_bytes(encoded(kind, 40, 30))
    convert(data, tmp_path / "out")
    (record,) = _records(tmp_path / "out")
    _, image = example.decode(record)
    with Image.open(io.BytesIO(image.data)) as opened:
        assert opened.format in ("JPEG", "PNG")
        assert opened.format.lower() == image.format


def test_13_a_page_in_place_of_a_picture_is_named(tmp_path: Path, folder: Path) -> None:
    data = _voc(tmp_path / "data", voc_xml("a.jpg", [("cat", (4, 3, 20, 15))]))
    (data / "a.jpg").write_text("<html>404</html>")
    with pytest.raises(DataError, match="HTML"):
        convert(data, tmp_path / "out")
    set_features(folder / "records" / TRAIN, ENCODED=[b"<html>404</html>"])
    assert _found(folder / "run", "image_undecodable").examples[0].record == 1


def test_14_boxes_in_pixels_or_of_another_size(tmp_path: Path, folder: Path) -> None:
    wrong_size = voc_xml("a.jpg", [("cat", (4, 3, 20, 15))], size=(10, 8))
    (found,) = _converted(_voc(tmp_path / "data", wrong_size), tmp_path / "out")
    assert (found.width, found.height) == (40, 30)
    assert found.objects[0].box.xmax == pytest.approx(0.5), "by the measured size"
    set_features(folder / "records" / TRAIN, YMAX=[83.0, 90.0])
    assert "1.1" in _found(folder / "run", "box_in_pixels").reason


def test_15_a_box_over_the_edge_is_clipped_and_counted(tmp_path: Path) -> None:
    picture(tmp_path / "data" / "a.jpg")
    coco(tmp_path / "data" / "a.json", [IMAGE], [ITEM | {"bbox": [30, 20, 20, 20]}])
    (found,) = _converted(tmp_path / "data", tmp_path / "out")
    assert found.objects[0].box == Box(pytest.approx(2 / 3), 0.75, 1.0, 1.0)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["findings"]["box_clipped"]["count"] == 1


def test_16_an_exif_orientation_is_baked_in(tmp_path: Path, folder: Path) -> None:
    data = _voc(tmp_path / "data", voc_xml("a.jpg", [("cat", (4, 3, 20, 15))], size=(30, 40)))
    (data / "a.jpg").write_bytes(encoded("JPEG", 40, 30, orientation=6))
    convert(data, tmp_path / "out")
    (record,) = _records(tmp_path / "out")
    found, image = example.decode(record)
    assert (found.width, found.height) == (30, 40)
    with Image.open(io.BytesIO(image.data)) as opened:
        assert opened.size == (30, 40)
        assert opened.getexif().get(0x0112, 1) == 1
    turned = encoded("JPEG", 128, 128, orientation=6)
    set_features(folder / "records" / TRAIN, ENCODED=[turned])
    assert _found(folder / "run", "image_turned").level == checks.Level.WARNING


def test_17_a_picture_without_objects_stays_as_a_negative(tmp_path: Path) -> None:
    data = _voc(tmp_path / "data", voc_xml("a.jpg"))
    _voc(data, voc_xml("b.jpg", [("cat", (4, 3, 20, 15))]), name="b.jpg")
    found = _converted(data, tmp_path / "out")
    assert sorted(len(each.objects) for each in found) == [0, 1]


def test_18_a_killed_writer_leaves_nothing_and_damage_is_named(
    tmp_path: Path, folder: Path
) -> None:
    def killed() -> Iterator[bytes]:
        yield b"one"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shards.write(tmp_path / "out.tfrecord", killed())
    assert not list(tmp_path.glob("*out*"))
    path = folder / "records" / TRAIN
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    assert str(_found(folder / "run", "file_damaged").examples[0]).startswith(f"{path}, record 0")


def test_19_records_are_not_held_in_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    shards.write(tmp_path / "out.tfrecord", (bytes(2**20) for _ in range(60)))
    assert sum(1 for _ in shards.read(tmp_path / "out.tfrecord")) == 60
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * 2**20


def test_20_source_ids_are_made_unique_and_repeats_are_found(tmp_path: Path, folder: Path) -> None:
    for part in ("one", "two"):
        _voc(tmp_path / "data" / part, voc_xml("a.jpg", [("cat", (4, 3, 20, 15))]))
    found = _converted(tmp_path / "data", tmp_path / "out")
    assert len({each.source_id for each in found}) == 2
    set_features(folder / "records" / TRAIN, SOURCE_ID=[b"train0"])
    assert "already added" in _found(folder / "run", "source_id_repeated").reason


# Label maps and configs


def test_21_ids_start_at_1(tmp_path: Path) -> None:
    path = tmp_path / "map.pbtxt"
    path.write_text("item { id: 0 name: 'cat' }")
    with pytest.raises(ConfigError, match="from 1 on"):
        labels.load(path)
    picture(tmp_path / "data" / "a.jpg")
    categories = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
    coco(tmp_path / "data" / "a.json", [IMAGE], [ITEM | {"category_id": 0}], categories)
    convert(tmp_path / "data", tmp_path / "out")
    assert min(labels.load(tmp_path / "out" / "label_map.pbtxt").ids.values()) == 1


def test_22_all_classes_in_one_brace_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.pbtxt"
    path.write_text("item { id: 1 name: 'cat' id: 2 name: 'dog' }")
    with pytest.raises(ConfigError, match="not a label map"):
        labels.load(path)


def test_23_classes_that_upstream_drops_silently(folder: Path) -> None:
    set_features(folder / "records" / TRAIN, only=None, CLASS_TEXT=[b"Red", b"blue"])
    found = _found(folder / "run", "class_unknown")
    assert (found.level, found.count) == (checks.Level.ERROR, 20)
    assert "Did you mean 'red'" in found.fix
    _edit(folder / "run", model__ssd__num_classes="1")
    assert _found(folder / "run", "class_above_num_classes").level == checks.Level.ERROR
    twice = folder / "records" / "label_map.pbtxt"
    twice.write_text("item { id: 1 name: 'red' } item { id: 1 name: 'blue' }")
    assert "used twice" in _found(folder / "run", "config").reason


def test_24_swapped_paths(folder: Path) -> None:
    records = str(folder / "records" / TRAIN)
    _edit(folder / "run", train_input_reader__label_map_path=records)
    found = _found(folder / "run", "config")
    assert "not a label map" in found.reason
    assert "swapped" in found.fix
    label_map = str(folder / "records" / "label_map.pbtxt")
    _edit(folder / "run", train_input_reader__tf_record_input_reader__input_path=label_map)
    assert "not a TFRecord file" in str(_found(folder / "run", "file_damaged").examples[0])


def test_25_windows_paths() -> None:
    text = r'train_config { fine_tune_checkpoint: "C:\new\users\ckpt-0" }'
    config = pipeline_config.loads(text)
    assert config.train_config.fine_tune_checkpoint == "C:/new/users/ckpt-0"


def test_26_the_messages_are_those_of_tf2() -> None:
    config = pipeline_config.loads("train_config { fine_tune_checkpoint_version: V2 }")
    assert config.train_config.fine_tune_checkpoint_version == 2


def test_27_a_config_of_tensorflow_1_names_its_successor(folder: Path) -> None:
    _edit(folder / "run", model__ssd__feature_extractor__type="ssd_mobilenet_v2")
    assert "'ssd_mobilenet_v2_keras'" in _found(folder / "run", "config").fix


@pytest.mark.parametrize("given", ["", "ckpt-0.index", "ckpt-0.data-00000-of-00001", "ckpt-0"])
def test_28_a_checkpoint_by_its_folder_its_files_or_its_prefix(tmp_path: Path, given: str) -> None:
    prefix = write_index(tmp_path / "ckpt-0", {"model/kernel": (3,)})
    assert checkpoints.resolve(tmp_path / given) == prefix
    with pytest.raises(CheckpointError, match="ckpt-0"):
        checkpoints.resolve(tmp_path / "ckpt-9")


def test_29_the_checkpoint_type_and_the_schedule_follow(tmp_path: Path, folder: Path) -> None:
    prefix = write_index(tmp_path / "zoo" / "ckpt-0", {"model/_feature_extractor/kernel": (3,)})
    data = prefix.with_name("ckpt-0.data-00000-of-00001")
    data.write_bytes(bytes(100))
    made: Configured = configure(
        Request(folder / "records", folder / "tuned", "ssd_cpu", checkpoint=str(prefix), steps=70)
    )
    training = made.config.train_config
    rate = training.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate
    assert training.fine_tune_checkpoint_type == "detection"
    assert training.num_steps == rate.total_steps == 70
    _edit(
        folder / "tuned",
        train_config__fine_tune_checkpoint_type="classification",
        train_config__num_steps="60",
    )
    assert "whole detector" in _found(folder / "tuned", "checkpoint_type").reason
    assert _found(folder / "tuned", "schedule_outlasts_training").level == checks.Level.WARNING
    _edit(folder / "tuned", train_config__num_steps="90")
    assert "teach nothing" in _found(folder / "tuned", "config").reason


def test_30_what_makes_the_loss_nan(folder: Path) -> None:
    _edit(
        folder / "run",
        train_config__optimizer__adam_optimizer__learning_rate__cosine_decay_learning_rate__learning_rate_base="1",
    )
    set_features(folder / "records" / TRAIN, only=1, YMIN=[0.5, 0.1], YMAX=[0.5, 0.9])
    set_features(folder / "records" / TRAIN, only=2, YMIN=[0.6, 0.1], YMAX=[0.5, 0.9])
    set_features(folder / "records" / TRAIN, only=3, YMIN=[0.5, 0.1], YMAX=[0.503, 0.9])
    codes = {each.code for each in checks.check(folder / "run").findings}
    assert {"learning_rate_high", "box_empty", "box_inverted", "box_tiny"} <= codes


# Training and after


def test_31_a_batch_that_does_not_fit_is_estimated(folder: Path) -> None:
    _edit(folder / "run", train_config__batch_size="50000")
    found = _found(folder / "run", "memory_device")
    assert "estimate" in found.reason
    assert "--batch_size" in found.fix


def test_32_the_shuffle_buffer_fits_the_records() -> None:
    large = Split(pattern="", shards=10, images=50_000, size=50_000 * 5 * 2**20)
    assert edits.shuffle_buffer(large) * 5 * 2**20 <= 256 * 2**20
    small = Split(pattern="", shards=1, images=300, size=300 * 1000)
    assert edits.shuffle_buffer(small) == 300


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of three steps, and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    write_records(folder / "records", train=8)
    small_model(folder / "records", folder / "run", "--steps", 3)
    return folder / "run", tfod("train", folder / "run")


@pytest.mark.slow
def test_33_the_start_is_announced_and_each_step_shown(trained: tuple[Path, str]) -> None:
    _, printed = trained
    assert "Building the graph at the first step" in printed
    assert re.search(r"training: [123]/3 steps .*loss ", printed)


@pytest.mark.slow
def test_34_the_last_step_is_saved_and_a_run_says_that_it_goes_on(
    trained: tuple[Path, str],
) -> None:
    run, _ = trained
    assert checkpoints.latest(run) == run / "ckpt-3"
    assert _found(run, "already_trained").level == checks.Level.WARNING


def test_34_a_run_that_resumes_is_told_before(folder: Path) -> None:
    write_index(folder / "run" / "ckpt-7", {"model/kernel": (1,)})
    (folder / "run" / "ckpt-7.data-00000-of-00001").write_bytes(bytes(4))
    assert "goes on from it" in _found(folder / "run", "resumes").reason


@pytest.mark.slow
def test_35_frozen_layers_stay_and_a_pattern_without_effect_is_refused() -> None:
    keras = runtime.start().keras
    layers = [keras.layers.Dense(2, name="body"), keras.layers.Dense(1, name="head")]
    model = keras.Sequential(layers)
    model.build((None, 3))
    frozen = freeze(model, ["body"], [], "pipeline.config")
    assert frozen.ids == {id(variable) for variable in layers[0].variables}
    with pytest.raises(ConfigError, match=r"such as.*body"):
        freeze(model, ["bodi"], [], "pipeline.config")


@pytest.mark.slow
def test_36_checkpoints_are_measured_while_training(trained: tuple[Path, str]) -> None:
    _, printed = trained
    assert re.search(r"mAP", printed)


def test_37_damage_during_the_evaluation_is_raised(folder: Path) -> None:
    path = folder / "records" / "val-00000-of-00001.tfrecord"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cut short"):
        list(evaluation.read_examples([path], None))


def test_38_minus_1_is_told_apart_from_0_and_classes_have_their_own_figures() -> None:
    class Nothing:
        def detect(self, images: Any) -> list[tuple[ObjectAnnotation, ...]]:
            return [() for _ in images]

    truth = ImageAnnotation(
        Path("a"), 200, 200, "a", (ObjectAnnotation("cat", Box(0, 0, 0.9, 0.9)),)
    )
    shown = [evaluation.Example(truth, Image.new("RGB", (200, 200)))]
    result = evaluation.evaluate(Nothing(), shown, ["cat", "dog"])  # type: ignore[arg-type]
    assert result.classes["cat"].ap == 0.0
    assert result.classes["dog"].ap == evaluation.NO_GROUND_TRUTH
    assert result.metrics["DetectionBoxes_Precision/mAP (small)"] == evaluation.NO_GROUND_TRUTH


def test_39_an_export_that_detects_something_else_fails() -> None:
    def seen(*boxes: Box) -> list[tuple[ObjectAnnotation, ...]]:
        return [tuple(ObjectAnnotation("cat", box, score=0.9) for box in boxes)]

    checkpoint = seen(Box(0.1, 0.1, 0.5, 0.5))
    assert parity.compare(checkpoint, checkpoint).holds
    assert not parity.compare(checkpoint, seen(Box(0, 0, 0, 0))).holds, "zeros"
    assert not parity.compare(checkpoint, seen()).holds, "cut off"
    assert not parity.compare(checkpoint, seen(Box(0.1, 0.1, 0.5, 0.48))).holds, "shifted"


def test_40_local_paths_for_a_tpu_and_too_few_shards(folder: Path) -> None:
    report = checks.check(folder / "run", checks.Options(tpu=True, workers=8))
    found = {each.code: each for each in report.findings}
    assert "File system scheme '[local]' not implemented" in found["path_not_on_gs"].reason
    assert found["shards_below_workers"].level == checks.Level.ERROR
    assert resources.pipelines().is_dir(), "each model has a base that needs no download"
