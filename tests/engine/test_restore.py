"""A zoo checkpoint fits the network that is built here, and the restored variables are reported."""

from pathlib import Path

import pytest
import zoo_checkpoint

from tfod_kit import pipeline_config
from tfod_kit.configuration import start
from tfod_kit.engine import model as models
from tfod_kit.engine import restore, runtime
from tfod_kit.runs import checkpoint_index
from tfod_kit.runs.checkpoint_index import OBJECT_GRAPH, VALUE
from tfod_kit.zoo import catalog

CLASS_HEAD = (
    "model/_box_predictor/_prediction_heads/class_predictions_with_background/"
    "_class_predictor_layers/0/"
)

pytestmark = pytest.mark.slow


def built(classes: int):
    """The zoo's SSD MobileNet V2 FPNLite for a number of classes, its variables made."""
    tf = runtime.start()
    config = start.base_config(catalog.find("fpnlite"))
    pipeline_config.model_of(config).num_classes = classes
    model = models.build(config, is_training=True)
    model.predict(*model.preprocess(tf.zeros((1, 320, 320, 3))))
    return model


@pytest.fixture(scope="module")
def coco():
    """A model for COCO's 90 classes, as the zoo's."""
    return built(90)


@pytest.fixture(scope="module")
def own():
    """The same for three classes of one's own."""
    return built(3)


@pytest.fixture(scope="module")
def prefix(coco, tmp_path_factory):
    """A checkpoint of the model for COCO, saved as upstream saves it."""
    tf = runtime.start()
    folder = tmp_path_factory.mktemp("checkpoint")
    return Path(tf.train.Checkpoint(model=coco).save(str(folder / "ckpt")))


@pytest.fixture(scope="module")
def zoo_index():
    return zoo_checkpoint.entries()


def test_the_network_has_the_zoos_layout_to_the_last_name_and_shape(coco, zoo_index):
    assert len(zoo_index) == 386
    counters = {OBJECT_GRAPH, f"save_counter{VALUE}"}
    zoo = {name: shape for name, shape in zoo_index.items() if name not in counters}
    assert len(zoo) == 384
    assert restore.layout(coco) == zoo


def test_a_checkpoint_written_here_has_the_zoos_layout(prefix, zoo_index):
    assert checkpoint_index.read(prefix) == zoo_index


def test_indexes_are_read_as_tensorflow_reads_them(prefix):
    tf = runtime.start()
    for given in (prefix, zoo_checkpoint.REAL):
        if given.with_name(f"{given.name}.index").is_file():
            theirs = {name: tuple(shape) for name, shape in tf.train.list_variables(str(given))}
            ours = checkpoint_index.read(given)
            assert {name: variable.shape for name, variable in ours.items()} == theirs
            assert checkpoint_index.architecture(ours) == "ssd"


def test_fine_tuning_takes_all_but_the_heads_and_reports(own, prefix):
    """As upstream's load_fine_tune_checkpoint does it, whose assertion must hold."""
    import numpy as np
    from object_detection import model_lib_v2
    from object_detection.protos import train_pb2

    head = f"{CLASS_HEAD}bias"
    before = {name: variable.numpy() for name, variable in named(own).items()}
    model_lib_v2.load_fine_tune_checkpoint(
        own, str(prefix), "detection", train_pb2.CheckpointVersion.V2, False, None, False
    )
    report = restore.restored(own, prefix, "detection")
    assert report.complete
    assert {name.split("/")[1] for name in report.matched} == {"_feature_extractor"}
    assert {name.split("/")[1] for name in report.initialised} == {"_box_predictor"}
    assert len(report.matched) + len(report.initialised) == 384
    # What is said to be restored is: the values are those of the file, and the others' are not.
    reader = runtime.start().train.load_checkpoint(str(prefix))
    for name, variable in named(own).items():
        if name in report.matched:
            np.testing.assert_array_equal(variable.numpy(), reader.get_tensor(name + VALUE))
        else:
            np.testing.assert_array_equal(variable.numpy(), before[name])
    assert head in report.initialised
    assert str(report).startswith("290 of 384 variables (2.5 M numbers) are restored")
    assert "94 start from initial values" in str(report)


def test_only_the_class_head_has_another_shape(own, prefix):
    report = restore.restored(own, prefix, "full")
    assert set(report.other_shape) == {f"{CLASS_HEAD}bias", f"{CLASS_HEAD}pointwise_kernel"}
    assert report.other_shape[f"{CLASS_HEAD}bias"] == ((24,), (546,))
    assert len(report.matched) == 382
    assert not report.missing
    assert not report.complete
    assert "2 have ANOTHER SHAPE in the checkpoint" in str(report)


def test_the_same_model_is_restored_whole(coco, prefix):
    report = restore.restored(coco, prefix)
    assert report.complete
    assert (len(report.matched), len(report.initialised)) == (384, 0)


def test_another_models_checkpoint_is_recognised(own, tmp_path):
    tf = runtime.start()
    other = tf.train.Checkpoint(model=tf.train.Checkpoint(_box_predictor=own._box_predictor))
    report = restore.restored(own, Path(other.save(str(tmp_path / "ckpt"))), "detection")
    assert len(report.missing) == 290
    assert not report.matched
    assert "290 are MISSING from the checkpoint: model/_feature_extractor/" in str(report)


def named(model):
    return {
        name.removesuffix(VALUE): variable
        for name, variable in restore._variables(runtime.start().train.Checkpoint(model=model))
        if not name.startswith("save_counter")
    }
