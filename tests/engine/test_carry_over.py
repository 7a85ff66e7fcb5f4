"""Which variables and which class rows a model with other classes takes over; no TensorFlow."""

from pathlib import Path

import numpy as np
import pytest

from tfod_kit import pipeline_config
from tfod_kit.core.labels import LabelMap, from_names
from tfod_kit.engine import carry_over, class_rows
from tfod_kit.engine.carry_over import ClassMatch, Stored
from tfod_kit.engine.class_rows import ClassAxis
from tfod_kit.runs.checkpoint_classes import CheckpointClasses
from tfod_kit.zoo import catalog

SSD_CLASSES = (
    "model/_box_predictor/_prediction_heads/class_predictions_with_background/"
    "_class_predictor_layers/0/"
)
SSD_BOXES = "model/_box_predictor/_box_prediction_head/_box_encoder_layers/0/"
TOWER = "model/_box_predictor/_head_scope_conv_layers/PredictionTower/0/pointwise_kernel"
RCNN = "model/_mask_rcnn_box_predictor/"
CENTERS = "model/_prediction_head_dict/object_center/0/"


def config(name: str, classes: int):
    loaded = pipeline_config.load(catalog.find(name).base_config)
    pipeline_config.model_of(loaded).num_classes = classes
    return loaded


def ssd(classes: int, anchors: int = 6, background: int = 1) -> dict[str, tuple[int, ...]]:
    slots = anchors * (classes + background)
    return {
        TOWER: (1, 1, 8, 8),
        f"{SSD_BOXES}pointwise_kernel": (1, 1, 8, anchors * 4),
        f"{SSD_CLASSES}depthwise_kernel": (3, 3, 8, 1),
        f"{SSD_CLASSES}pointwise_kernel": (1, 1, 8, slots),
        f"{SSD_CLASSES}bias": (slots,),
    }


def efficientdet(classes: int) -> dict[str, tuple[int, ...]]:
    return ssd(classes, anchors=9, background=0)


def mask_rcnn(classes: int) -> dict[str, tuple[int, ...]]:
    masks = f"{RCNN}_third_stage_heads/mask_predictions/_mask_predictor_layers/"
    rpn = "model/_first_stage_box_predictor/_prediction_heads/"
    return {
        f"{rpn}box_encodings/0/_box_encoder_layers/0/bias": (48,),
        f"{rpn}class_predictions_with_background/0/_class_predictor_layers/0/bias": (24,),
        f"{RCNN}_box_prediction_head/_box_encoder_layers/1/kernel": (16, 4 * classes),
        f"{RCNN}_class_prediction_head/_class_predictor_layers/1/kernel": (16, classes + 1),
        f"{masks}6/bias": (5,),
        f"{masks}9/bias": (classes,),
    }


def centernet(classes: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{CENTERS}layer_with_weights-0/kernel": (3, 3, 64, 256),
        f"{CENTERS}layer_with_weights-1/kernel": (1, 1, 256, classes),
        f"{CENTERS}layer_with_weights-1/bias": (classes,),
        "model/_prediction_head_dict/box.Sscale/0/layer_with_weights-1/bias": (2,),
    }


def stored(shapes) -> dict[str, Stored]:
    return {name: Stored(f"their/{name}", shape) for name, shape in shapes.items()}


def planned(model: str, own, theirs, own_classes: int):
    """The plan for unknown names, and the number of classes found in the checkpoint."""
    chosen = config(model, own_classes)
    count = carry_over.stored_classes(chosen, own, stored(theirs))
    names = from_names(f"class{number}" for number in range(own_classes))
    match = carry_over.match_classes(own_classes, names, count, None) if count else None
    return carry_over.plan(chosen, own, stored(theirs), match), count


@pytest.mark.parametrize(
    ("model", "shapes", "by_class"),
    [
        ("fpnlite", ssd, {f"{SSD_CLASSES}pointwise_kernel", f"{SSD_CLASSES}bias"}),
        ("efficientdet_d0", efficientdet, {f"{SSD_CLASSES}pointwise_kernel", f"{SSD_CLASSES}bias"}),
        (
            "mask_rcnn",
            mask_rcnn,
            {
                f"{RCNN}_box_prediction_head/_box_encoder_layers/1/kernel",
                f"{RCNN}_class_prediction_head/_class_predictor_layers/1/kernel",
                f"{RCNN}_third_stage_heads/mask_predictions/_mask_predictor_layers/9/bias",
            },
        ),
        (
            "centernet_resnet50_v1_fpn",
            centernet,
            {f"{CENTERS}layer_with_weights-1/kernel", f"{CENTERS}layer_with_weights-1/bias"},
        ),
    ],
)
def test_only_class_layers_are_divided_and_all_else_is_copied(model, shapes, by_class) -> None:
    own = shapes(3)
    done, count = planned(model, own, shapes(90), 3)
    assert count == 90
    assert set(done.by_class) == by_class
    assert set(done.copied) == set(own) - by_class
    assert not done.new


def test_a_faster_rcnn_that_shares_boxes_across_classes_copies_its_box_head() -> None:
    def shapes(classes: int) -> dict[str, tuple[int, ...]]:
        boxes = f"{RCNN}_box_prediction_head/_box_encoder_layers/1/kernel"
        return {
            name: shape for name, shape in mask_rcnn(classes).items() if "_third" not in name
        } | {boxes: (16, 4)}

    done, count = planned("faster_rcnn", shapes(1), shapes(90), 1)
    assert count == 90
    assert f"{RCNN}_box_prediction_head/_box_encoder_layers/1/kernel" in done.copied
    assert set(done.by_class) == {f"{RCNN}_class_prediction_head/_class_predictor_layers/1/kernel"}


def test_other_anchors_leave_both_heads_new_even_where_a_shape_is_equal() -> None:
    own, theirs = ssd(1, anchors=6), ssd(3, anchors=3)
    assert own[f"{SSD_CLASSES}bias"] == theirs[f"{SSD_CLASSES}bias"] == (12,)
    done, count = planned("fpnlite", own, theirs, 1)
    assert count is None
    assert set(done.copied) == {TOWER, f"{SSD_CLASSES}depthwise_kernel"}
    assert done.new[f"{SSD_BOXES}pointwise_kernel"] == (
        "1x1x8x24 in the model, 1x1x8x12 in the checkpoint"
    )
    assert "other anchors" in done.new[f"{SSD_CLASSES}bias"]


def test_variables_that_the_checkpoint_lacks_are_new() -> None:
    own = mask_rcnn(2)
    theirs = {name: shape for name, shape in own.items() if "_third" not in name}
    done, _ = planned("mask_rcnn", own, theirs, 2)
    assert set(done.new.values()) == {"not in the checkpoint"}
    assert all("_third_stage_heads" in name for name in done.new)
    assert len(done.new) == 2


def test_rows_are_matched_by_name_display_name_and_in_any_case() -> None:
    theirs = LabelMap({"/m/1": 1, "Cat": 2, "zebra": 4}, {"/m/1": "person"})
    own = from_names(["dog", "cat", "Person"])
    match = carry_over.match_classes(3, own, 4, CheckpointClasses(theirs, "theirs.pbtxt"))
    assert match.rows == (None, 1, 0)
    assert match.pool == (0, 1, 3)  # id 3 is a gap: its row was never trained
    assert match.by_name == ("cat", "Person")
    assert match.new == ("dog",)
    assert str(match) == (
        "by name: cat, Person; as the mean of the checkpoint's 3 classes: dog "
        "(the checkpoint's classes: theirs.pbtxt)"
    )


def test_as_many_classes_with_unknown_names_keep_their_order() -> None:
    assert carry_over.match_classes(3, from_names("abc"), 3, None).rows == (0, 1, 2)
    assert carry_over.match_classes(2, from_names("ab"), 3, None).rows == (None, None)


def test_rows_move_within_each_anchor_and_the_background_stays() -> None:
    axis = ClassAxis(groups=2, background=1)
    #           anchor 0: background, a, b, c; anchor 1: the same
    values = np.array([[0, 10, 20, 60, 1, 11, 21, 61]], np.float32)
    moved = class_rows.rearranged(values, axis, rows=[2, None], pool=[0, 1, 2])
    np.testing.assert_array_equal(moved, [[0, 60, 30, 1, 61, 31]])
    assert moved.dtype == np.float32


def test_rows_of_boxes_have_four_numbers() -> None:
    values = np.arange(8.0)  # two classes
    moved = class_rows.rearranged(values, ClassAxis(width=4), rows=[1, 0, None], pool=[0, 1])
    np.testing.assert_array_equal(moved, [4, 5, 6, 7, 0, 1, 2, 3, 2, 3, 4, 5])


def test_the_summary_names_what_came_what_is_new_and_why() -> None:
    own, theirs = ssd(2), ssd(3)
    del theirs[TOWER]
    chosen = config("fpnlite", 2)
    known = CheckpointClasses(from_names(["cat", "cow", "pig"]), "cows/label_map.pbtxt")
    match = carry_over.match_classes(2, from_names(["cat", "dog"]), 3, known)
    assert str(carry_over.plan(chosen, own, stored(theirs), match)).splitlines() == [
        "2 of 5 variables (264 numbers) are restored: _box_predictor (2)",
        "2 are restored by class: by name: cat; as the mean of the checkpoint's 3 classes: dog "
        "(the checkpoint's classes: cows/label_map.pbtxt)",
        f"1 start from initial values (64 numbers): {TOWER} (not in the checkpoint)",
    ]


def test_an_axis_of_another_layout_has_no_number_of_classes() -> None:
    assert ClassAxis(groups=6, background=1).classes(546) == 90
    assert ClassAxis(groups=6, background=1).classes(547) is None
    assert ClassAxis(groups=6, background=1).classes(6) is None


def test_a_match_covers_ids_that_have_no_class() -> None:
    own = LabelMap({"a": 1, "c": 3})
    known = CheckpointClasses(from_names("ca"), str(Path("x")))
    match = carry_over.match_classes(3, own, 2, known)
    assert match == ClassMatch((1, None, 0), 2, (0, 1), ("a", "c"), (), "x")
