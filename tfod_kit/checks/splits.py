"""The check `splits`: empty splits, splits without objects, evaluation on the training set."""

from tfod_kit.checks.base import Check, CheckContext
from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.checks.targets import TRAIN

_NOT_FOR_TRAINING = {"val", "valid", "validation", "eval", "test"}
_SPLIT = "Convert with a split, such as --split 0.8,0.2."


def check_splits(context: CheckContext, findings: CheckFindings) -> None:
    """Looks at each split on its own, then at how they are used."""
    for split, facts in context.scanned():
        if not split.paths:
            continue  # missing files are findings of `config`, remote ones of `shards`
        if not facts.records:
            findings.error(
                "split_empty",
                "A split has no readable record.",
                Location(split.name),
                fix="Convert the data set again with `tfod convert`.",
            )
        elif not facts.owner:
            findings.error(
                "no_objects",
                "No image of a split has an object: there is nothing to learn or measure.",
                Location(split.name, found=f"{facts.records:,} images"),
                fix="Check the annotations' folder and the class names, and convert again.",
            )
    names = {split.name for split in context.target.splits}
    if names and context.target.config is None and names <= _NOT_FOR_TRAINING:
        findings.error(
            "no_training_split",
            "There are no records to train on.",
            Location(str(context.target.folder), found=", ".join(sorted(names))),
            fix=_SPLIT,
        )
    if TRAIN in names:
        _check_evaluation(context, findings)


def _check_evaluation(context: CheckContext, findings: CheckFindings) -> None:
    train, *evaluated = sorted(context.target.splits, key=lambda split: split.name != TRAIN)
    if not evaluated:
        findings.warning(
            "no_evaluation",
            "There are no records to evaluate on: nobody will know how good the model is.",
            fix=_SPLIT,
        )
    for split in evaluated:
        if split.paths and list(split.paths) == list(train.paths):
            findings.warning(
                "evaluates_training_set",
                "Evaluation reads the training set: its metrics will look too good.",
                Location(split.name),
                fix=_SPLIT,
            )


CHECK = Check(
    name="splits",
    covers="empty splits, and what evaluation reads",
    codes=(
        "split_empty",
        "no_objects",
        "no_training_split",
        "no_evaluation",
        "evaluates_training_set",
    ),
    run=check_splits,
)
