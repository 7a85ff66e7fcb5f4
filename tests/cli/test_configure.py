"""`tfod configure`, as a person types it."""

import re
import subprocess
import sys

import pytest
from small_records import write_records

from tfod_kit import pipeline_config
from tfod_kit.cli.main import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write_records(tmp_path / "work" / "records", train=20, val=4)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_needs_no_options(folder, capsys):
    assert main(["configure"]) == 0
    said = capsys.readouterr().out
    assert "Wrote work/ssd_cpu/pipeline.config" in said
    assert "2: red, blue" in said
    assert "20 images in 1 file\n" in said
    assert said.rstrip().endswith("tfod train work/ssd_cpu")
    assert (folder / "work" / "ssd_cpu" / "pipeline.config").is_file()


def test_options(folder, capsys):
    arguments = "configure retinanet50 --out here --batch_size 2 --steps 50 --learning_rate 0.01"
    assert main([*arguments.split(), "--set", "train_config.max_number_of_boxes=7"]) == 0
    said = capsys.readouterr().out
    differing = said.partition("What differs from ssd_resnet50_v1_fpn.config:")[2]
    assert "  train_config\n" in differing
    assert re.search(r"^    max_number_of_boxes +100 -> 7$", differing, re.MULTILINE)
    training = pipeline_config.load(folder / "here").train_config
    assert (training.batch_size, training.num_steps) == (2, 50)
    assert "0.01 at its highest" in said
    assert main([*arguments.split(), "--brief"]) == 0
    assert "num_classes" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("ssd_mobilnet", "ssd_mobilenet"),
        ("--records nowhere", "nowhere"),
        ("--checkpoint nowhere/ckpt-0", "nowhere/ckpt-0"),
        ("--zoo nowhere", "nowhere"),
        ("--base nowhere.config", "nowhere.config"),
        ("--set train_config.num_stepps=1", "num_steps"),
        ("--set train_config.num_steps=one", "an integer"),
        ("--set train_config.num_steps", "FIELD=VALUE"),
        ("--batch_size 21", "20 images"),
        ("--label_map nowhere.pbtxt", "nowhere.pbtxt"),
    ],
)
def test_mistakes_get_one_message_and_leave_nothing(folder, capsys, arguments, said):
    assert main(["configure", "--out", "run", *arguments.split()]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "fix:" in captured.err
    assert captured.out == ""
    assert not (folder / "run").exists()


@pytest.mark.parametrize("arguments", ["--steps 0", "--learning_rate -1", "--base a --zoo b"])
def test_arguments_that_cannot_be(folder, capsys, arguments):
    assert main(["configure", *arguments.split()]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"tfod: argument {arguments.split()[-2]}")
    assert "tfod configure --help" in message


def test_it_loads_no_tensorflow(folder):
    program = (
        "import sys; from tfod_kit.cli.main import main; code = main(['configure']);"
        "heavy = {'tensorflow', 'matplotlib'} & set(sys.modules);"
        "sys.exit(code or (f'loaded: {heavy}' if heavy else 0))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=folder)
