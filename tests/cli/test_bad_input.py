"""What users get wrong with the verbs that need a model: one message with the cure, exit code 2.

None of these may load TensorFlow first: nobody waits seconds to be told of a typing error.
"""

from pathlib import Path

import pytest
from PIL import Image
from small_records import write_records
from tfod import small_model, tfod


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """records/, run/ (configured, never trained), pictures/ with one picture, foreign/."""
    made = tmp_path_factory.mktemp("bad_input")
    write_records(made / "records")
    small_model(made / "records", made / "run")
    for name in ("pictures", "foreign", "empty"):
        (made / name).mkdir()
    Image.new("RGB", (20, 20)).save(made / "pictures" / "one.png")
    (made / "foreign" / "thesis.txt").write_text("the only copy")
    (made / "run" / "ckpt-9.index").touch()  # its data file did not make it
    return made


@pytest.mark.parametrize(
    ("command", "said"),
    [
        pytest.param("train absent", "tfod configure MODEL", id="train without a run"),
        pytest.param("train run --steps 0", "0 is below 1", id="no steps"),
        pytest.param("export absent", "tfod configure MODEL", id="export without a run"),
        pytest.param("export run", "The checkpoint is missing", id="export before training"),
        pytest.param("export run --checkpoint run/ckpt-9", "ckpt-9.data-*", id="half a checkpoint"),
        pytest.param(
            "export run --target saved_modle", "Did you mean 'saved_model'?", id="unknown target"
        ),
        pytest.param(
            "export run --input_type image_tensors", "'image_tensor'", id="unknown input type"
        ),
        pytest.param(
            "export run --out foreign", "contains something else", id="export over other files"
        ),
        pytest.param("evaluate absent", "--records", id="evaluate nothing"),
        pytest.param("evaluate run", "The checkpoint is missing", id="evaluate before training"),
        pytest.param("evaluate run --split tset", "train, val", id="unknown split"),
        pytest.param(
            "evaluate run --records empty", "There are no records to measure on", id="empty records"
        ),
        pytest.param(
            "evaluate run --records nothing-*", "No record file matches", id="no such records"
        ),
        pytest.param("predict absent pictures", "no such folder", id="predict without a model"),
        pytest.param("predict foreign pictures", "thesis.txt", id="predict with no model"),
        pytest.param("predict run pictures", "tfod train", id="predict before training"),
        pytest.param("predict run absent.jpg", "does not exist", id="no such picture"),
        pytest.param("predict run empty", "no images or videos", id="an empty folder"),
        pytest.param(
            "predict run pictures --out pictures", "overwrite the images", id="over the pictures"
        ),
        pytest.param(
            "predict run pictures --min_score 50", "not between 0 and 1", id="score in percent"
        ),
    ],
)
def test_each_is_explained(folder: Path, command: str, said: str) -> None:
    printed = tfod(*command.split(), cwd=folder, code=2)
    assert said in printed


def test_nothing_was_touched(folder: Path) -> None:
    assert [path.name for path in (folder / "foreign").iterdir()] == ["thesis.txt"]
    assert [path.name for path in (folder / "pictures").iterdir()] == ["one.png"]
    assert not [path for path in folder.rglob("*") if path.suffix in {".tmp", ".old"}]


def test_none_of_it_loads_tensorflow() -> None:
    """What the verbs import before they look at their arguments is light."""
    import subprocess
    import sys

    code = (
        "import sys\n"
        "from tfod_kit.cli import evaluate, export, predict, train\n"
        "from tfod_kit import detectors\n"
        "from tfod_kit.training import train\n"
        "print([name for name in ('tensorflow', 'matplotlib', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
