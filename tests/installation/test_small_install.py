"""What `pip install tfod_kit` brings without the engine: all that prepares data works."""

import json
import subprocess
import sys
from pathlib import Path

import fewer_packages
import pytest
from tfod import ENVIRONMENT

from tfod_kit.cli.main import VERBS

RUNNER = Path(fewer_packages.__file__)


def small(*arguments: object, cwd: Path, code: int = 0) -> str:
    """Runs a command with the packages of the small install alone."""
    done = subprocess.run(
        [sys.executable, str(RUNNER), "base", *map(str, arguments)],
        cwd=cwd,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    assert done.returncode == code, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with drawn images, their records and a configured run."""
    folder = tmp_path_factory.mktemp("small")
    small("demo", "--out", "photos", "--images", 20, cwd=folder)
    small("convert", "photos", "--out", "records", cwd=folder)
    small("configure", "ssd_cpu", "--records", "records", "--out", "run", cwd=folder)
    return folder


def test_the_engine_is_hidden() -> None:
    hidden = fewer_packages.hidden_modules(fewer_packages.base(), ())
    assert {"tensorflow", "object_detection", "official", "scipy", "cv2", "matplotlib"} <= hidden
    assert not hidden & {"numpy", "PIL", "google", "lxml", "pycocotools", "rich"}


@pytest.mark.parametrize("to", ["coco", "voc", "yolo", "csv", "createml", "via"])
def test_annotations_become_every_format(work: Path, to: str) -> None:
    small("convert", "photos", "--to", to, "--out", to, cwd=work)
    assert any((work / to).rglob("*"))


def test_records_and_config_are_checked(work: Path) -> None:
    printed = small("check", "run", cwd=work, code=0)
    assert "Ready to train" in printed


def test_a_data_set_is_inspected(work: Path) -> None:
    printed = small("inspect", "photos", "--out", "look", cwd=work)
    assert (work / "look" / "index.html").is_file()
    assert (work / "look" / "samples.png").is_file()
    for text in (printed, (work / "look" / "index.html").read_text("utf-8")):
        assert "matplotlib is not installed" in text
        assert "tfod_kit[charts]" in text


def test_models_are_listed(work: Path) -> None:
    assert "ssd_cpu" in small("models", cwd=work)


def test_detections_in_a_file_are_measured(work: Path) -> None:
    small("convert", "photos", "--to", "coco", "--out", "truth", cwd=work)
    truth = next(path for path in sorted((work / "truth").rglob("*.json")) if "val" in path.name)
    content = json.loads(truth.read_text("utf-8"))
    rows = [
        {key: item[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9}
        for item in content["annotations"]
    ]
    (work / "detections.json").write_text(json.dumps(rows))
    printed = small(
        *("evaluate", "--ground_truth", truth, "--detections", "detections.json", "--out", "eval"),
        cwd=work,
    )
    assert "1.000" in printed, "the ground truth itself was given as detections"


@pytest.mark.parametrize(
    "command",
    [
        ("train", "run"),
        ("lr", "run"),
        ("export", "run"),
        ("run", "model_main_tf2"),
        ("run",),
    ],
    ids=" ".join,
)
def test_what_needs_the_engine_states_what_to_type(work: Path, command: tuple[str, ...]) -> None:
    printed = small(*command, cwd=work, code=2)
    assert "tfod: This needs TensorFlow and the Object Detection API." in printed
    assert "Type `tfod setup`, which installs all of it here." in printed
    assert not (work / "run" / "export").exists()
    assert not (work / "run" / "train").exists()


def test_every_command_explains_itself(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path[:0] = [{str(RUNNER.parent)!r}, {str(RUNNER.parent.parent)!r}]\n"
        "import fewer_packages as fewer\n"
        "fewer.hide(fewer.hidden_modules(fewer.base(), ()))\n"
        "from tfod_kit.cli.main import VERBS, main\n"
        "for verb in VERBS:\n"
        "    try: main([verb, '--help'])\n"
        "    except SystemExit as end: print('ended', verb, end.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    ended = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("ended")]
    assert ended == [[verb, "0"] for verb in VERBS], done.stderr


def test_tfod_alone_states_that_training_is_missing(work: Path) -> None:
    assert "type `tfod setup` once" in small(cwd=work)
