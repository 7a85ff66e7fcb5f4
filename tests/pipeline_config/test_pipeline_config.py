"""pipeline_config: reading, repairing, editing, rescaling, comparing, validating."""

import ast
import importlib.util
from pathlib import Path

import pytest

from tfod_kit import pipeline_config
from tfod_kit.core import labels
from tfod_kit.errors import ConfigError, UsageError
from tfod_kit.io import resources
from tfod_kit.pipeline_config.extractors import EXTRACTORS
from tfod_kit.records import shards

SHARED = Path(__file__).resolve().parents[3] / "shared" / "zoo" / "configs"
CONFIGS = [*sorted(SHARED.glob("*.config")), *sorted(resources.pipelines().glob("*.config"))]

COSINE = """
model { ssd { num_classes: 3 feature_extractor { type: "ssd_mobilenet_v2_keras" } } }
train_config {
  batch_size: 32
  num_steps: 1000
  optimizer { momentum_optimizer { learning_rate { cosine_decay_learning_rate {
    learning_rate_base: 0.08 total_steps: 1000 warmup_learning_rate: 0.02 warmup_steps: 100
  } } } }
}
"""


def with_schedule(text: str, num_steps: int = 1000) -> str:
    return (
        f"train_config {{ num_steps: {num_steps} optimizer {{ adam_optimizer {{ "
        f"learning_rate {{ {text} }} }} }} }}"
    )


# ---- text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_survive_a_round_trip(path, tmp_path):
    config, _ = pipeline_config.load_foreign(path)
    pipeline_config.save(config, tmp_path / "pipeline.config")
    assert pipeline_config.load(tmp_path) == config


def test_there_are_configs_to_test():
    assert len(CONFIGS) == 8 + 11 * SHARED.is_dir()


def test_save_writes_a_header_as_comments(tmp_path):
    config = pipeline_config.loads(COSINE)
    pipeline_config.save(config, tmp_path / "a.config", header="one\ntwo")
    assert (tmp_path / "a.config").read_text().startswith("# one\n# two\nmodel {")
    assert pipeline_config.load(tmp_path / "a.config") == config


def test_a_byte_order_mark_is_ignored(tmp_path):
    (tmp_path / "a.config").write_bytes(b"\xef\xbb\xbf" + COSINE.encode())
    assert pipeline_config.load(tmp_path / "a.config").train_config.batch_size == 32


@pytest.mark.parametrize(
    ("text", "line", "column", "hint"),
    [
        ("model {\n  ssd { num_clases: 1 }\n}", 2, 9, "num_classes"),
        ("train_config { batch_size: many }", 1, 28, "Correct the line"),
        ("train_config {\n fine_tune_checkpoint_version: V3 }", 2, 32, "V2"),
        ("model { ssd { } faster_rcnn { } }", 1, 17, "Keep one model"),
        ("train_config {\n", 1, 14, "Close every {"),
    ],
    ids=["unknown field", "no number", "unknown enum value", "two models", "cut short"],
)
def test_parse_errors_say_where_and_what(text, line, column, hint):
    with pytest.raises(ConfigError) as caught:
        pipeline_config.loads(text, where="my.config")
    assert f"my.config, line {line}, column {column}\n" in str(caught.value)
    assert hint in str(caught.value)
    assert "object_detection.protos" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), (b"\xff\xfe\x00", "not text"), (b"# only\n", "empty")],
    ids=["absent", "binary", "empty"],
)
def test_files_that_are_no_configs(tmp_path, content, said):
    path = tmp_path / "pipeline.config"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        pipeline_config.load(path)


def test_an_augmentation_that_was_never_published_is_left_out_and_named(tmp_path):
    text = COSINE.replace(
        "batch_size: 32",
        "batch_size: 32\n data_augmentation_options { random_imgaug: { a { k: [1, 2] } } }\n"
        "data_augmentation_options { random_horizontal_flip { } }",
    )
    (tmp_path / "a.config").write_text(text)
    with pytest.raises(ConfigError, match="--base"):
        pipeline_config.load(tmp_path / "a.config")
    config, dropped = pipeline_config.load_foreign(tmp_path / "a.config")
    assert dropped == ["random_imgaug"]
    (step,) = config.train_config.data_augmentation_options
    assert step.HasField("random_horizontal_flip")


# ---- fields --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("train_config.batch_size", "7", 7),
        ("train_config.use_bfloat16", "True", True),
        ("train_config.fine_tune_checkpoint_version", "V1", 1),
        ("train_input_reader.label_map_path", "a b.pbtxt", "a b.pbtxt"),
        ("train_config.freeze_variables", '["a", "b"]', ["a", "b"]),
        ("train_config.gradient_clipping_by_norm", "5e-1", 0.5),
    ],
)
def test_set_field(path, value, expected):
    config = pipeline_config.loads(COSINE)
    pipeline_config.set_field(config, path, value)
    assert pipeline_config.get_field(config, path) == expected


def test_set_field_of_one_of_several():
    config = pipeline_config.loads(COSINE)
    config.eval_input_reader.add()
    pipeline_config.set_field(config, "eval_input_reader.shuffle", "false")
    assert not config.eval_input_reader[0].shuffle
    config.eval_input_reader.add()
    pipeline_config.set_field(config, "eval_input_reader[1].num_readers", "9")
    assert config.eval_input_reader[1].num_readers == 9
    with pytest.raises(UsageError, match="holds 2 items"):
        pipeline_config.set_field(config, "eval_input_reader.shuffle", "false")
    with pytest.raises(UsageError, match="holds 2 items"):
        pipeline_config.set_field(config, "eval_input_reader[2].shuffle", "false")


def test_set_field_takes_messages():
    config = pipeline_config.loads(COSINE)
    steps = "[{random_horizontal_flip {}}, {random_adjust_hue {}}]"
    pipeline_config.set_field(config, "train_config.data_augmentation_options", steps)
    assert len(config.train_config.data_augmentation_options) == 2
    one = "{random_vertical_flip {}}"
    pipeline_config.set_field(config, "train_config.data_augmentation_options[0]", one)
    assert config.train_config.data_augmentation_options[0].HasField("random_vertical_flip")
    assert config.train_config.data_augmentation_options[1].HasField("random_adjust_hue")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("train_config.num_step", "1", "num_steps"),
        ("trian_config.num_steps", "1", "train_config"),
        ("train_config.num_steps.x", "1", "is a value"),
        ("train_config.num_steps", "-1", "integer of 0 or more"),
        ("train_config.num_steps", "1.5", "an integer"),
        ("train_config.use_bfloat16", "maybe", "true or false"),
        ("train_config.fine_tune_checkpoint_version", "V9", "V1, V2"),
        ("train_config[0].num_steps", "1", "only one"),
        ("model.faster_rcnn.num_classes", "1", "'ssd', not 'faster_rcnn'"),
        ("train_config.optimizer.adam_optimizer", "{}", "momentum_optimizer"),
    ],
)
def test_set_field_refuses(path, value, said):
    config = pipeline_config.loads(COSINE)
    before = pipeline_config.copy_of(config)
    with pytest.raises(UsageError) as caught:
        pipeline_config.set_field(config, path, value)
    assert said in str(caught.value)
    assert config == before


# ---- schedule ------------------------------------------------------------------------------------


def schedule_of(config):
    rate = config.train_config.optimizer.adam_optimizer.learning_rate
    return getattr(rate, rate.WhichOneof("learning_rate"))


def test_cosine_follows_the_steps():
    config = pipeline_config.loads(COSINE)
    pipeline_config.rescale_schedule(config, 300)
    schedule = config.train_config.optimizer.momentum_optimizer.learning_rate
    assert config.train_config.num_steps == 300
    assert schedule.cosine_decay_learning_rate.total_steps == 300
    assert schedule.cosine_decay_learning_rate.warmup_steps == 30
    assert pipeline_config.learning_rate(config) == pytest.approx(0.08)


@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_cosine_keeps_steps_after_the_warm_up(steps):
    text = with_schedule(
        "cosine_decay_learning_rate { total_steps: 100 warmup_steps: 90 hold_base_rate_steps: 9 }"
    )
    config = pipeline_config.loads(text)
    pipeline_config.rescale_schedule(config, steps)
    schedule = schedule_of(config)
    # upstream divides by this
    assert schedule.total_steps - schedule.warmup_steps - schedule.hold_base_rate_steps >= 1


def test_cosine_that_disagrees_with_num_steps_goes_by_its_own_length():
    text = with_schedule("cosine_decay_learning_rate { total_steps: 500 warmup_steps: 50 }", 9000)
    config = pipeline_config.loads(text)
    pipeline_config.rescale_schedule(config, 1000)
    assert schedule_of(config).total_steps == 1000
    assert schedule_of(config).warmup_steps == 100


def test_manual_steps_stay_strictly_increasing():
    text = with_schedule(
        "manual_step_learning_rate { initial_learning_rate: 0.1 "
        "schedule { step: 500 learning_rate: 0.01 } schedule { step: 501 learning_rate: 0.001 } }"
    )
    config = pipeline_config.loads(text)
    pipeline_config.rescale_schedule(config, 100)
    assert [entry.step for entry in schedule_of(config).schedule] == [50, 51]
    pipeline_config.rescale_schedule(config, 1)
    assert [entry.step for entry in schedule_of(config).schedule] == [1]


def test_exponential_decay_follows_the_steps():
    text = with_schedule("exponential_decay_learning_rate { decay_steps: 100 burnin_steps: 20 }")
    config = pipeline_config.loads(text)
    pipeline_config.rescale_schedule(config, 500)
    assert (schedule_of(config).decay_steps, schedule_of(config).burnin_steps) == (50, 10)


@pytest.mark.parametrize(
    ("text", "peak"),
    [
        ("constant_learning_rate { learning_rate: 0.1 }", 0.1),
        ("cosine_decay_learning_rate { learning_rate_base: 0.1 }", 0.1),
        ("exponential_decay_learning_rate { initial_learning_rate: 0.1 }", 0.1),
        (
            "manual_step_learning_rate { initial_learning_rate: 0.01 "
            "schedule { step: 5 learning_rate: 0.1 } }",
            0.1,
        ),
    ],
    ids=["constant", "cosine", "exponential", "manual with warm-up"],
)
def test_learning_rate_is_the_highest_and_can_be_set(text, peak):
    config = pipeline_config.loads(with_schedule(text))
    assert pipeline_config.learning_rate(config) == pytest.approx(peak)
    pipeline_config.set_learning_rate(config, 0.5)
    assert pipeline_config.learning_rate(config) == pytest.approx(0.5)


def test_the_warm_up_keeps_its_ratio():
    config = pipeline_config.loads(COSINE)
    pipeline_config.scale_learning_rate(config, 0.5)
    schedule = config.train_config.optimizer.momentum_optimizer.learning_rate
    assert schedule.cosine_decay_learning_rate.warmup_learning_rate == pytest.approx(0.01)


def test_no_schedule_is_said():
    config = pipeline_config.loads("train_config { optimizer { adam_optimizer { } } }")
    with pytest.raises(ConfigError, match="no learning-rate schedule"):
        pipeline_config.learning_rate(config)


# ---- differences ---------------------------------------------------------------------------------


def test_differences():
    old = pipeline_config.loads(COSINE)
    new = pipeline_config.copy_of(old)
    assert pipeline_config.differences(old, new) == []
    new.train_config.batch_size = 8
    new.model.ssd.ClearField("feature_extractor")
    new.train_config.freeze_variables.append("a")
    assert [str(change) for change in pipeline_config.differences(old, new)] == [
        'model.ssd.feature_extractor: {type: "ssd_mobilenet_v2_keras"} -> (not set)',
        "train_config.batch_size: 32 -> 8",
        "train_config.freeze_variables: (not set) -> ['a']",
    ]


# ---- validation ----------------------------------------------------------------------------------


@pytest.fixture
def valid(tmp_path):
    """A config that has nothing wrong with it."""
    labels.save(labels.from_names(["a", "b", "c"]), tmp_path / "map.pbtxt")
    shards.write(tmp_path / "train-00000-of-00001.tfrecord", [b"x"])
    config = pipeline_config.loads(COSINE)
    for reader in (config.train_input_reader, config.eval_input_reader.add()):
        reader.label_map_path = str(tmp_path / "map.pbtxt")
        reader.tf_record_input_reader.input_path.append(f"{tmp_path}/train-?????-of-00001.tfrecord")
    assert pipeline_config.validate(config) == []
    return config


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("model.ssd.feature_extractor.type", "ssd_mobilenet_v2", "'ssd_mobilenet_v2_keras'"),
        ("model.ssd.feature_extractor.type", "ssd_mobiledet_cpu", "ssd_mobilenet_v2_fpn_keras"),
        ("model.ssd.feature_extractor.type", "ssd_resnet50_v1_fpn", "ssd_resnet50_v1_fpn_keras"),
        ("model.ssd.feature_extractor.type", "ssd_resnet50_v1_ppn", "ssd_resnet50_v1_fpn_keras"),
        ("model.ssd.num_classes", "2", "more classes than the model"),
        ("model.ssd.num_classes", "0", "no classes"),
        ("train_config.batch_size", "0", "Nothing would be trained"),
        ("train_config.num_steps", "2000", "learning rate is 0"),
        ("train_config.fine_tune_checkpoint", "/nope/ckpt-0", "does not exist"),
        ("train_config.fine_tune_checkpoint", "PATH_TO_BE_CONFIGURED/x", "to be filled in"),
        ("train_input_reader.label_map_path", "/nope.pbtxt", "cannot be read"),
        ("train_input_reader.tf_record_input_reader.input_path", '["/nope*"]', "do not exist"),
    ],
)
def test_validate_finds(valid, path, value, said):
    pipeline_config.set_field(valid, path, value)
    assert any(said in str(finding) for finding in pipeline_config.validate(valid))
    with pytest.raises(ConfigError):
        pipeline_config.check(valid)


def test_validate_finds_a_warm_up_without_end(valid):
    rate = valid.train_config.optimizer.momentum_optimizer.learning_rate
    rate.cosine_decay_learning_rate.warmup_steps = 1000
    rate.cosine_decay_learning_rate.warmup_learning_rate = 1.0
    problems = [finding.problem for finding in pipeline_config.validate(valid)]
    assert len(problems) == 2
    assert all("warm-up" in problem for problem in problems)


def test_validate_needs_one_model():
    config = pipeline_config.loads("train_config { batch_size: 1 }")
    (finding,) = pipeline_config.validate(config)
    assert "no model" in finding.problem


def test_validate_finds_sizes_that_a_bifpn_cannot_halve(valid):
    extractor = valid.model.ssd.feature_extractor
    extractor.type = "ssd_efficientnet-b0_bifpn_keras"
    extractor.bifpn.max_level = 7
    valid.model.ssd.image_resizer.fixed_shape_resizer.height = 512
    valid.model.ssd.image_resizer.fixed_shape_resizer.width = 500
    (finding,) = pipeline_config.validate(valid)
    assert finding.fix == "Use 512."


def test_remote_paths_are_not_looked_at(valid):
    valid.train_config.fine_tune_checkpoint = "gs://bucket/ckpt-0"
    valid.train_config.fine_tune_checkpoint_type = "detection"
    valid.train_input_reader.tf_record_input_reader.input_path[:] = ["gs://bucket/train-*"]
    valid.train_input_reader.label_map_path = "gs://bucket/map.pbtxt"
    assert pipeline_config.validate(valid) == []


def test_extractors_are_those_that_upstream_registers():
    spec = importlib.util.find_spec("object_detection")
    source = Path(spec.submodule_search_locations[0]) / "builders" / "model_builder.py"
    registered = _first_dicts(ast.parse(source.read_text(encoding="utf-8")))
    assert set(EXTRACTORS["ssd"]) == registered["SSD_KERAS_FEATURE_EXTRACTOR_CLASS_MAP"]
    assert (
        set(EXTRACTORS["faster_rcnn"])
        == registered["FASTER_RCNN_KERAS_FEATURE_EXTRACTOR_CLASS_MAP"]
    )
    assert set(EXTRACTORS["center_net"]) == registered["CENTER_NET_EXTRACTOR_FUNCTION_MAP"]


def _first_dicts(tree):
    """The keys of each dictionary that is assigned to a name, the first assignment of a name."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and node.value.keys:
            keys = {key.value for key in node.value.keys}
            found.setdefault(node.targets[0].id, keys)
    return found


def test_base_configs_are_found():
    assert list(resources.pipelines().glob("*.config"))


def test_a_flattened_config_has_every_field_as_text() -> None:
    config = pipeline_config.loads(
        "model { ssd { num_classes: 3 image_resizer { fixed_shape_resizer { height: 96 } } } } "
        "train_config { freeze_variables: 'a' freeze_variables: 'b' fine_tune_checkpoint: 'x y' "
        "data_augmentation_options { random_horizontal_flip { } } use_bfloat16: true "
        "data_augmentation_options { random_crop_image { min_area: 0.8 } } }"
    )
    assert pipeline_config.flattened(config) == {
        "model.ssd.num_classes": "3",
        "model.ssd.image_resizer.fixed_shape_resizer.height": "96",
        "train_config.data_augmentation_options.0.random_horizontal_flip": "{}",
        "train_config.data_augmentation_options.1.random_crop_image.min_area": "0.8",
        "train_config.freeze_variables": "['a', 'b']",
        "train_config.fine_tune_checkpoint": "x y",
        "train_config.use_bfloat16": "true",
    }
