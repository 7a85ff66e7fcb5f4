"""`tfod run`: upstream's own programs, as a user starts them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from google.protobuf import text_format
from small_records import write_records

from tfod_kit.cli.main import main
from tfod_kit.compat import protos
from tfod_kit.io import resources


def _tfod(*arguments: object, limit: float = 300) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tfod_kit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=limit)


def test_without_a_name_lists_the_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("model_main_tf2 ") for line in lines)
    assert any(line.startswith("exporter_main_v2 ") for line in lines)


def test_an_unknown_program_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "exporter_main", "--", "--input_type=image_tensor"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Did you mean 'exporter_main_v2'" in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.slow
def test_upstreams_help_is_reachable() -> None:
    done = _tfod("run", "exporter_main_v2", "--", "--helpshort")
    assert "--trained_checkpoint_dir" in done.stdout
    assert "--side_input_shapes" in done.stdout


@pytest.mark.slow
def test_upstreams_exit_code_is_passed_on() -> None:
    done = _tfod("run", "object_detection.exporter_main_v2", "--", "--no_such_flag=1")
    assert done.returncode == 1
    assert "no_such_flag" in done.stderr


@pytest.mark.slow
def test_a_stop_signal_reaches_the_program() -> None:
    command = [sys.executable, "-m", "tfod_kit", "run", "model_main_tf2", "--", "--helpfull"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as parent:
        child = _wait_for_child(parent.pid)
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(timeout=60) == 128 + signal.SIGTERM
    assert not Path(f"/proc/{child}").exists()


def _wait_for_child(pid: int) -> int:
    if not Path("/proc").exists():
        pytest.skip("looks for the child process in /proc, which this system has not")
    for _ in range(200):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.05)
    raise AssertionError("no child was started")


@pytest.mark.slow
def test_module_main_does_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tfod_kit.compat", "no_such_program"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "has no program 'no_such_program'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder that upstream's own model_main_tf2 trained; 100 steps are its least."""
    run = tmp_path_factory.mktemp("run")
    write_records(run / "records")
    (run / "pipeline.config").write_text(_config(run / "records"))
    done = _tfod(
        "run",
        "model_main_tf2",
        "--",
        f"--pipeline_config_path={run / 'pipeline.config'}",
        f"--model_dir={run}",
        "--num_train_steps=100",
        "--checkpoint_every_n=100",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Step 100 per-step time" in done.stdout + done.stderr
    return run


def _config(records: Path) -> str:
    text = (resources.pipelines() / "ssd_mobilenet_v2_cpu.config").read_text()
    config = text_format.Parse(text, protos.load("pipeline").TrainEvalPipelineConfig())
    config.model.ssd.num_classes = 2
    config.model.ssd.image_resizer.fixed_shape_resizer.height = 96
    config.model.ssd.image_resizer.fixed_shape_resizer.width = 96
    config.train_config.batch_size = 1
    readers = (config.train_input_reader, config.eval_input_reader[0])
    for split, reader in zip(("train", "val"), readers, strict=True):
        reader.label_map_path = str(records / "label_map.pbtxt")
        reader.tf_record_input_reader.input_path[:] = [str(records / f"{split}-*.tfrecord")]
    return text_format.MessageToString(config)


@pytest.mark.slow
def test_upstream_trains(trained: Path) -> None:
    assert (trained / "checkpoint").exists()
    assert sorted(path.name for path in trained.glob("ckpt-*.index"))[-1] == "ckpt-2.index"
    assert list((trained / "train").glob("events.out.tfevents.*"))


@pytest.mark.slow
def test_tfod_train_goes_on_from_what_upstream_saved(trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    done = _tfod("train", run, "--steps", 102, "--no_evaluate")
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"Resuming at step 100 from {run}/ckpt-2" in done.stdout
    assert "Finished at step 102: 2 steps" in done.stdout
    assert (run / "ckpt-102.index").is_file()


@pytest.mark.slow
def test_upstream_exports_what_it_trained(trained: Path) -> None:
    out = trained / "exported"
    done = _tfod(
        "run",
        "exporter_main_v2",
        "--",
        "--input_type=image_tensor",
        f"--pipeline_config_path={trained / 'pipeline.config'}",
        f"--trained_checkpoint_dir={trained}",
        f"--output_directory={out}",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (out / "saved_model" / "saved_model.pb").stat().st_size > 0
    assert _detections_of(out / "saved_model") == ["detection_boxes", "detection_scores"]


@pytest.mark.slow
def test_upstream_exports_for_tflite(trained: Path) -> None:
    out = trained / "tflite"
    done = _tfod(
        "run",
        "export_tflite_graph_tf2",
        "--",
        f"--pipeline_config_path={trained / 'pipeline.config'}",
        f"--trained_checkpoint_dir={trained}",
        f"--output_directory={out}",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (out / "saved_model" / "saved_model.pb").stat().st_size > 0


def _detections_of(model: Path) -> list[str]:
    """Runs an exported model in a process that knows nothing of upstream or tfod_kit."""
    code = (
        "import sys, tensorflow as tf\n"
        f"model = tf.saved_model.load({str(model)!r})\n"
        "found = model(tf.zeros((1, 96, 96, 3), tf.uint8))\n"
        "assert found['detection_boxes'].shape == (1, 100, 4)\n"
        "assert 'object_detection' not in sys.modules and 'tfod_kit' not in sys.modules\n"
        "print(*sorted(set(found) & {'detection_boxes', 'detection_scores'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()
