"""Which attribute of VIA's regions is the class, and the classes that a value stands for."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tfod_kit.errors import DataError
from tfod_kit.formats.base import Context
from tfod_kit.formats.common import json_items
from tfod_kit.formats.common.json_items import LeftOutError

# In the order of preference; compared in lower case, without "_", "-" and spaces.
_USUAL = (
    "class", "classname", "label", "category", "object", "objectclass", "objectname", "objecttype",
    "species", "type", "name", "tag",
)  # fmt: skip


def attribute(used: Iterable[str], declared: Sequence[str], path: Path) -> str | None:
    """The name of the attribute that is the class; None if regions have no attribute.

    Args:
      used: the names of the attributes that regions have.
      declared: those that the project declares.
      path: the file, for the message.

    Raises:
      DataError: there are several, and none is named like a class.
    """
    names = list(dict.fromkeys(used)) or list(declared)
    plain = {"".join(c for c in name.lower() if c.isalnum()): name for name in reversed(names)}
    for usual in _USUAL:
        if usual in plain:
            return plain[usual]
    if len(names) > 1:
        raise DataError(
            "It is unclear which attribute of the regions is the class.",
            where=path,
            expected=f"an attribute named {', '.join(_USUAL[:4])} or the like, or only one",
            found=", ".join(sorted(names)[:10]),
            fix="Rename the attribute of the class to class.",
        )
    return names[0] if names else None


def only(context: Context) -> str | None:
    """The class of regions without an attribute: that of a label map with a single one."""
    names = list(context.label_map or ())
    return names[0] if len(names) == 1 else None


def labels(stored: object, only_class: str | None) -> list[str]:
    """The classes of a value: several if a checkbox has several marks.

    Raises:
      LeftOutError: there is none.
    """
    if isinstance(stored, dict):
        marked = [name for name, mark in stored.items() if mark is True]
        if marked:
            return [json_items.label(name) for name in marked]
    elif isinstance(stored, str | int) and str(stored).strip():
        return [json_items.label(stored)]
    if only_class is not None:
        return [only_class]
    raise LeftOutError(
        "class_missing",
        fix="Name it, or give --label_map FILE with a single class if all are of one class.",
    )
