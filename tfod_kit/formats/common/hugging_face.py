"""What Hugging Face's image folders and Parquet files have in common."""

from pathlib import Path
from typing import Any

from tfod_kit.formats.common import reading

LABELS = ("categories", "category", "label", "labels", "class", "classes", "class_name", "name")
"""Names of the column of classes, most likely first."""

_CARD = "README.md"
_CARD_BYTES = 1 << 20


def names_of_card(root: Path) -> dict[int, str]:
    """The class names by number of the data set card; empty if it names none."""
    import yaml  # type: ignore[import-untyped]

    from tfod_kit.formats.common import safe_yaml

    try:
        with (root / _CARD).open("rb") as stream:
            parts = stream.read(_CARD_BYTES).split(b"---", 2)
        card = safe_yaml.load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
        return _class_label(card) or {}
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}


def _class_label(node: object) -> dict[int, str] | None:
    """The first "class_label" in a data set card; ValueError if a number of it is invalid."""
    if isinstance(node, dict):
        names = node["class_label"].get("names") if _is_class_label(node) else None
        if isinstance(names, dict):
            return {int(number): reading.name(name) for number, name in names.items()}
        if isinstance(names, list):
            return {number: reading.name(name) for number, name in enumerate(names)}
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return next((found for child in children if (found := _class_label(child))), None)


def _is_class_label(node: dict[str, Any]) -> bool:
    return isinstance(node.get("class_label"), dict)
