"""Weights from several sources, against a local server in the layout of each service."""

import hashlib
from pathlib import Path

import pytest
from archive_server import Behaviour, serving

from tfod_kit.cli.main import main
from tfod_kit.errors import CheckpointError, UsageError
from tfod_kit.zoo import archives, cache, download, sources
from tfod_kit.zoo.download import DownloadOptions

from .test_download import ARCHIVE, NAME, QUICK, packed

SAVED_MODEL = {
    "saved_model.pb": b"graph",
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": b"weights" * 1000,
}
ON_KAGGLE = packed(SAVED_MODEL, folder=".")  # the files are at the root of the archive
PATH = "/api/v1/models/tensorflow/ssd-mobilenet-v2/tensorFlow2/ssd-mobilenet-v2/1/download"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.CACHE, str(tmp_path / "cache"))
    for name in (cache.OFFLINE, cache.MIRROR, "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


def obtain(source: sources.Source | None = None, **options: object) -> download.Obtained:
    return sources.obtain(ARCHIVE, DownloadOptions(patience=QUICK, **options), source)


@pytest.mark.parametrize("ending", ["", "/", "/api/v1"])
def test_kaggle_answers_a_saved_model(monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    behaviour = Behaviour(ON_KAGGLE)
    with serving(behaviour) as url:
        monkeypatch.setenv("KAGGLE_API_ENDPOINT", url + ending)
        got = obtain("kaggle")
        assert (got.fresh, got.source) == (True, url + PATH)
        assert obtain("kaggle").fresh is False
    assert behaviour.asked == [(PATH, None)]
    assert got.sha256 == hashlib.sha256(ON_KAGGLE).hexdigest()
    assert got.folder.name == f"{NAME}-kaggle"
    for name, content in SAVED_MODEL.items():
        assert (got.folder / name).read_bytes() == content


def test_the_bucket_comes_first_and_kaggle_after_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, copy = Behaviour(statuses=[403] * 9), Behaviour(ON_KAGGLE)
    with serving(gone) as bucket, serving(copy) as kaggle:
        monkeypatch.setattr(download, "SOURCES", (bucket,))
        monkeypatch.setenv("KAGGLE_API_ENDPOINT", kaggle)
        assert obtain().source == kaggle + PATH
        assert [path for path, _ in gone.asked] == [f"/{ARCHIVE.date}/{ARCHIVE.file}"]
        assert "Not from the bucket; trying kaggle: tensorflow/" in capsys.readouterr().err
        assert obtain().fresh is False  # from the cache, whichever source it came from
        with pytest.raises(CheckpointError, match="--source kaggle"):
            obtain("bucket")
    whole = Behaviour(packed())
    with serving(whole) as bucket:
        monkeypatch.setattr(download, "SOURCES", (bucket,))
        assert obtain(again=True).folder.name == NAME


def test_each_source_that_did_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    gone, closed = Behaviour(statuses=[404] * 9), Behaviour(statuses=[401] * 9)
    with serving(gone) as bucket, serving(closed) as kaggle:
        monkeypatch.setattr(download, "SOURCES", (bucket,))
        monkeypatch.setenv("KAGGLE_API_ENDPOINT", kaggle)
        with pytest.raises(CheckpointError) as error:
            obtain()
        assert "tried in this order: bucket, kaggle" in error.value.problem
        for part in (f"bucket: {bucket}/", "404", f"kaggle: {kaggle}{PATH}", "401"):
            assert part in str(error.value.where)
        assert f'kagglehub.model_download("{ARCHIVE.kaggle}")' in str(error.value.fix)
        with pytest.raises(CheckpointError, match=r"(?s)401.*kagglehub"):
            obtain("kaggle")


def test_a_mirror_is_the_only_source_and_has_to_be_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(download, "SOURCES", ())
    with serving(Behaviour(packed())) as mirror:
        assert obtain("mirror", mirror=mirror).folder.name == NAME
    with serving(Behaviour(statuses=[404] * 9)) as mirror, pytest.raises(CheckpointError) as error:
        obtain(mirror=mirror, again=True)
    assert mirror in str(error.value.where)
    with pytest.raises(UsageError, match="No mirror is named"):
        obtain("mirror")


def test_models_that_kaggle_does_not_have() -> None:
    without = archives.archives()["ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8"]
    with pytest.raises(UsageError, match="are not on Kaggle") as error:
        sources.obtain(without, DownloadOptions(), "kaggle")
    assert NAME in str(error.value.expected)


def test_the_command_names_the_folder_to_start_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Behaviour(ON_KAGGLE)) as url:
        monkeypatch.setenv("KAGGLE_API_ENDPOINT", url)
        assert main(["models", "download", "ssd_mobilenet_v2", "--source", "kaggle"]) == 0
    folder = cache.folder() / f"{NAME}-kaggle"
    assert f"tfod configure ssd_mobilenet_v2 --checkpoint {folder} --records" in (
        capsys.readouterr().out
    )
