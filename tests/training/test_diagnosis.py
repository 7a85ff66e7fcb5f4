"""What TensorFlow says of its own troubles becomes a cause and a cure; the errors are real ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_records import write_records

from tfod_kit import pipeline_config
from tfod_kit.engine import runtime
from tfod_kit.errors import ConfigError, DataError, SetupError, TfodKitError
from tfod_kit.io import resources
from tfod_kit.training import diagnosis, inputs

pytestmark = pytest.mark.slow


def more_than_any_memory() -> None:
    runtime.start().zeros([1 << 44])


def no_operation_of_xla() -> None:
    tf = runtime.start()
    tf.function(tf.strings.length, jit_compile=True)(tf.constant("x"))


def a_worker_that_is_gone() -> None:
    tf = runtime.start()
    raise tf.errors.UnavailableError(None, None, "Collective ops is aborted by: Socket closed")


@pytest.mark.parametrize(
    ("trouble", "kind", "message"),
    [
        (more_than_any_memory, ConfigError, "--batch_size 8 --accumulate 2"),
        (no_operation_of_xla, ConfigError, "without --xla"),
        (a_worker_that_is_gone, SetupError, "Start all workers again"),
    ],
)
def test_trouble_is_explained(
    trouble: Callable[[], None], kind: type[TfodKitError], message: str
) -> None:
    path = resources.pipelines() / "ssd_mobilenet_v2_cpu.config"
    config: Any = pipeline_config.load(path)
    assert config.train_config.batch_size == 16
    with pytest.raises(kind, match=message), diagnosis.explained(config, Path("run"), None):
        trouble()


@pytest.mark.parametrize("tolerant", [False, True])
def test_records_that_are_removed_during_the_training_are_named(
    tmp_path: Path, tolerant: bool
) -> None:
    from object_detection.builders import dataset_builder

    records = write_records(tmp_path / "records")
    config: Any = pipeline_config.load(resources.pipelines() / "ssd_mobilenet_v2_cpu.config")
    reader = config.train_input_reader
    reader.tf_record_input_reader.input_path[:] = [f"{records}/train-?????-of-00001.tfrecord"]
    reader.label_map_path = str(records / "label_map.pbtxt")
    skipped = inputs.Skipped() if tolerant else None
    with inputs.skipping(skipped):
        images = dataset_builder.build(reader, batch_size=2)
    for path in records.glob("train-*"):
        path.unlink()
    with (
        pytest.raises(DataError, match="was removed while the training read it") as raised,
        diagnosis.explained(config, tmp_path / "pipeline.config", skipped),
    ):
        for _ in images:
            pass
    assert "resumes" in str(raised.value)
