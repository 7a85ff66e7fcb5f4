"""Findings about the checkpoint that training starts from, mostly without TensorFlow."""

from pathlib import Path

import pytest
from index_writer import write_index
from small_records import write_records

from tfod_kit import checks, pipeline_config
from tfod_kit.checks import Level
from tfod_kit.configuration import Request, configure

DETECTOR = {
    "model/_box_predictor/kernel": (3, 4),
    "model/_feature_extractor/kernel": (10, 10),
    "save_counter": (),
}
BACKBONE = {"feature_extractor/kernel": (3, 4)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """records/ and run/, and zoo/checkpoint/ckpt-0, a whole detector's."""
    write_records(tmp_path / "records", train=20)
    configure(Request(tmp_path / "records", tmp_path / "run", "ssd_cpu", steps=500))
    _checkpoint(tmp_path / "zoo" / "checkpoint" / "ckpt-0", DETECTOR)
    return tmp_path


def _checkpoint(prefix: Path, shapes: dict, size: int = 4000) -> Path:
    write_index(prefix, shapes)
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(bytes(size))
    return prefix


def _start_from(
    folder: Path, prefix: Path, given_type: str, version: str = "V2"
) -> list[checks.Finding]:
    path = folder / "run" / "pipeline.config"
    config = pipeline_config.load(path)
    for name, text in (("", str(prefix)), ("_type", given_type), ("_version", version)):
        pipeline_config.set_field(config, f"train_config.fine_tune_checkpoint{name}", text)
    pipeline_config.save(config, path)
    return [each for each in checks.check(folder / "run").findings if each.level != Level.NOTE]


def test_a_checkpoint_that_fits(folder: Path) -> None:
    assert _start_from(folder, folder / "zoo" / "checkpoint" / "ckpt-0", "detection") == []


@pytest.mark.parametrize(
    ("content", "given_type"), [(DETECTOR, "classification"), (BACKBONE, "detection")]
)
def test_a_checkpoint_of_the_wrong_type(folder: Path, content: dict, given_type: str) -> None:
    (found,) = _start_from(folder, _checkpoint(folder / "other" / "ckpt-0", content), given_type)
    assert (found.level, found.code) == (Level.ERROR, "checkpoint_type")
    assert ("classification" if given_type == "detection" else "detection") in found.fix


def test_a_checkpoint_of_version_1(folder: Path) -> None:
    prefix = folder / "zoo" / "checkpoint" / "ckpt-0"
    (found,) = _start_from(folder, prefix, "detection", "V1")
    assert (found.level, found.code) == (Level.ERROR, "checkpoint_version")


def test_a_checkpoint_of_another_model(folder: Path) -> None:
    other = configure(Request(folder / "records", folder / "zoo", "efficientdet_d0"))
    assert other.path.parent == folder / "zoo"
    (found,) = _start_from(folder, folder / "zoo" / "checkpoint" / "ckpt-0", "detection")
    assert (found.level, found.code) == (Level.ERROR, "checkpoint_of_other_model")
    assert "efficientnet-b0" in found.reason


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda prefix: _checkpoint(prefix, DETECTOR, size=100), "checkpoint_damaged"),
        (lambda prefix: prefix.with_name("ckpt-0.index").write_bytes(b"x" * 90), "unusable"),
        (lambda prefix: prefix.with_name("ckpt-0.data-00000-of-00001").unlink(), "unusable"),
        (lambda prefix: prefix.with_name("ckpt-0.index").unlink(), "config"),
        (lambda prefix: write_index(prefix, {"weights": (3,)}, graph=False), "unusable"),
    ],
    ids=["data cut short", "index damaged", "no data", "no index", "TensorFlow 1"],
)
def test_a_damaged_checkpoint(folder: Path, damage, code: str) -> None:
    prefix = folder / "zoo" / "checkpoint" / "ckpt-0"
    damage(prefix)
    found = _start_from(folder, prefix, "detection")
    assert [each.level for each in found] == [Level.ERROR]
    assert found[0].code.endswith(code)
    assert str(prefix) in str(found[0].examples[0])


def test_a_run_that_resumes(folder: Path) -> None:
    _start_from(folder, folder / "zoo" / "checkpoint" / "ckpt-0", "detection")
    _checkpoint(folder / "run" / "ckpt-200", DETECTOR)
    (found,) = [each for each in checks.check(folder / "run").findings if each.code == "resumes"]
    assert "fine_tune_checkpoint is not used" in found.reason
    assert "step 200" in str(found.examples[0])
    _checkpoint(folder / "run" / "ckpt-500", DETECTOR)
    codes = {each.code: each.level for each in checks.check(folder / "run").findings}
    assert codes["already_trained"] == Level.WARNING


def test_the_quick_check_includes_the_checkpoint(folder: Path) -> None:
    _start_from(folder, folder / "zoo" / "checkpoint" / "ckpt-0", "classification")
    found = checks.quick(folder / "run" / "pipeline.config")
    assert [each.code for each in found] == ["checkpoint_type"]


@pytest.mark.slow
def test_variables_are_compared_with_the_model(folder: Path) -> None:
    from tfod_kit.engine import model as models
    from tfod_kit.engine import runtime

    tf = runtime.start()
    config = pipeline_config.load(folder / "run" / "pipeline.config")
    model = models.build(config, is_training=True)
    model.predict(*model.preprocess(tf.zeros((1, 192, 192, 3))))
    tf.train.Checkpoint(model=model).write(str(folder / "run" / "ckpt-100"))
    options = checks.CheckOptions(variables=True)
    codes = [each.code for each in checks.check(folder / "run", options).findings]
    assert "variables_fit" in codes

    path = folder / "run" / "pipeline.config"
    pipeline_config.set_field(config, "model.ssd.num_classes", "5")
    pipeline_config.save(config, path)
    found = {each.code: each for each in checks.check(folder / "run", options).findings}
    assert found["variables_of_other_shape"].level == Level.ERROR
    assert "class" in str(found["variables_of_other_shape"].examples[0])
