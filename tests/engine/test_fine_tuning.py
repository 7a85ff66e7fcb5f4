"""What a detector's checkpoint gives to a model with other classes, value by value."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tfod_kit import pipeline_config
from tfod_kit.configuration import start
from tfod_kit.core import labels
from tfod_kit.engine import fine_tuning, restore, runtime
from tfod_kit.engine import model as models
from tfod_kit.engine.fine_tuning import RestoreOptions
from tfod_kit.errors import CheckpointError
from tfod_kit.runs.checkpoint_index import VALUE
from tfod_kit.zoo import catalog

HANDS = Path(__file__).resolve().parents[3] / "shared/zoo/ssd_mobilenet_v2_fpnlite_320x320_hands"
FACE = 4  # the row of "face" among the seven classes of the real weights
CLASS_BIAS = (
    "model/_box_predictor/_prediction_heads/class_predictions_with_background/"
    "_class_predictor_layers/0/bias"
)

pytestmark = pytest.mark.slow


def built(name: str, folder: Path, classes, *settings):
    """A model of the catalogue with its variables, and its config with a label map."""
    tf = runtime.start()
    config = start.base_config(catalog.find(name))
    for path, value in settings:
        pipeline_config.set_field(config, path, value)
    pipeline_config.model_of(config).num_classes = len(classes)
    folder.mkdir(parents=True, exist_ok=True)
    labels.save(labels.from_names(classes), folder / labels.FILE_NAME)
    config.train_input_reader.label_map_path = str(folder / labels.FILE_NAME)
    model = models.build(config, is_training=False)
    models.create_variables(model, 128)
    tf.random.set_seed(len(classes))
    for _, variable in restore.named_variables(model):
        variable.assign(tf.random.normal(variable.shape))
    return model, config


def values(model):
    return {name: variable.numpy() for name, variable in restore.named_variables(model)}


@pytest.fixture(scope="module")
def real():
    if not HANDS.is_dir():
        pytest.skip("the real weights (../shared/zoo) are not here")
    reader = runtime.start().train.load_checkpoint(str(HANDS / "checkpoint/ckpt-0"))
    return {
        key.removesuffix(VALUE): reader.get_tensor(key)
        for key in reader.get_variable_to_shape_map()
        if key.startswith("model/")
    }


def test_real_weights_give_382_of_384_variables_and_the_row_of_the_face(real, tmp_path) -> None:
    model, config = built("fpnlite", tmp_path, ["raccoon", "face"])
    done = fine_tuning.restore_what_fits(
        model, config, HANDS / "checkpoint" / "ckpt-0", RestoreOptions()
    )
    now = values(model)
    assert len(real) == len(now) == 384
    assert len(done.copied) == 382
    for name in done.copied:
        np.testing.assert_array_equal(now[name], real[name])
    assert sorted(done.by_class) == [CLASS_BIAS, CLASS_BIAS.replace("bias", "pointwise_kernel")]
    for name in done.by_class:
        ours = now[name].reshape(*now[name].shape[:-1], 6, 3)
        theirs = real[name].reshape(*real[name].shape[:-1], 6, 8)
        np.testing.assert_array_equal(ours[..., 0], theirs[..., 0])  # the background
        np.testing.assert_array_equal(ours[..., 2], theirs[..., 1 + FACE])
        mean = theirs[..., 1:].mean(axis=-1, dtype=np.float64)
        np.testing.assert_allclose(ours[..., 1], mean, rtol=1e-6)
    assert str(done).splitlines()[1] == (
        "2 are restored by class: by name: face; as the mean of the checkpoint's 7 classes: "
        f"raccoon (the checkpoint's classes: {HANDS / 'label_map.pbtxt'})"
    )


def test_a_label_map_of_other_weights_is_refused(real, tmp_path) -> None:
    model, config = built("fpnlite", tmp_path, ["raccoon"])
    options = RestoreOptions(label_map=tmp_path / labels.FILE_NAME)
    with pytest.raises(CheckpointError, match="does not belong to the checkpoint") as caught:
        fine_tuning.plan(model, config, HANDS / "checkpoint" / "ckpt-0", options)
    assert "has 7 classes" in str(caught.value.expected)


@pytest.mark.parametrize(
    ("name", "class_variables"),
    [
        ("ssd_cpu", 2),
        ("ssd_mobilenet_v2", 12),  # a kernel and a bias for each of six levels
        ("efficientdet_d0", 2),
        ("faster_rcnn", 2),  # its boxes are shared by the classes
        ("mask_rcnn", 6),  # classes, boxes and masks
        ("centernet_resnet50_v1_fpn", 2),
    ],
)
def test_each_family_takes_over_all_but_the_class_rows(name, class_variables, tmp_path) -> None:
    tf = runtime.start()
    theirs, _ = built(name, tmp_path / "theirs", ["cat", "dog", "cow"])
    before = values(theirs)
    # `write` leaves out the save counter.
    prefix = Path(tf.train.Checkpoint(model=theirs).write(str(tmp_path / "theirs" / "ckpt-1")))
    model, config = built(name, tmp_path / "own", ["bee", "Dog"])
    done = fine_tuning.restore_what_fits(model, config, prefix, RestoreOptions())
    now = values(model)
    assert not done.new
    assert len(done.by_class) == class_variables
    assert len(done.copied) + class_variables == len(now)
    for variable in done.copied:
        np.testing.assert_array_equal(now[variable], before[variable])
    for variable, axis in done.axes.items():
        old = before[variable].reshape(-1, axis.groups, 3 + axis.background, axis.width)
        new = now[variable].reshape(-1, axis.groups, 2 + axis.background, axis.width)
        first = axis.background
        np.testing.assert_array_equal(new[:, :, :first], old[:, :, :first])
        np.testing.assert_array_equal(new[:, :, first + 1], old[:, :, first + 1])
        mean = old[:, :, first:].mean(axis=2, dtype=np.float64)
        np.testing.assert_allclose(new[:, :, first], mean, rtol=1e-4, atol=1e-6)


def test_other_aspect_ratios_keep_the_towers_and_leave_the_heads_new(real, tmp_path) -> None:
    shutil.copy(HANDS / "label_map.pbtxt", tmp_path)
    ratios = "model.ssd.anchor_generator.multiscale_anchor_generator.scales_per_octave"
    model, config = built("fpnlite", tmp_path, ["face"], (ratios, "1"))
    done = fine_tuning.plan(model, config, HANDS / "checkpoint" / "ckpt-0", RestoreOptions())
    assert len(done.copied) == 380
    assert {name.rpartition("/")[2] for name in done.new} == {"pointwise_kernel", "bias"}
    assert "12 in the model, 1x1x128x24 in the checkpoint" in str(done)


def test_weights_of_another_model_are_refused_with_what_differs(real, tmp_path) -> None:
    width = ("model.ssd.feature_extractor.depth_multiplier", "0.5")
    model, config = built("fpnlite", tmp_path, ["face"], width)
    with pytest.raises(CheckpointError, match="is another model's") as caught:
        fine_tuning.plan(model, config, HANDS / "checkpoint" / "ckpt-0", RestoreOptions())
    assert "ANOTHER SHAPE in the checkpoint" in str(caught.value)
