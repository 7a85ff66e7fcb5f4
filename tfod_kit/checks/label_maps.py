"""The check `label_maps`: num_classes against the label map, and one label map for all readers."""

from tfod_kit.checks.base import Check, CheckContext, Needs
from tfod_kit.checks.findings import CheckFindings, Location


def check_label_maps(context: CheckContext, findings: CheckFindings) -> None:
    """Looks at the label maps that the input readers name."""
    maps = {
        split.label_map_path: split.label_map
        for split in context.target.splits
        if split.label_map is not None
    }
    num_classes = context.model.num_classes
    for path, label_map in maps.items():
        if num_classes > label_map.num_classes:
            findings.note(
                "num_classes_above_map",
                "The model has more classes than the label map: the others are never learned.",
                Location(path, found=f"{label_map.num_classes}, and num_classes {num_classes}"),
                fix=f"Set num_classes to {label_map.num_classes}.",
            )
        if label_map.num_classes > len(label_map):
            findings.note(
                "label_map_gaps",
                "The label map's ids have gaps: num_classes is its highest id.",
                Location(path, found=f"{len(label_map)} classes, ids to {label_map.num_classes}"),
            )
    if len({tuple(label_map.ids.items()) for label_map in maps.values()}) > 1:
        findings.error(
            "label_maps_differ",
            "Training and evaluation use different label maps: classes are confused.",
            *map(Location, maps),
            fix="Name the same label map in each input reader.",
        )


CHECK = Check(
    name="label_maps",
    covers="the label maps of the config's readers",
    codes=("num_classes_above_map", "label_map_gaps", "label_maps_differ"),
    run=check_label_maps,
    needs=Needs.MODEL,
    quick=True,
)
