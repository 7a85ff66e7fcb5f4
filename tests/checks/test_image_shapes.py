"""Images of one batch must come to one shape: found by check, mended by configure."""

from pathlib import Path

import pytest
from small_records import write_records

from tfod_kit import checks, pipeline_config
from tfod_kit.checks import Level
from tfod_kit.configuration import Request, configure

KEEP = "{keep_aspect_ratio_resizer {min_dimension: 96 max_dimension: 160}}"
RESIZER = ("model.ssd.image_resizer", KEEP)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return write_records(tmp_path / "records", train=20, val=4)


def _codes(run: Path) -> set[str]:
    return {each.code for each in checks.check(run).findings if each.level == Level.ERROR}


def _configured(records: Path, *settings: tuple[str, str], batch_size: int = 4) -> Path:
    request = Request(
        records=records,
        out=records.parent / "run",
        model="ssd_cpu",
        batch_size=batch_size,
        settings=(RESIZER, *settings),
    )
    return configure(request).path.parent


def test_a_batch_of_mixed_shapes_is_an_error(records: Path) -> None:
    run = _configured(records)
    assert "batch_of_mixed_shapes" in _codes(run)
    padded = f"{RESIZER[0]}.keep_aspect_ratio_resizer.pad_to_max_dimension"
    assert "batch_of_mixed_shapes" not in _codes(_configured(records, (padded, "true")))
    assert "batch_of_mixed_shapes" not in _codes(_configured(records, batch_size=1))


@pytest.mark.parametrize(("batch_size", "pads"), [(4, True), (1, False)])
def test_configure_pads_a_base_that_would_mix_shapes(
    records: Path, batch_size: int, pads: bool
) -> None:
    base = _configured(records) / "pipeline.config"
    request = Request(records=records, out=records.parent / "new", base=base, batch_size=batch_size)
    result = configure(request)
    resizer = pipeline_config.model_of(result.config).image_resizer.keep_aspect_ratio_resizer
    assert resizer.pad_to_max_dimension is pads
    assert any("pad_to_max_dimension" in note for note in result.notes) is pads


def test_a_checkpoint_of_another_machine_is_left_out_with_a_note(records: Path) -> None:
    base = _configured(records) / "pipeline.config"
    config = pipeline_config.load(base)
    config.train_config.fine_tune_checkpoint = "/home/other/ssd/ckpt-0"
    pipeline_config.save(config, base)
    result = configure(Request(records=records, out=records.parent / "new", base=base))
    assert result.config.train_config.fine_tune_checkpoint == ""
    (note,) = [note for note in result.notes if "--checkpoint" in note]
    assert "/home/other/ssd/ckpt-0" in note


def test_an_augmentation_that_cannot_run_is_an_error(records: Path) -> None:
    run = _configured(records, batch_size=1)
    assert "augmentation_unavailable" not in _codes(run)
    config = pipeline_config.load(run)
    config.train_config.data_augmentation_options.add().autoaugment_image.policy_name = "v0"
    pipeline_config.save(config, run / "pipeline.config")
    assert "augmentation_unavailable" in _codes(run)


def test_one_channel_is_an_error(records: Path) -> None:
    grey = "{fixed_shape_resizer {height: 96 width: 96 convert_to_grayscale: true}}"
    assert "grayscale_input" in _codes(_configured(records, (RESIZER[0], grey)))
    colour = "{fixed_shape_resizer {height: 96 width: 96}}"
    assert "grayscale_input" not in _codes(_configured(records, (RESIZER[0], colour)))
