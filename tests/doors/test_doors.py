"""The verbs as functions: `import tfod_kit as tfod`."""

import subprocess
import sys
from pathlib import Path

import pytest
from samples import voc

import tfod_kit as tfod
from tfod_kit.cli.main import main
from tfod_kit.errors import UsageError


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return voc(tmp_path_factory.mktemp("doors") / "photos", 12)


@pytest.fixture(scope="module")
def records(photos: Path) -> object:
    return tfod.convert(photos, out=photos.parent / "records", split="train=0.5,val=0.5")


def test_importing_it_loads_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import tfod_kit;"
        "print(sorted(name for name in set(sys.modules) - before if 'tfod_kit' in name))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['tfod_kit']\n"


def test_every_door_is_there_and_documented() -> None:
    assert set(tfod.__all__) <= set(dir(tfod))
    for name in tfod.__all__:
        door = getattr(tfod, name)
        assert callable(door)
        assert door.__doc__, name
    with pytest.raises(AttributeError, match="convret"):
        tfod.convret  # noqa: B018


def test_convert_prints_what_the_command_prints(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tfod.convert(str(photos), out=str(tmp_path / "a"), seed=3)
    assert main(["convert", str(photos), "--out", str(tmp_path / "b"), "--seed", "3"]) == 0
    assert capsys.readouterr().out == f"{result}\n".replace(f"{tmp_path}/a", f"{tmp_path}/b")
    assert result.report.images == 12
    assert Path(result) == tmp_path / "a"


def test_convert_into_folds(photos: Path, tmp_path: Path) -> None:
    folds = tfod.convert(photos, out=tmp_path / "folds", kfold=3)
    assert [fold.path.name for fold in folds] == ["fold-1", "fold-2", "fold-3"]
    assert all(fold.report.images == 12 for fold in folds)


def test_convert_to_another_format(photos: Path, tmp_path: Path) -> None:
    result = tfod.convert(photos, to="coco", out=tmp_path / "coco")
    assert f"Wrote {tmp_path}/coco/" in str(result)
    assert (tmp_path / "coco" / "label_map.pbtxt").is_file()


def test_results_show_themselves_in_a_notebook(photos: Path, records: object) -> None:
    assert "<table>" in records._repr_html_()
    look = tfod.inspect(photos)
    assert repr(look) == str(look), "a saved notebook keeps it: no arrays"
    html = look._repr_html_()
    assert "data:image/jpeg;base64," in html
    checked = tfod.check(records)
    assert checked.ok
    assert "Ready to train" in checked._repr_html_()


def test_a_run_has_the_verbs_as_methods(records: object, tmp_path: Path) -> None:
    run = tfod.configure("ssd_cpu", records=records, out=tmp_path / "run", steps=7)
    assert f"Next:  tfod train {tmp_path}/run" in str(run)
    assert run.config.train_config.num_steps == 7
    assert run.checkpoints == []
    assert run.best is None
    assert run.check().ok
    opened = tfod.Run(str(tmp_path / "run"))
    assert opened == run
    assert str(opened) == f"Run {tmp_path}/run\nCheckpoint:  none yet"
    for name in ("train", "evaluate", "export", "predict", "benchmark", "report", "load"):
        assert callable(getattr(run, name))


def test_settings_may_be_a_mapping(records: object, tmp_path: Path) -> None:
    run = tfod.configure(
        "ssd_cpu",
        records=records,
        out=tmp_path / "run",
        set={"train_config.num_steps": 9},
        input_size=(128, 128),
    )
    assert run.config.train_config.num_steps == 9
    resizer = run.config.model.ssd.image_resizer.fixed_shape_resizer
    assert (resizer.height, resizer.width) == (128, 128)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tfod.convert("photos", shrads=2), "Did you mean 'shards'?"),
        (lambda: tfod.convert("/absent/photos"), "/absent/photos"),
        (lambda: tfod.train("/absent/run"), "tfod configure"),
        (lambda: tfod.evaluate(), "There is nothing to evaluate"),
        (lambda: tfod.Run("/absent/run").report(), "/absent/run"),
        (lambda: tfod.predict("/absent/model", "a.jpg"), "a.jpg"),
    ],
)
def test_mistakes_are_explained_as_on_the_command_line(call, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        call()
    assert message in str(caught.value)


@pytest.mark.slow
def test_from_images_to_a_measured_export(photos: Path, records: object, tmp_path: Path) -> None:
    run = tfod.configure("ssd_cpu", records=records, out=tmp_path / "run", batch_size=4)
    trained = run.train(steps=2)
    assert "Finished at step 2" in str(trained)
    assert "<img" in trained._repr_html_()
    measured = run.evaluate()
    assert measured.results.step == 2
    assert "<table>" in measured._repr_html_()
    assert run.checkpoints[-1].name == "ckpt-2"
    (exported,) = run.export(parity_images=2)
    found = tfod.predict(exported, photos, out=tmp_path / "found", min_score=0.0)
    assert "objects" in str(found)
    assert Path(run.report()).is_file()
    assert tfod.load(exported).label_map == tfod.load(run).label_map
