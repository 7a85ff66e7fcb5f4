"""What TensorFlow says of its own troubles becomes a cause and a cure; the errors are real ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfod_kit import pipeline_config
from tfod_kit.engine import runtime
from tfod_kit.errors import ConfigError, SetupError, TfodKitError
from tfod_kit.io import resources
from tfod_kit.training import diagnosis

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
