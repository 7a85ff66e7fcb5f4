"""The fixture that several test files share."""

import os

import pytest
import trained as builder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> builder.Trained:
    """A model that the first worker that needs it trains once for the whole suite."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # each worker has a folder of its own in the suite's
    return builder.trained(base / "trained")
