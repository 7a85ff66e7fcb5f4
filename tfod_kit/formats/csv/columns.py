"""What is in the columns of a table: by their usual names, or as `--columns` states."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.formats.base import Context
from tfod_kit.formats.common import tables
from tfod_kit.formats.common.image_index import is_image_name
from tfod_kit.formats.common.tables import Header

# The usual names of each column, most likely first, as tables.plain gives them.
_NAMES: Mapping[str, Sequence[str]] = {
    "image": (
        "filename", "file", "image", "imagename", "imagepath", "filepath", "path", "img",
        "imageid", "imagefilename", "imagefile", "frame", "fname", "imgname", "imgpath", "imgid",
        "imgfile", "photo", "picture", "imageuri", "uri", "imageurl", "url", "externalid", "name",
    ),
    "class": (
        "class", "label", "celltype", "classname", "labelname", "category", "categoryname",
        "object", "objectname", "type", "classlabel", "cls", "species", "tag", "target", "classid",
        "categoryid", "labelid", "name",
    ),
    "xmin": (
        "xmin", "x0", "x1", "left", "xtl", "bboxx1", "bboxxmin", "xminimum", "upperleftcornerx",
        "xleft", "minx", "boxxmin", "roix1", "startx", "topleftx",
    ),
    "ymin": (
        "ymin", "y0", "y1", "top", "ytl", "bboxy1", "bboxymin", "yminimum", "upperleftcornery",
        "ytop", "miny", "boxymin", "roiy1", "starty", "toplefty",
    ),
    "xmax": (
        "xmax", "x2", "right", "xbr", "bboxx2", "bboxxmax", "xmaximum", "lowerrightcornerx",
        "xright", "maxx", "boxxmax", "x1", "roix2", "endx", "bottomrightx",
    ),
    "ymax": (
        "ymax", "y2", "bottom", "ybr", "bboxy2", "bboxymax", "ymaximum", "lowerrightcornery",
        "ybottom", "maxy", "boxymax", "y1", "roiy2", "endy", "bottomrighty",
    ),
    "x": ("x", "bboxx", "boxx", "left", "xmin", "bboxleft", "bboxxmin"),
    "y": ("y", "bboxy", "boxy", "top", "ymin", "bboxtop", "bboxymin"),
    "cx": ("cx", "xcenter", "xcentre", "centerx", "centrex", "xc", "bboxxcenter", "bboxcx"),
    "cy": ("cy", "ycenter", "ycentre", "centery", "centrey", "yc", "bboxycenter", "bboxcy"),
    "w": ("w", "bboxw", "bboxwidth", "boxw", "boxwidth", "width"),
    "h": ("h", "bboxh", "bboxheight", "boxh", "boxheight", "height"),
    "corners": ("xyxy", "bboxxyxy", "boxxyxy"),
    "corner_size": ("xywh", "bboxxywh", "boxxywh"),
    "image_width": ("imagewidth", "imgwidth", "imwidth", "width"),
    "image_height": ("imageheight", "imgheight", "imheight", "height"),
    "score": ("score", "confidence", "conf"),
}  # fmt: skip
FLAGS = {
    "difficult": "difficult",
    "truncated": "truncated",
    "occluded": "occluded",
    "iscrowd": "is_crowd",
    "groupof": "group_of",
    "isgroupof": "group_of",
}
ROLES = tuple(_NAMES)

_MEANINGS = {
    "image": "the image",
    "class": "the class",
    "xmin": "the box's left edge",
    "ymin": "the box's upper edge",
    "xmax": "the box's right edge",
    "ymax": "the box's lower edge",
    "x": "the box's left edge",
    "y": "the box's upper edge",
    "cx": "the x of the box's centre",
    "cy": "the y of the box's centre",
    "w": "the box's width",
    "h": "the box's height",
}
_FOUR = frozenset(("bbox", "box", "boundingbox", "boxes", "coordinates", "bboxes", "boxesstring"))
_SHOWN = 12  # columns in a message
_FEWEST = 3  # columns of a table of boxes: the image, the class, and the box in one
_OPEN_IMAGES = frozenset(("imageid", "labelname", "xmin"))


class Shape(Enum):
    """The columns that a box may have, in the order in which they are looked for."""

    CORNERS = ("xmin", "ymin", "xmax", "ymax")
    CORNER_SIZE = ("x", "y", "w", "h")
    CENTRE_SIZE = ("cx", "cy", "w", "h")
    CORNERS_IN_ONE = ("corners",)
    CORNER_SIZE_IN_ONE = ("corner_size",)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column holds what, as indices into a row.

    Attributes:
      header: the table's delimiter and columns.
      image: the image's name.
      label: the class; None if the label map's only class is that of all objects.
      shape: which columns the box has.
      box: these columns.
      size: the image's width and height; None without them.
      score: None without one.
      flags: flag of an object -> column.
    """

    header: Header
    image: int
    label: int | None
    shape: Shape
    box: tuple[int, ...]
    size: tuple[int, int] | None
    score: int | None
    flags: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a table cannot be read: the roles for which it has no column."""

    header: Header
    roles: tuple[str, ...]


def parse_columns(texts: Iterable[str]) -> dict[str, str]:
    """Role -> column, from texts such as "image=file,class=species".

    Raises:
      UsageError: a text has another form, or names a role that does not exist or twice.
    """
    columns: dict[str, str] = {}
    for part in (part for text in texts for part in text.split(",") if part.strip()):
        role, equals, column = part.partition("=")
        role = role.strip().lower()
        if not equals or not column.strip() or role in columns:
            raise UsageError(
                "The columns are invalid.",
                where="--columns",
                expected="each once, such as image=file,class=species,xmin=left",
                found=part.strip(),
                fix="Correct it.",
            )
        columns[role] = column.strip()
    check_columns(columns)
    return columns


def check_columns(columns: Mapping[str, str]) -> None:
    """Refuses roles that do not exist. Raises UsageError for one."""
    for role in columns:
        if role not in ROLES:
            raise UsageError(
                "A table has no such column.",
                where="--columns",
                expected=", ".join(ROLES),
                found=role,
                fix=did_you_mean(role, ROLES),
            )


def meaning(path: Path, context: Context) -> Columns | None:
    """The meaning of a file's columns; None if it is not a table of boxes."""
    return next((each for each in _readings(path, context) if isinstance(each, Columns)), None)


def is_table(path: Path) -> bool:
    """Whether a file's name is that of a table."""
    return path.suffix.lower() in (".csv", ".tsv")


def advice(root: Path, context: Context) -> str | None:
    """Which columns to name, for the table that lacks the fewest; None without a table."""
    paths = [root] if root.is_file() else [p for p in context.images.files(root) if is_table(p)]
    candidates = [
        (len(each.roles), -len(each.header.columns), path, each)
        for path in paths
        for each in _readings(path, context)
        if isinstance(each, Missing) and len(each.header.columns) >= _FEWEST
    ]
    if not candidates:
        return None
    *_, path, missing = min(candidates, key=lambda candidate: candidate[:3])
    return _explained(missing, context.name(path), context)


def _explained(missing: Missing, file: str, context: Context) -> str:
    shown = ", ".join(missing.header.names[:_SHOWN])
    more = ", ..." if len(missing.header.names) > _SHOWN else ""
    start = f"{file} has the columns {shown}{more}"
    if any(map(is_image_name, missing.header.names)):
        return (
            f"{file} starts with a row of values: write a header before it, such as "
            "filename,xmin,ymin,xmax,ymax,class in the order of its columns."
        )
    absent = [(role, context.columns[role]) for role in missing.roles if role in context.columns]
    if absent:
        role, column = absent[0]
        return f"{start}, and no {column!r}: correct --columns {role}={column}."
    roles = missing.roles
    if "xmin" in roles:
        four = next((c for c in missing.header.names if tables.plain(c) in _FOUR), None)
        if four is not None:
            return (
                f"{start}: state what the numbers of {four!r} are, --columns corners={four} for "
                f"xmin, ymin, xmax, ymax, or --columns corner_size={four} for x, y, width, height."
            )
    what = " and ".join(_MEANINGS[role] for role in roles[:2]) + (
        " and others" if len(roles) > 2 else ""
    )
    wanted = ",".join(f"{role}=COLUMN" for role in roles)
    only = roles == ("class",)
    class_hint = ", or give --label_map FILE with the only class of all objects" if only else ""
    name = "name that of" if len(roles) == 1 else "name those of"
    return f"{start}: {name} {what} with --columns {wanted}{class_hint}."


def _readings(path: Path, context: Context) -> Iterator[Columns | Missing]:
    """What the columns are, by each delimiter that may be the table's."""
    for header in tables.headers(path):
        if not set(header.columns) >= _OPEN_IMAGES or context.columns:
            yield _resolved(header, context)


def _resolved(header: Header, context: Context) -> Columns | Missing:
    given = {role: tables.plain(column) for role, column in context.columns.items()}
    used: set[str] = set(given.values())

    def pick(role: str, taken: set[str]) -> str | None:
        """The column of a role: the one named, or else the first of its usual names."""
        if role in given:
            return given[role] if given[role] in header.columns else None
        names = (name for name in _NAMES[role] if name in header.columns and name not in taken)
        return next(names, None)

    image = pick("image", used)
    used |= {image} if image else set()
    label = pick("class", used)
    used |= {label} if label else set()
    shape, box = _box(given, used, pick)
    used |= {column for column in box if column}
    one_class = "class" not in given and len(context.label_map or ()) == 1
    missing = [role for role, column in zip(shape.value, box, strict=True) if column is None]
    missing = [*(("image",) if image is None else ()), *missing]
    if label is None and not one_class:
        missing.insert(image is None, "class")
    optional = {role: pick(role, used) for role in ("image_width", "image_height", "score")}
    missing += [role for role, column in optional.items() if role in given and column is None]
    if missing or image is None:
        return Missing(header, tuple(missing))
    index = {column: number for number, column in reversed(list(enumerate(header.columns)))}
    width, height = optional["image_width"], optional["image_height"]
    return Columns(
        header,
        index[image],
        None if label is None else index[label],
        shape,
        tuple(index[column] for column in box if column),
        (index[width], index[height]) if width and height else None,
        index[optional["score"]] if optional["score"] else None,
        {flag: index[column] for column, flag in FLAGS.items() if column in index},
    )


def _box(
    given: Mapping[str, str], used: set[str], pick: Callable[[str, set[str]], str | None]
) -> tuple[Shape, list[str | None]]:
    """The shape of which the table has all columns, or else the first that columns were named for.

    Its columns are returned with it, in the order of the shape's roles; None for a missing one.
    """
    found: dict[Shape, list[str | None]] = {}
    for shape in Shape:
        taken = set(used)
        columns: list[str | None] = []
        for role in shape.value:
            column = pick(role, taken)
            taken |= {column} if column else set()
            columns.append(column)
        found[shape] = columns
    named = [shape for shape in Shape if set(shape.value) & given.keys()]
    order = [*(sorted(named, key=lambda s: -len(set(s.value) & given.keys()))), *Shape]
    best = next((shape for shape in order if all(found[shape])), order[0])
    if named and not set(best.value) & given.keys():
        best = order[0]
    return best, found[best]
