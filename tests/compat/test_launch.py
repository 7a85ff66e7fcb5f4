"""Names of upstream programs: short, dotted, paths; unknown ones and those of TensorFlow 1."""

import subprocess
import sys
from pathlib import Path

import pytest
from tfod import ENVIRONMENT

from tfod_kit.compat import launch
from tfod_kit.errors import UsageError


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("model_main_tf2", "object_detection.model_main_tf2"),
        ("object_detection.exporter_main_v2", "object_detection.exporter_main_v2"),
        ("object_detection/export_tflite_graph_tf2.py", "object_detection.export_tflite_graph_tf2"),
        ("create_pet_tf_record", "object_detection.dataset_tools.create_pet_tf_record"),
        (
            "dataset_tools.create_coco_tf_record",
            "object_detection.dataset_tools.create_coco_tf_record",
        ),
    ],
)
def test_resolves(name: str, module: str) -> None:
    assert launch.resolve(name) == module


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model_main_tf", "Did you mean 'model_main_tf2'?"),
        ("../../etc/passwd", "is not the name of a module"),
        ("", "is not the name of a module"),
        ("no_such_thing_at_all", "Known: "),
        ("model_main", "Use `tfod run model_main_tf2`"),
        ("legacy.train", "Use `tfod run model_main_tf2`"),
        ("export_inference_graph", "Use `tfod run exporter_main_v2`"),
    ],
)
def test_refuses(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        launch.resolve(name)
    assert message in str(caught.value)


def test_lists_programs_with_what_they_do() -> None:
    programs = launch.programs()
    assert programs["object_detection.model_main_tf2"].startswith("Creates and runs TF2 object")
    assert not set(programs) & set(launch.TF1_ONLY)
    assert all(summary for summary in programs.values())


def test_every_listed_program_resolves_by_its_short_name() -> None:
    for name in launch.programs():
        assert launch.resolve(name.removeprefix("object_detection.")) == name


@pytest.mark.slow
def test_a_package_that_setup_leaves_out_is_named() -> None:
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from tfod_kit.compat.__main__ import main\n"
        "sys.exit(main(['metrics.oid_vrd_challenge_evaluation', '--', '--help']))"
    )
    root = str(Path(__file__).resolve().parent.parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "PYTHONPATH": root},
    )
    assert done.returncode == 2, done.stderr
    assert "oid_vrd_challenge_evaluation needs pandas" in done.stderr
    assert f"Type `{sys.executable} -m pip install pandas`." in done.stderr
    assert "Traceback" not in done.stderr
