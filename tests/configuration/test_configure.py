"""configure: a config that fits the data set, the machine and the wishes."""

import json
import shutil
from pathlib import Path

import pytest
import zoo_checkpoint
from index_writer import write_index

from tfod_kit import pipeline_config
from tfod_kit.configuration import Request, configure, dataset, edits, plan
from tfod_kit.core import labels
from tfod_kit.errors import CheckpointError, ConfigError, DataError, UsageError
from tfod_kit.io import resources
from tfod_kit.records import shards
from tfod_kit.zoo import catalog

SHARED = Path(__file__).resolve().parents[3] / "shared" / "zoo"
DETECTOR = {"model/_feature_x/kernel": (3, 3)}
BACKBONE = {"feature_extractor/kernel": (3, 3)}


def write_split(folder, name, images, total, size=100):
    for index in range(total):
        share = images // total + (index < images % total)
        shards.write(folder / shards.name(name, index, total), [b"x" * size] * share)


@pytest.fixture
def records(tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    labels.save(labels.from_names(["RBC", "WBC", "Platelets"]), folder / "label_map.pbtxt")
    write_split(folder, "train", 50, 2)
    write_split(folder, "val", 20, 1)
    return folder


@pytest.fixture
def request_for(records, tmp_path):
    def make(**wishes):
        return Request(**{"records": records, "out": tmp_path / "run", **wishes})

    return make


def write_checkpoint(folder, name="ckpt-0", variables=DETECTOR, graph=True):
    return write_index(folder / name, variables, graph)


def write_archive(folder, config):
    write_checkpoint(folder / "checkpoint")
    shutil.copy(config, folder / "pipeline.config")
    return folder


def write_report(records, **facts):
    facts = {"files": [shards.name("train", i, 2) for i in range(2)], "images": 50} | facts
    (records / "report.json").write_text(json.dumps({"splits": {"train": facts}}))


def cosine(config):
    optimizer = config.train_config.optimizer
    rate = getattr(optimizer, optimizer.WhichOneof("optimizer")).learning_rate
    return rate.cosine_decay_learning_rate


# ---- what is written -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [model for model in catalog.MODELS if model.base is not None],
    ids=lambda model: model.name,
)
def test_every_model_is_configured(model, request_for, records):
    result = configure(request_for(model=model.name, batch_size=4, steps=200))
    config = pipeline_config.load(result.path)
    assert config == result.config
    assert pipeline_config.validate(config) == []
    assert pipeline_config.model_of(config).num_classes == 3
    assert "PATH_TO_BE_CONFIGURED" not in pipeline_config.dumps(config)
    start = str(model.own_weights) if model.own_weights else ""
    assert config.train_config.fine_tune_checkpoint == start
    train, (val,) = config.train_input_reader, config.eval_input_reader
    assert train.tf_record_input_reader.input_path == [f"{records}/train-?????-of-00002.tfrecord"]
    assert val.tf_record_input_reader.input_path == [f"{records}/val-?????-of-00001.tfrecord"]
    assert train.label_map_path == val.label_map_path == f"{records}/label_map.pbtxt"
    assert (val.shuffle, val.num_epochs, val.num_readers) == (False, 1, 1)
    assert (train.shuffle, train.num_readers, train.shuffle_buffer_size) == (True, 2, 50)
    assert config.eval_config.batch_size == 1
    assert "coco_detection_metrics" in config.eval_config.metrics_set


def test_classes_with_gaps_count_to_the_highest_id(request_for, records):
    labels.save(labels.LabelMap({"person": 1, "toothbrush": 90}), records / "label_map.pbtxt")
    result = plan(request_for())
    assert pipeline_config.model_of(result.config).num_classes == 90
    assert any("highest id" in note for note in result.notes)


def test_relative_paths_become_absolute(records, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = plan(Request(records=Path("records"), out=Path("run")))
    (path,) = result.config.train_input_reader.tf_record_input_reader.input_path
    assert path == f"{records}/train-?????-of-00002.tfrecord"


def test_folders_with_glob_signs_are_escaped(records, tmp_path):
    folder = records.rename(tmp_path / "a [1]*")
    result = configure(Request(records=folder, out=tmp_path / "run"))
    (path,) = result.config.train_input_reader.tf_record_input_reader.input_path
    assert path == f"{tmp_path}/a [[]1][*]/train-?????-of-00002.tfrecord"


def test_another_label_map(request_for, tmp_path):
    labels.save(labels.from_names("abcde"), tmp_path / "five.pbtxt")
    result = plan(request_for(label_map=tmp_path / "five.pbtxt"))
    assert pipeline_config.model_of(result.config).num_classes == 5
    assert result.config.train_input_reader.label_map_path == str(tmp_path / "five.pbtxt")


# ---- batch size, steps, learning rate ------------------------------------------------------------


def test_the_schedule_follows_the_steps(request_for):
    before = pipeline_config.load(catalog.find("ssd_mobilenet").base_config)
    config = plan(request_for(model="ssd_mobilenet", steps=1000)).config
    assert config.train_config.num_steps == cosine(config).total_steps == 1000
    share = cosine(before).warmup_steps / cosine(before).total_steps
    assert cosine(config).warmup_steps == round(1000 * share)


def test_the_learning_rate_follows_the_batch_size_and_that_is_said(request_for):
    before = pipeline_config.load(catalog.find("ssd_mobilenet").base_config)
    result = plan(request_for(model="ssd_mobilenet", batch_size=8))
    assert before.train_config.batch_size == 16
    rate = pipeline_config.learning_rate(before)
    assert pipeline_config.learning_rate(result.config) == pytest.approx(rate / 2)
    assert any("16 -> 8" in note for note in result.notes)


def test_a_learning_rate_that_is_asked_for_is_the_one(request_for):
    result = plan(request_for(model="ssd_mobilenet", batch_size=8, learning_rate=0.003))
    assert pipeline_config.learning_rate(result.config) == pytest.approx(0.003)
    assert not any("follows the batch" in note for note in result.notes)


def test_a_base_batch_that_is_too_large_is_lowered(request_for, records):
    for path in records.glob("train*"):
        path.unlink()
    write_split(records, "train", 3, 1)
    result = plan(request_for(model="ssd_mobilenet"))
    assert result.config.train_config.batch_size == 3
    assert any("lowered to 3" in note for note in result.notes)


def test_a_batch_that_is_asked_for_and_too_large_is_refused(request_for):
    with pytest.raises(UsageError, match="larger than the training set"):
        plan(request_for(batch_size=51))


def test_short_trainings_get_faster_averages(request_for):
    result = plan(request_for(model="fpnlite", steps=300))
    decay = result.config.model.ssd.feature_extractor.conv_hyperparams.batch_norm.decay
    assert decay**300 < 0.002
    assert any("averages" in note for note in result.notes)
    long = plan(request_for(model="fpnlite", steps=10_000))
    kept = long.config.model.ssd.feature_extractor.conv_hyperparams.batch_norm.decay
    assert kept == pytest.approx(0.997)


# ---- readers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "size", "expected"),
    [(100, 10_000, 100), (50_000, 5_000_000_000, 2048), (1000, 2_560 * 2**20, 100), (1, 10**12, 1)],
    ids=["all of a few", "at most 2048", "256 MiB of large images", "at least one"],
)
def test_shuffle_buffer(images, size, expected):
    assert edits.shuffle_buffer(dataset.SplitRecords("x", 1, images, size)) == expected


def test_without_val_the_test_images_are_measured_with_a_warning(request_for, records):
    next(records.glob("val*")).unlink()
    write_split(records, "test", 10, 1)
    result = plan(request_for())
    (reader,) = result.config.eval_input_reader
    assert "/test-" in reader.tf_record_input_reader.input_path[0]
    assert any(note.startswith("WARNING: there is no val") for note in result.notes)


def test_the_training_images_are_never_measured(request_for, records):
    next(records.glob("val*")).unlink()
    result = plan(request_for())
    assert len(result.config.eval_input_reader) == 0
    assert any("will not be measured" in note for note in result.notes)


def test_crowded_images_get_room(request_for, records):
    write_report(records, most_objects=250)
    config = plan(request_for(model="ssd_mobilenet")).config
    assert config.train_config.max_number_of_boxes == 250
    assert config.train_input_reader.max_number_of_boxes == 250
    assert config.eval_input_reader[0].max_number_of_boxes == 250


def test_a_report_of_other_records_is_not_believed(request_for, records):
    write_report(records, most_objects=250, images=9999, files=["train-00000-of-00001.tfrecord"])
    result = plan(request_for(model="ssd_mobilenet"))
    assert result.data.splits["train"].images == 50
    assert result.config.train_config.max_number_of_boxes == 100


def test_a_mask_model_needs_masks(request_for, records):
    write_report(records, masks=0)
    with pytest.raises(DataError, match="records have none"):
        plan(request_for(model="mask_rcnn"))
    write_report(records, masks=12)
    config = plan(request_for(model="mask_rcnn")).config
    assert config.train_input_reader.load_instance_masks
    assert config.eval_input_reader[0].load_instance_masks


# ---- checkpoints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["ckpt-3", "ckpt-3.index", "ckpt-3.data-00000-of-00001", "."])
def test_a_checkpoint_is_understood_however_it_is_named(request_for, tmp_path, given):
    prefix = write_checkpoint(tmp_path / "old", "ckpt-3")
    training = plan(request_for(checkpoint=str(tmp_path / "old" / given))).config.train_config
    assert training.fine_tune_checkpoint == str(prefix)
    assert training.fine_tune_checkpoint_type == "detection"
    assert training.fine_tune_checkpoint_version == 2  # V2


def test_random_weights_come_with_the_name_of_a_better_start(request_for):
    advice = [note for note in plan(request_for(model="efficientdet")).notes if "better" in note]
    assert "efficientdet_d0_coco17_tpu-32" in advice[0]
    assert plan(request_for(model="efficientdet", checkpoint="none")).notes == []
    assert plan(request_for(model="ssd_cpu")).notes == []


def test_a_backbone_is_told_from_a_detector(request_for, tmp_path):
    prefix = write_checkpoint(tmp_path / "imagenet", "resnet50.ckpt-1", BACKBONE)
    result = plan(request_for(checkpoint=str(prefix)))
    assert result.config.train_config.fine_tune_checkpoint_type == "classification"
    assert any("backbone" in note for note in result.notes)


def test_the_variables_of_a_zoo_checkpoint_are_a_detectors(request_for, tmp_path):
    prefix = write_checkpoint(tmp_path / "zoo", variables=zoo_checkpoint.shapes())
    training = plan(request_for(checkpoint=str(prefix))).config.train_config
    assert training.fine_tune_checkpoint_type == "detection"


@pytest.mark.parametrize(
    ("variables", "graph", "said"),
    [
        ({"FeatureExtractor/MobilenetV2/Conv": (3,)}, False, "TensorFlow 1"),
        ({"encoder/kernel": (3,)}, True, "something else"),
    ],
)
def test_other_checkpoints_are_refused(request_for, tmp_path, variables, graph, said):
    prefix = write_checkpoint(tmp_path / "old", variables=variables, graph=graph)
    with pytest.raises(CheckpointError, match=said):
        plan(request_for(checkpoint=str(prefix)))


def test_a_damaged_index_is_named(request_for, tmp_path):
    prefix = write_checkpoint(tmp_path / "old")
    index = prefix.with_name("ckpt-0.index")
    index.write_bytes(index.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="damaged"):
        plan(request_for(checkpoint=str(prefix)))


def test_a_checkpoint_of_another_architecture_is_refused_before_tensorflow(request_for, tmp_path):
    parts = ("_feature_extractor_for_proposal_features", "_first_stage_box_predictor")
    prefix = write_checkpoint(
        tmp_path / "old", variables={f"model/{part}/x": (1,) for part in parts}
    )
    with pytest.raises(CheckpointError, match="another model's") as caught:
        plan(request_for(model="fpnlite", checkpoint=str(prefix)))
    assert "model.faster_rcnn" in str(caught.value)
    plan(request_for(model="faster_rcnn", checkpoint=str(prefix)))


def test_a_checkpoint_that_another_config_lies_with_is_refused(request_for, tmp_path):
    ssd = {"model/_feature_extractor/x": (1,), "model/_box_predictor/x": (1,)}
    prefix = write_checkpoint(tmp_path / "old", variables=ssd)
    shutil.copy(catalog.find("retinanet50").base_config, tmp_path / "old" / "pipeline.config")
    with pytest.raises(CheckpointError, match="ssd_resnet50_v1_fpn_keras"):
        plan(request_for(model="fpnlite", checkpoint=str(prefix)))
    plan(request_for(model="retinanet50", checkpoint=str(prefix)))
    plan(request_for(model="retinanet50_1024", checkpoint=str(prefix)))  # the same variables


def test_a_missing_checkpoint_names_what_is_there(request_for, tmp_path):
    write_checkpoint(tmp_path / "old", "ckpt-7")
    with pytest.raises(CheckpointError, match="ckpt-7"):
        plan(request_for(checkpoint=str(tmp_path / "old" / "ckpt-8")))


# ---- archives and own configs --------------------------------------------------------------------


# The zoo's own configs are in ../shared; the bases of this project stand for them elsewhere.
@pytest.mark.parametrize(
    "config",
    [
        *sorted((SHARED / "configs").glob("*.config")),
        *sorted(resources.pipelines().glob("*.config")),
    ],
    ids=lambda path: path.stem,
)
def test_every_zoo_archive_is_configured(request_for, tmp_path, config):
    archive = write_archive(tmp_path / "archive", config)
    result = configure(request_for(zoo=archive))
    written = pipeline_config.load(result.path)
    assert written == result.config
    assert pipeline_config.validate(written) == []
    training = written.train_config
    assert training.fine_tune_checkpoint == str(archive / "checkpoint" / "ckpt-0")
    assert training.fine_tune_checkpoint_type == "detection"
    assert training.batch_size <= 16
    assert not training.use_bfloat16
    zoo = pipeline_config.load_foreign(config)[0]
    per_image = pipeline_config.learning_rate(zoo) / zoo.train_config.batch_size
    rate = pipeline_config.learning_rate(written)
    if training.optimizer.HasField("momentum_optimizer") and written.model.HasField("ssd"):
        assert rate == pytest.approx(max(0.04, per_image * training.batch_size))
    else:
        assert per_image * training.batch_size <= rate <= per_image * 16


@pytest.fixture
def archive(tmp_path):
    return write_archive(tmp_path / "archive", catalog.find("fpnlite").base_config)


def test_an_archive_from_scratch(request_for, archive):
    training = plan(request_for(zoo=archive, checkpoint="none")).config.train_config
    assert not training.HasField("fine_tune_checkpoint")
    assert not training.HasField("fine_tune_checkpoint_type")


def test_an_archive_of_another_model_is_refused(request_for, archive):
    assert plan(request_for(zoo=archive, model="fpnlite")).base == "archive/pipeline.config"
    with pytest.raises(UsageError, match="another model"):
        plan(request_for(zoo=archive, model="efficientdet"))


@pytest.mark.parametrize("name", ["archive.tar.gz", "absent", "records"])
def test_what_is_no_archive(request_for, tmp_path, name):
    (tmp_path / "archive.tar.gz").write_bytes(b"")
    with pytest.raises(UsageError, match="not an unpacked archive") as caught:
        plan(request_for(zoo=tmp_path / name))
    assert ("tar xzf" in str(caught.value)) == (name == "archive.tar.gz")


def test_an_archive_without_its_checkpoint(request_for, archive):
    shutil.rmtree(archive / "checkpoint")
    with pytest.raises(CheckpointError):
        plan(request_for(zoo=archive))


def test_an_own_base_keeps_its_figures(request_for, tmp_path):
    base = pipeline_config.load(catalog.find("centernet").base_config)
    base.train_config.batch_size = 5
    base.train_config.num_steps = 777
    cosine(base).total_steps = 777
    pipeline_config.save(base, tmp_path / "own.config")
    result = plan(request_for(base=tmp_path / "own.config"))
    assert result.config.train_config.batch_size == 5
    assert result.config.train_config.num_steps == 777
    assert pipeline_config.learning_rate(result.config) == pipeline_config.learning_rate(base)


def test_base_and_zoo_exclude_each_other(request_for, archive):
    with pytest.raises(UsageError, match="exclude"):
        plan(request_for(zoo=archive, base=archive / "pipeline.config"))
    with pytest.raises(UsageError, match="--pretrained and --zoo exclude"):
        plan(request_for(model="fpnlite", zoo=archive, pretrained=True))


def test_an_archive_under_its_own_name_is_believed(request_for, tmp_path):
    """The zoo's configs do not always hold what their names say."""
    named = tmp_path / catalog.find("centernet_resnet101").archive
    archive = write_archive(named, catalog.find("centernet").base_config)
    assert plan(request_for(zoo=archive, model="centernet_resnet101")).base.startswith(named.name)
    with pytest.raises(UsageError, match="another model"):
        plan(request_for(zoo=archive, model="centernet_hourglass"))


# ---- settings, and folders in use ----------------------------------------------------------------


def test_settings_come_last(request_for):
    config = plan(
        request_for(
            steps=100,
            settings=(("train_config.gradient_clipping_by_norm", "3"),),
        )
    ).config
    assert config.train_config.gradient_clipping_by_norm == 3


def test_settings_that_cannot_work_are_refused_and_nothing_is_written(request_for, tmp_path):
    with pytest.raises(ConfigError, match="Nothing would be trained"):
        configure(request_for(settings=(("train_config.batch_size", "0"),)))
    assert not (tmp_path / "run").exists()


def test_a_trained_run_keeps_its_config(request_for, tmp_path):
    configure(request_for(steps=100))
    configure(request_for(steps=200))  # not trained yet
    write_checkpoint(tmp_path / "run", "ckpt-1")
    configure(request_for(steps=200))  # the same again
    with pytest.raises(UsageError, match="total_steps: 200 -> 300"):
        configure(request_for(steps=300))
    assert pipeline_config.load(tmp_path / "run").train_config.num_steps == 200
    configure(request_for(steps=300, overwrite=True))
    assert pipeline_config.load(tmp_path / "run").train_config.num_steps == 300


# ---- records that cannot be used -----------------------------------------------------------------


def test_no_records(request_for, tmp_path):
    with pytest.raises(UsageError, match="'records'"):
        plan(request_for(records=tmp_path / "recods"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="an empty folder"):
        plan(request_for(records=tmp_path / "empty"))


def test_only_val(request_for, records):
    for path in records.glob("train*"):
        path.unlink()
    with pytest.raises(UsageError, match="no records to train on"):
        plan(request_for())


def test_a_missing_shard_is_named(request_for, records):
    (records / shards.name("train", 1, 2)).unlink()
    with pytest.raises(DataError, match="missing: train-00001-of-00002"):
        plan(request_for())


def test_an_empty_shard_is_named(request_for, records):
    (records / shards.name("train", 1, 2)).write_bytes(b"")
    with pytest.raises(DataError, match="train-00001-of-00002"):
        plan(request_for())


def test_no_label_map(request_for, records):
    (records / "label_map.pbtxt").unlink()
    with pytest.raises(ConfigError, match="label map cannot be read"):
        plan(request_for())
