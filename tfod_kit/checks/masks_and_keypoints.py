"""The check `masks_and_keypoints`: the records hold what the config reads, in its form."""

from tfod_kit.checks.base import Check, CheckContext, Needs
from tfod_kit.checks.findings import EXAMPLES, CheckFindings, Location
from tfod_kit.checks.scanning.facts import SplitFacts
from tfod_kit.checks.targets import TRAIN
from tfod_kit.compat import protos
from tfod_kit.pipeline_config import InputReader


def check_masks_and_keypoints(context: CheckContext, findings: CheckFindings) -> None:
    """Looks at each split that has objects."""
    png_masks = protos.load("input_reader").InstanceMaskType.Value("PNG_MASKS")
    for split, facts in context.scanned():
        reader = split.reader
        if not facts.owner or reader is None:
            continue
        if reader.load_instance_masks:
            expected = "bytes_list" if reader.mask_type == png_masks else "float_list"
            _check_masks(split.name, facts, expected, findings)
        elif facts.with_masks and split.name == TRAIN:
            findings.note(
                "masks_unused",
                "The records hold masks, and this config does not read them.",
                Location(split.name),
                fix="A model that learns masks: tfod configure mask_rcnn.",
            )
        if reader.num_keypoints:
            _check_keypoints(split.name, facts, reader, findings)


def _check_masks(split: str, facts: SplitFacts, expected: str, findings: CheckFindings) -> None:
    if not facts.with_masks:
        findings.error(
            "masks_missing",
            "The config reads masks, and the records have none.",
            Location(split),
            fix="Convert annotations with masks (COCO's segmentation), or use a model for boxes.",
        )
    elif set(facts.mask_lists) != {expected}:
        right = "NUMERICAL_MASKS" if expected == "bytes_list" else "PNG_MASKS"
        findings.error(
            "mask_type_wrong",
            "The records hold masks in another form than the config's mask_type: training stops "
            "with 'Data types don't match'.",
            Location(split, found=", ".join(facts.mask_lists)),
            fix=f"Set mask_type: {right} in the input reader (`tfod configure` does).",
        )


def _check_keypoints(
    split: str, facts: SplitFacts, reader: InputReader, findings: CheckFindings
) -> None:
    expected = reader.num_keypoints
    if not any(facts.keypoints):
        findings.error(
            "keypoints_missing",
            "The config reads keypoints, and the records have none.",
            Location(split, found=f"num_keypoints {expected}"),
            fix="Convert annotations with keypoints (COCO's), or use a model without them.",
        )
        return
    if reader.use_keypoint_label_map:
        return
    wrong = [
        record
        for record, (keypoints, objects) in enumerate(
            zip(facts.keypoints, facts.objects, strict=True)
        )
        if objects and keypoints != expected * objects
    ]
    if wrong:
        findings.error(
            "keypoints_differ",
            "The number of keypoints of an object is not num_keypoints, "
            f"{expected}: training stops.",
            *(
                facts.location(
                    record, f"{facts.keypoints[record]} for {facts.objects[record]} objects"
                )
                for record in wrong[:EXAMPLES]
            ),
            fix="Set num_keypoints to what the data set has, or convert again.",
            count=len(wrong),
        )


CHECK = Check(
    name="masks_and_keypoints",
    covers="masks and keypoints that the config reads",
    codes=(
        "masks_missing",
        "masks_unused",
        "mask_type_wrong",
        "keypoints_missing",
        "keypoints_differ",
    ),
    run=check_masks_and_keypoints,
    needs=Needs.MODEL,
)
