"""A data set and a run in which nothing is wrong, to be broken by the tests."""

import shutil
from pathlib import Path

import pytest
from small_records import write_records

from tfod_kit.configuration import Request, configure


@pytest.fixture(scope="session")
def intact_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of 24 images for training and 6 for validation."""
    return write_records(tmp_path_factory.mktemp("intact") / "records", train=24, val=6)


@pytest.fixture
def folder(intact_records: Path, tmp_path: Path) -> Path:
    """A folder with a copy of the records in records/, and run/ configured for them."""
    folder = tmp_path / "work"
    shutil.copytree(intact_records, folder / "records")
    configure(Request(folder / "records", folder / "run", "ssd_cpu"))
    return folder
