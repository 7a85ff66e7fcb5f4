"""What the tests of docs/troubleshooting.md share.

Each row of the page has a test that causes the failure and asserts what tfod_kit does about it:
prevents it, finds it before training, or explains it.
"""

from pathlib import Path

import pytest
from small_records import write_records

from tfod_kit.configuration import Request, configure


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with intact records/ and a run/ configured for them."""
    write_records(tmp_path / "records", train=20)
    configure(Request(tmp_path / "records", tmp_path / "run", "ssd_cpu"))
    return tmp_path
