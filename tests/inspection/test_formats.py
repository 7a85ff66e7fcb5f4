"""Every format of the table can be inspected, and all of them merged."""

from pathlib import Path

import pytest

from tfod_kit import inspection
from tfod_kit.conversion import ConvertOptions, convert
from tfod_kit.datasets.splits.assignment import SplitOptions
from tfod_kit.formats import FORMATS
from tfod_kit.inspection import sheet

FIXTURES = Path(__file__).parent.parent / "formats" / "fixtures"
NO_NEGATIVES = {"open_images"}  # the format lists boxes, and nothing else


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_measured_and_drawn(name: str) -> None:
    found = inspection.inspect(FIXTURES / name)
    assert found.format == name
    assert found.images == (1 if name in NO_NEGATIVES else 2)
    assert found.objects == 2
    every = found.boxes[""]
    assert (every.width.low, every.width.high) == pytest.approx((16, 16), abs=1e-3)
    assert (every.height.low, every.height.high) == pytest.approx((12, 18), abs=1e-3)
    for place in range(found.images):
        drawn = sheet.drawn(found.measured, place, (160, 120))
        assert drawn.size == (160, 120)
        assert len(drawn.getcolors(1 << 24)) > 10  # the picture was found: no plain grey


def test_all_formats_become_one_data_set(tmp_path: Path) -> None:
    sources = [FIXTURES / name for name in FORMATS]
    report = convert(sources, tmp_path / "out", ConvertOptions(split=SplitOptions({"train": 1.0})))
    assert report.images == sum(1 if name in NO_NEGATIVES else 2 for name in FORMATS)
    assert report.objects == 2 * len(FORMATS)
    used = {label for split in report.splits.values() for label, n in split.classes.items() if n}
    assert used == {"cat", "dog", "face", "person", "pedestrian", "car"}
    found = inspection.inspect(tmp_path / "out")
    ids = [annotation.source_id for annotation in found.measured.images]
    assert len(set(ids)) == len(ids) == report.images
