"""What configure can be asked for: size, augmentations, masks, keypoints, the zoo's weights ..."""

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from index_writer import write_index

from tfod_kit import pipeline_config
from tfod_kit.configuration import Request, augment, configure, dataset, edits, keypoints, plan
from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.errors import CheckpointError, ConfigError, DataError, UsageError
from tfod_kit.records import example, shards
from tfod_kit.records.images import EncodedImage
from tfod_kit.zoo import cache, catalog
from tfod_kit.zoo.download import DownloadOptions

SHARED = Path(__file__).resolve().parents[3] / "shared" / "zoo"
COCO_POINTS = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip"),
    *("right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
)


@pytest.fixture
def records(tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    labels.save(labels.from_names(["person", "dog"]), folder / "label_map.pbtxt")
    for split, images in (("train", 20), ("val", 4)):
        shards.write(folder / shards.name(split, 0, 1), [b"x" * 100] * images)
    return folder


@pytest.fixture
def planned(records, tmp_path):
    def make(**wishes):
        return plan(Request(**{"records": records, "out": tmp_path / "run", **wishes}))

    return make


def write_report(records, **facts):
    facts = {"files": [shards.name("train", 0, 1)], "images": 20} | facts
    (records / "report.json").write_text(json.dumps({"splits": {"train": facts}}))


def steps_of(config):
    return [
        step.WhichOneof("preprocessing_step")
        for step in config.train_config.data_augmentation_options
    ]


# ---- input size ----------------------------------------------------------------------------------


def test_the_size_of_a_model_with_a_fixed_shape(planned):
    resizer = planned(model="retinanet50", input_size=(320, 480)).config.model.ssd.image_resizer
    assert (resizer.fixed_shape_resizer.height, resizer.fixed_shape_resizer.width) == (320, 480)


def test_the_size_of_a_model_that_keeps_the_shape(planned):
    config = planned(model="faster_rcnn", input_size=(800, 600)).config
    kept = config.model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer
    assert (kept.min_dimension, kept.max_dimension) == (600, 800)


def test_a_crop_that_pads_to_a_square_follows_the_size(planned):
    config = planned(model="efficientdet_d0", input_size=(256, 256)).config
    crop = config.train_config.data_augmentation_options[1].random_scale_crop_and_pad_to_square
    assert crop.output_size == 256


def test_a_size_that_the_pyramid_cannot_halve_is_refused(planned):
    with pytest.raises(ConfigError, match="Use 512"):
        planned(model="efficientdet_d0", input_size=(500, 500))


# ---- augmentations -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", augment.AUGMENTATIONS)
def test_every_augmentation_is_one_of_upstreams(planned, name):
    config = planned(augmentations=(name,)).config
    assert len(steps_of(config)) == len(augment.AUGMENTATIONS[name])
    assert None not in steps_of(config)


def test_augmentations_replace_or_extend_the_bases(planned):
    base = steps_of(pipeline_config.load(catalog.find("fpnlite").base_config))
    assert steps_of(planned(model="fpnlite").config) == base
    extended = planned(model="fpnlite", augmentations=("base", "vertical_flip")).config
    assert steps_of(extended) == [*base, "random_vertical_flip"]
    assert steps_of(planned(model="fpnlite", augmentations=("none",)).config) == []
    own = planned(model="fpnlite", augmentations=("random_pixel_value_scale",)).config
    assert steps_of(own) == ["random_pixel_value_scale"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("flip", "horizontal_flip or vertical_flip"), ("brigthness", "'brightness'")],
)
def test_unknown_augmentations_get_the_nearest(planned, name, said):
    with pytest.raises(UsageError, match=said):
        planned(augmentations=(name,))


# ---- masks ---------------------------------------------------------------------------------------


def test_records_with_masks_are_said_to_have_them(planned, records):
    write_report(records, masks=12)
    assert any("--masks yes" in note for note in planned(model="faster_rcnn").notes)
    assert not any("masks" in note for note in planned(model="fpnlite").notes)
    assert not any("masks" in note for note in planned(model="faster_rcnn", masks=False).notes)


def test_faster_rcnn_learns_masks_when_asked(planned, records):
    write_report(records, masks=12)
    config = planned(model="faster_rcnn", masks=True).config
    model = config.model.faster_rcnn
    assert model.number_of_stages == 3
    assert model.second_stage_box_predictor.mask_rcnn_box_predictor.predict_instance_masks
    assert config.train_input_reader.load_instance_masks
    assert config.eval_config.eval_instance_masks
    assert "coco_mask_metrics" in config.eval_config.metrics_set
    # That is a Mask R-CNN, as the one in pipelines/ that is trained in tests/test_pipelines.py.
    other = planned(model="mask_rcnn").config
    differing = [
        change.path for change in pipeline_config.differences(model, other.model.faster_rcnn)
    ]
    assert differing == [
        "second_stage_post_processing.batch_non_max_suppression.max_total_detections"
    ]


def test_mask_rcnn_without_masks_is_a_faster_rcnn(planned, records):
    write_report(records, masks=0)
    with pytest.raises(DataError, match="--masks no"):
        planned(model="mask_rcnn")
    config = planned(model="mask_rcnn", masks=False).config
    assert config.model.faster_rcnn.number_of_stages == 2
    assert not config.train_input_reader.load_instance_masks
    assert list(config.eval_config.metrics_set) == ["coco_detection_metrics"]


def test_centernet_learns_masks_when_asked(planned, records):
    write_report(records, masks=12)
    config = planned(model="centernet", masks=True).config
    assert config.model.center_net.HasField("mask_estimation_task")


def test_one_stage_models_refuse_masks(planned):
    with pytest.raises(UsageError, match="mask_rcnn"):
        planned(model="efficientdet", masks=True)


# ---- keypoints -----------------------------------------------------------------------------------


def name_points(records, **classes):
    text = ""
    for number, (label, points) in enumerate(classes.items(), start=1):
        lines = "".join(
            f"  keypoints {{ id: {place} label: '{name}' }}\n" for place, name in points
        )
        text += f"item {{\n  id: {number}\n  name: '{label}'\n{lines}}}\n"
    (records / "label_map.pbtxt").write_text(text)


def test_centernet_gets_the_heads_that_the_label_map_names(planned, records):
    name_points(
        records,
        person=enumerate(["nose", "left_eye", "right_eye"]),
        dog=[(3, "tail"), (4, "earL"), (5, "earR")],
        car=[],
    )
    result = planned(model="centernet", augmentations=("horizontal_flip", "rotate90"))
    model = result.config.model.center_net
    first, second = model.keypoint_estimation_task
    assert (first.keypoint_class_name, second.keypoint_class_name) == ("person", "dog")
    assert dict(first.keypoint_label_to_std) == pytest.approx(
        {"nose": 0.26, "left_eye": 0.25, "right_eye": 0.25}
    )
    assert set(second.keypoint_label_to_std) == {"tail", "earL", "earR"}
    assert model.keypoint_label_map_path == str(records / "label_map.pbtxt")
    assert result.config.train_input_reader.num_keypoints == 6
    assert result.config.eval_input_reader[0].num_keypoints == 6
    flip, turn = result.config.train_config.data_augmentation_options
    assert list(flip.random_horizontal_flip.keypoint_flip_permutation) == [0, 2, 1, 3, 4, 5]
    assert list(turn.random_rotation90.keypoint_rot_permutation) == list(range(6))
    labelled = [
        metric.coco_keypoint_metrics.class_label
        for metric in result.config.eval_config.parameterized_metric
    ]
    assert labelled == ["person", "dog"]
    assert any("names 6 keypoints (person, dog)" in note for note in result.notes)


def test_keypoints_can_be_left_out(planned, records):
    name_points(records, person=enumerate(["nose"]))
    model = planned(model="centernet", keypoints=False).config.model.center_net
    assert not model.keypoint_estimation_task


def test_keypoints_that_are_asked_for_must_be_named(planned):
    with pytest.raises(DataError, match="name keypoints"):
        planned(model="centernet_keypoints", keypoints=True)
    with pytest.raises(UsageError, match="Only CenterNet"):
        planned(model="fpnlite", keypoints=True)


def test_a_model_for_keypoints_without_any_warns(planned):
    notes = planned(model="centernet_keypoints").notes
    assert any(note.startswith("WARNING: centernet_keypoints detects keypoints") for note in notes)
    quiet = planned(model="centernet_keypoints", keypoints=False).notes
    assert not any("keypoints" in note for note in quiet)


def write_points(folder, *names):
    """Records in which the dog has more named keypoints than the person, and the cat none."""
    label_map = labels.from_names(["person", "dog", "cat"])
    labels.save(label_map, folder / "label_map.pbtxt")
    path = Path("a.jpg")
    encoded = []
    for owners in (["dog", "cat"], ["person", "dog"], []):
        objects = tuple(
            ObjectAnnotation(
                owner,
                Box(0.1, 0.1, 0.9, 0.9),
                keypoints=tuple(Keypoint(0.5, 0.5, 2, name) for name in names),
            )
            if owner != "cat"
            else ObjectAnnotation(owner, Box(0.1, 0.1, 0.9, 0.9))
            for owner in owners
        )
        annotation = ImageAnnotation(path, 8, 8, f"{len(encoded)}", objects)
        encoded.append(
            example.encode(annotation, EncodedImage(b"x", "jpeg", 8, 8), label_map, names)
        )
    shards.write(folder / shards.name("train", 0, 1), encoded)


def test_keypoints_that_the_records_alone_name(records, tmp_path):
    write_points(records, "nose", "left_ear", "right_ear")
    request = Request(records, tmp_path / "run", "centernet", batch_size=1)
    result = configure(request)
    (task,) = result.config.model.center_net.keypoint_estimation_task
    assert task.keypoint_class_name == "dog"
    assert set(task.keypoint_label_to_std) == {"nose", "left_ear", "right_ear"}
    path = Path(result.config.model.center_net.keypoint_label_map_path)
    assert path == tmp_path / "run" / "keypoint_label_map.pbtxt"
    (points,) = keypoints.named(path)
    assert points == keypoints.Points("dog", {"nose": 0, "left_ear": 1, "right_ear": 2})
    assert labels.load(path) == labels.load(records / "label_map.pbtxt")
    assert any("The records name 3 keypoints (dog)" in note for note in result.notes)
    without = configure(replace(request, out=tmp_path / "other", keypoints=False))
    assert without.keypoint_map is None
    assert not (tmp_path / "other" / "keypoint_label_map.pbtxt").exists()


def test_keypoints_without_names_are_not_guessed(records, planned):
    write_points(records, "", "", "")
    assert not planned(
        model="centernet", batch_size=1
    ).config.model.center_net.keypoint_estimation_task


def test_two_keypoints_with_one_place(planned, records):
    name_points(records, person=[(0, "nose")], dog=[(0, "tail")])
    with pytest.raises(ConfigError, match="id 0"):
        planned(model="centernet")


def test_cocos_points_get_cocos_mirror_and_sigmas(planned, records):
    """The sigmas of COCO's keypoint evaluation, from pycocotools.cocoeval.Params."""
    from pycocotools.cocoeval import Params

    name_points(records, person=enumerate(COCO_POINTS))
    config = planned(model="centernet").config
    flip = next(
        step.random_horizontal_flip
        for step in config.train_config.data_augmentation_options
        if step.HasField("random_horizontal_flip")
    )
    assert list(flip.keypoint_flip_permutation) == [
        *(0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
    ]
    (metric,) = config.eval_config.parameterized_metric
    sigmas = metric.coco_keypoint_metrics.keypoint_label_to_sigmas
    assert [sigmas[name] for name in COCO_POINTS] == pytest.approx(
        Params(iouType="keypoints").kpt_oks_sigmas
    )


def test_the_zoos_own_task_is_kept_for_the_same_points(planned, records, tmp_path):
    config = SHARED / "configs" / "centernet_resnet50_v1_fpn_512x512_kpts_coco17_tpu-8.config"
    if not config.is_file():
        pytest.skip("compares with a config of the zoo, which is in ../shared and not published")
    name_points(records, person=enumerate(COCO_POINTS))
    base = pipeline_config.load_foreign(config)[0]
    result = planned(base=config, checkpoint="none").config
    (ours,), (theirs,) = (
        found.model.center_net.keypoint_estimation_task for found in (result, base)
    )
    assert ours.keypoint_class_name == "person"
    theirs.keypoint_class_name = "person"
    assert ours == theirs
    assert result.eval_config.keypoint_edge == base.eval_config.keypoint_edge
    for found in (result, base):  # the names give the mirror and the spread that the zoo wrote down
        flip = found.train_config.data_augmentation_options[0].random_horizontal_flip
        assert list(flip.keypoint_flip_permutation) == [
            *(0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
        ]
    (metric,) = result.eval_config.parameterized_metric
    assert dict(metric.coco_keypoint_metrics.keypoint_label_to_sigmas) == (
        dict(
            base.eval_config.parameterized_metric[0].coco_keypoint_metrics.keypoint_label_to_sigmas
        )
    )


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("left_eye", "right_eye"),
        ("Right Hip", "Left Hip"),
        ("eye-l", "eye-r"),
        ("leftEye", "rightEye"),
        ("nose", "nose"),
        ("lower_lip", "lower_lip"),
    ],
)
def test_the_other_side(name, other):
    points = keypoints.Points("x", {name: 0} | ({other: 1} if other != name else {}))
    assert keypoints.mirrored((points,)) == ([1, 0] if other != name else [0])


# ---- evaluation, precision, rate, memory ---------------------------------------------------------


def test_metrics_and_detections(planned):
    config = planned(
        model="faster_rcnn", metrics=("pascal_voc_detection_metrics",), detections=400
    ).config
    assert list(config.eval_config.metrics_set) == ["pascal_voc_detection_metrics"]
    suppression = config.model.faster_rcnn.second_stage_post_processing.batch_non_max_suppression
    assert suppression.max_total_detections == suppression.max_detections_per_class == 400
    assert config.model.faster_rcnn.first_stage_max_proposals == 400
    centers = planned(model="centernet", detections=7).config.model.center_net
    assert centers.object_center_params.max_box_predictions == 7
    with pytest.raises(UsageError, match="coco_detection_metrics"):
        planned(metrics=("coco_detection_metric",))


def test_mixed_precision_only_where_asked(planned):
    assert not planned().config.train_config.use_bfloat16
    assert planned(mixed_precision=True).config.train_config.use_bfloat16


def test_the_rate_stays_where_asked(planned):
    before = pipeline_config.load(catalog.find("fpnlite").base_config)
    result = planned(model="fpnlite", batch_size=4, scale_rate=False)
    assert pipeline_config.learning_rate(result.config) == pipeline_config.learning_rate(before)
    assert result.config.train_config.batch_size == 4
    assert not any("learning rate follows" in note for note in result.notes)


@pytest.mark.parametrize(
    ("mb", "batch", "expected"),
    [(0.1, 8, None), (2, 8, 1), (2, 3, 4), (50, 8, 1)],
    ids=["small", "photos", "photos, small batch", "scans"],
)
def test_large_images_are_decoded_fewer_at_once(mb, batch, expected):
    config = pipeline_config.load(catalog.find("fpnlite").base_config)
    config.train_config.batch_size = batch
    split = dataset.SplitRecords("x", 1, 100, int(100 * mb * 1e6))
    data = dataset.DataSet(Path(), Path(), labels.from_names("a"), {"train": split})
    notes = edits.set_memory(config, data)
    reader = config.train_input_reader
    assert reader.HasField("num_parallel_batches") == (expected is not None)
    assert bool(notes) == (expected is not None)
    if expected is not None:
        assert reader.num_parallel_batches == expected


def test_images_without_objects_teach_something(planned, tmp_path):
    base = pipeline_config.load(catalog.find("ssd_mobilenet").base_config)
    base.model.ssd.loss.hard_example_miner.num_hard_examples = 3000
    pipeline_config.save(base, tmp_path / "own.config")
    result = planned(base=tmp_path / "own.config")
    assert result.config.model.ssd.loss.hard_example_miner.min_negatives_per_image == 3
    assert any("min_negatives_per_image" in note for note in result.notes)


# ---- the zoo's weights ---------------------------------------------------------------------------


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """The zoo's archive of fpnlite, with its config, as a file at hand; the cache is empty."""
    monkeypatch.setenv(cache.CACHE, str(tmp_path / "cache"))
    monkeypatch.setenv(cache.OFFLINE, "1")
    model = catalog.find("fpnlite")
    prefix = write_index(
        tmp_path / model.archive / "checkpoint" / "ckpt-0",
        {"model/_feature_extractor/x": (1,), "model/_box_predictor/x": (1,)},
    )
    config = prefix.parent.parent / "pipeline.config"
    config.write_bytes(model.base_config.read_bytes())
    path = tmp_path / "usb" / f"{model.archive}.tar.gz"
    path.parent.mkdir()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(prefix.parent.parent, arcname=model.archive)
    path.write_bytes(buffer.getvalue())
    return path


def test_pretrained_starts_from_the_zoos_weights(planned, packed, tmp_path):
    options = DownloadOptions(mirror=str(packed.parent))
    result = planned(model="fpnlite", pretrained=True, download=options)
    folder = tmp_path / "cache" / "zoo" / catalog.find("fpnlite").archive
    training = result.config.train_config
    assert training.fine_tune_checkpoint == str(folder / "checkpoint" / "ckpt-0")
    assert training.fine_tune_checkpoint_type == "detection"
    again = planned(model="fpnlite", pretrained=True)  # from the cache, offline
    assert again.config == result.config


def test_a_packed_archive_is_taken_as_it_is(planned, packed):
    result = planned(zoo=packed)
    assert result.config.train_config.fine_tune_checkpoint_type == "detection"
    with pytest.raises(UsageError, match="another model"):
        planned(zoo=packed, model="efficientdet")


def test_pretrained_without_weights_or_network(planned, packed):
    with pytest.raises(CheckpointError, match="downloads are disabled"):
        planned(model="fpnlite", pretrained=True)
    with pytest.raises(UsageError, match="no weights for ssd_cpu"):
        planned(model="ssd_cpu", pretrained=True)
    with pytest.raises(UsageError, match="model's name"):
        planned(pretrained=True)
