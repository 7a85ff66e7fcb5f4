"""activate(): cheap, idempotent, explicit; each in a process of its own, since it changes one."""

import json
import os
import re
import subprocess
import sys
import warnings
from importlib import metadata
from pathlib import Path

import pytest

from tfod_kit.compat import environment

CLEAN = {
    name: value
    for name, value in os.environ.items()
    if name
    not in (
        *("TF_USE_LEGACY_KERAS", "TF_CPP_MIN_LOG_LEVEL", "PYTHONWARNINGS"),
        "TF_ENABLE_ONEDNN_OPTS",
    )
}


def _python(code: str, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**CLEAN, **environment},
    )


def _printed(code: str, *options: str, **environment: str) -> object:
    done = _python(code, *options, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_imports_neither_tensorflow_nor_upstream() -> None:
    loaded = _printed(
        "import json, sys\n"
        "from tfod_kit import compat\n"
        "compat.activate()\n"
        "print(json.dumps([name for name in sys.modules\n"
        "    if name.partition('.')[0] in ('tensorflow', 'keras', 'tf_keras',\n"
        "                                  'object_detection', 'numpy')]))"
    )
    assert loaded == []


def test_twice_is_as_once() -> None:
    once, twice = _printed(
        "import json, sys, warnings\n"
        "from tfod_kit import compat\n"
        "compat.activate()\n"
        "once = [len(sys.meta_path), len(warnings.filters)]\n"
        "compat.activate()\n"
        "print(json.dumps([once, [len(sys.meta_path), len(warnings.filters)]]))"
    )
    assert once == twice


def test_reports_nothing_before_and_everything_after() -> None:
    before, after = _printed(
        "import json\n"
        "from tfod_kit import compat\n"
        "before = len(compat.report())\n"
        "compat.activate()\n"
        "print(json.dumps([before, [state.status for state in compat.report()]]))"
    )
    assert before == 0
    assert set(after) == {"waiting"}


def test_importing_compat_changes_nothing() -> None:
    assert _printed(
        "import json, os, sys\n"
        "before = [len(sys.meta_path), dict(os.environ)]\n"
        "import tfod_kit.compat\n"
        "print(json.dumps(before == [len(sys.meta_path), dict(os.environ)]))"
    )


def test_keeps_what_the_user_asked_to_hear() -> None:
    level, filters_same = _printed(
        "import json, os, warnings\n"
        "from tfod_kit import compat\n"
        "before = list(warnings.filters)\n"
        "compat.activate()\n"
        "print(json.dumps([os.environ['TF_CPP_MIN_LOG_LEVEL'], before == warnings.filters]))",
        "-Wdefault",
        TF_CPP_MIN_LOG_LEVEL="0",
    )
    assert level == "0"
    assert filters_same


@pytest.mark.parametrize(("given", "value"), [({}, "1"), ({environment.ONEDNN: "0"}, "0")])
def test_onednn_is_enabled_unless_the_user_decided(given: dict[str, str], value: str) -> None:
    code = "import os\nfrom tfod_kit import compat\ncompat.activate()\n"
    assert _printed(f"{code}print(os.environ['{environment.ONEDNN}'])", **given) == int(value)


@pytest.mark.parametrize(("gpu", "level"), [(True, "1"), (False, "3")])
def test_native_errors_are_heard_where_there_is_a_gpu(
    gpu: bool, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "nvidiactl"
    if gpu:
        device.touch()
    monkeypatch.setattr(environment, "_GPU_DEVICES", (str(device),))
    monkeypatch.setattr(environment.os, "environ", dict(CLEAN))
    with warnings.catch_warnings():
        environment.quiet()
    assert environment.os.environ["TF_CPP_MIN_LOG_LEVEL"] == level


def test_protobuf_modules_without_the_patch() -> None:
    code = (
        "from tfod_kit import compat\n"
        "compat.activate({without})\n"
        "from object_detection.protos import pipeline_pb2\n"
        "print(pipeline_pb2.TrainEvalPipelineConfig.DESCRIPTOR.full_name)\n"
        "import sys; assert 'tensorflow' not in sys.modules\n"
    )
    with_patch = _python(code.format(without=""))
    assert with_patch.stdout.strip() == "object_detection.protos.TrainEvalPipelineConfig"
    without = _python(code.format(without="without=['protobuf-descriptors']"))
    assert "Descriptors cannot be created directly" in without.stderr


@pytest.mark.slow
def test_says_what_to_do_when_keras_3_is_there_first() -> None:
    done = _python("import tensorflow\nfrom tfod_kit import compat\ncompat.activate()\n")
    assert "SetupError" in done.stderr
    assert "Call tfod_kit.compat.activate() before the first `import tensorflow`" in done.stderr


@pytest.mark.slow
def test_activating_after_tensorflow_works_with_keras_2() -> None:
    assert _printed(
        "import json\n"
        "import tensorflow as tf\n"
        "from tfod_kit import compat\n"
        "compat.activate()\n"
        "from object_detection import inputs\n"
        "print(json.dumps(tf.keras.layers.Layer.__module__.startswith('tf_keras')))",
        TF_USE_LEGACY_KERAS="1",
    )


@pytest.mark.slow
def test_quiet_from_import_to_model_and_numpy_stays_as_it_is() -> None:
    done = _python(
        "from tfod_kit import compat\n"
        "compat.activate()\n"
        "import tensorflow as tf\n"
        "from object_detection import model_lib_v2, exporter_lib_v2\n"
        "from object_detection.utils import metrics\n"
        "import numpy\n"
        "tf.constant(1) + 1\n"
        "print(hasattr(numpy, 'float'), hasattr(tf.compat.v1, 'estimator'))\n"
        "print(hasattr(metrics.np, 'float'))"
    )
    assert done.stdout.split() == ["False", "False", "True"]
    # TensorFlow 2.21 writes notes before it reads its own setting, unless `tfod` imports it.
    notes = r"I0000 .*|WARNING: All log messages before absl.*|To enable the following .*"
    known = re.compile(notes if metadata.version("tensorflow") >= "2.21" else "")
    assert [line for line in done.stderr.splitlines() if not known.fullmatch(line)] == []
