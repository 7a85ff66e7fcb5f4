"""`tfod inspect` and `tfod_kit.inspect`: what is in a data set or in records."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.doors import arguments, shared, values
from tfod_kit.doors.arguments import StrPath, local_path, option
from tfod_kit.drawing import notebook
from tfod_kit.errors import UsageError
from tfod_kit.formats import csv
from tfod_kit.formats.common.findings import ON_ERROR

if TYPE_CHECKING:
    from tfod_kit.inspection import DuplicateGroup, Inspection

_CLASSES_SHOWN = 20
_SHOWN = 3
_NAME = 32  # characters of a class name in a table

PAGE, SHEET, FIGURES = "index.html", "samples.png", "figures.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectArguments(shared.SourceArguments):
    """The arguments of `tfod inspect`; each is explained by its help."""

    config: Path | None = option(
        None,
        "a pipeline.config: compare its anchors with the boxes",
        parse=local_path,
        metavar="FILE",
    )
    out: Path | None = option(
        None, f"write {PAGE}, {SHEET} and {FIGURES} there", parse=local_path, metavar="DIR"
    )
    json: bool = option(False, "print all figures as JSON")
    near: bool | None = option(
        None,
        "look for images that look the same; on unless the set is large",
        negatable=True,
    )
    samples: int = option(24, "images to draw", parse=values.count, metavar="N")
    seed: int = option(0, "chooses the images", parse=values.whole)
    on_error: str = option(
        "skip",
        "skip: count what convert would stop at; fix, fail: stop as it does",
        choices=ON_ERROR,
    )


@dataclass(frozen=True, slots=True)
class Inspected:
    """The result of an inspection.

    Attributes:
      inspection: the figures and the arrays behind them.
      path: the folder with the page, the samples and the figures; None if none was asked for.
      samples: the number of images that are drawn.
      seed: chooses them.
    """

    inspection: "Inspection"
    path: Path | None = None
    samples: int = field(default=24, repr=False)
    seed: int = field(default=0, repr=False)

    def __str__(self) -> str:
        if self.path is None:
            return _summary(self.inspection)
        from tfod_kit.drawing import plots

        missing = "" if plots.available() else f"\n{plots.MISSING}"
        return f"{_summary(self.inspection)}\n\nOpen {self.path / PAGE}{missing}"

    __repr__ = __str__

    def as_json(self) -> str:
        """All figures as JSON."""
        return json.dumps(self.inspection.as_dict(), indent=2, ensure_ascii=False)

    def _repr_html_(self) -> str:
        from tfod_kit.inspection import sheet

        measured = self.inspection.measured
        drawn = sheet.sheet(measured, sheet.choose(measured, self.samples, self.seed))
        return notebook.page(
            [
                notebook.text(str(self)),
                notebook.photo(drawn, "images of the data set, with boxes", 1200),
            ]
        )


def inspect(*source: StrPath, **options: object) -> Inspected:
    """Reports what is in a data set or in records: counts, sizes, balance, duplicates, leaks.

    Args:
      source: the data set's folder or annotation file, or a folder of records.
      options: those of `tfod inspect`, such as out="look" or config="work/run".

    Raises:
      UsageError: an option is unknown or invalid.
      DataError: the data set cannot be read.
    """
    return run(arguments.build("inspect", InspectArguments, {"source": source, **options}))


def run(arguments: InspectArguments) -> Inspected:
    """Inspects as `tfod inspect` with these arguments does."""
    from tfod_kit import inspection, pipeline_config
    from tfod_kit.conversion import load_label_map
    from tfod_kit.datasets import LoadOptions
    from tfod_kit.io import hardware

    if arguments.out is not None:
        _check_out(arguments.out, arguments.source)
    config = arguments.config
    label_map = arguments.label_map
    options = LoadOptions(
        format=arguments.format,
        images_folder=arguments.images,
        label_map=None if label_map is None else load_label_map(label_map),
        selection=shared.selection(arguments),
        origin=arguments.origin,
        workers=hardware.cores(),
        follow_links=arguments.follow_links,
        columns=csv.parse_columns(arguments.columns),
        obb=arguments.obb,
    )
    found = inspection.inspect(
        arguments.source,
        options,
        on_error=arguments.on_error,
        config=pipeline_config.load(shared.config_path(config)) if config else None,
        near=arguments.near,
    )
    if arguments.out is not None:
        _write(found, arguments.out, arguments.samples, arguments.seed)
    return Inspected(found, arguments.out, arguments.samples, arguments.seed)


def _summary(found: "Inspection") -> str:
    """The figures in a screen or two."""
    lines = [
        shared.read_as(found.format, found.known_by),
        "",
        *_counts(found),
        "",
        *_boxes(found),
        "",
        *_images(found),
    ]
    if found.details:
        lines.append(
            "Objects with: " + ", ".join(f"{name} {n:,}" for name, n in found.details.items())
        )
    lines += ["", *_anchors(found), *_suspicious(found), *_doubles(found)]
    lines += shared.finding_lines(found.findings)
    return "\n".join(lines).rstrip()


def _counts(found: "Inspection") -> list[str]:
    splits = found.splits
    rows = [["", *splits], ["images", *(f"{split.images:,}" for split in splits.values())]]
    rows.append(["  without objects", *(f"{split.negatives:,}" for split in splits.values())])
    rows.append(["objects", *(f"{split.objects:,}" for split in splits.values())])
    totals = {name: sum(s.classes[name] for s in splits.values()) for name in found.label_map}
    shown = [name for name, total in totals.items() if total]
    for name in shown[:_CLASSES_SHOWN]:
        cells = [
            f"{split.classes[name]:,} {split.classes[name] / max(split.objects, 1):>4.0%}"
            for split in splits.values()
        ]
        rows.append([f"  {_cut(name)}", *cells])
    per_image = [
        f"{s.objects_per_image.mean:.1f} (to {s.objects_per_image.high:.0f})"
        for s in splits.values()
    ]
    rows.append(["objects an image", *per_image])
    lines = _aligned(rows)
    if len(shown) > _CLASSES_SHOWN:
        lines.append(f"  and {len(shown) - _CLASSES_SHOWN} classes more; --json has all")
    if len(totals) > len(shown):
        lines.append(f"  {len(totals) - len(shown)} classes of the label map without objects")
    return lines


def _boxes(found: "Inspection") -> list[str]:
    rows = [
        ["boxes, median", "width", "height", "wide/high", "of image", "small", "medium", "large"]
    ]
    for name, box in list(found.boxes.items())[: _CLASSES_SHOWN + 1]:
        bands = (box.small, box.medium, box.large)
        rows.append(
            [
                f"  {_cut(name)}" if name else "all",
                f"{box.width.median:.0f} px",
                f"{box.height.median:.0f} px",
                f"{box.aspect.median:.2f}",
                f"{box.share.median:.1%}",
                *(f"{number / max(box.boxes, 1):.0%}" for number in bands),
            ]
        )
    return [*_aligned(rows), "  small: under 32² px, large: from 96² px on, as COCO counts"]


def _images(found: "Inspection") -> list[str]:
    sizes = found.sizes
    common = ", ".join(f"{size} ({n:,})" for size, n in list(sizes.commonest.items())[:4])
    more = f", and {sizes.different - 4:,} sizes more" if sizes.different > 4 else ""
    low, high = f"{sizes.aspect.low:.2f}", f"{sizes.aspect.high:.2f}"
    shape = f"width/height {low}" if low == high else f"width/height {low} to {high}"
    return [f"Image sizes: {common}{more}; {shape}"]


def _anchors(found: "Inspection") -> list[str]:
    fit = found.anchors
    if fit is None:
        return []
    if not fit.anchors:
        return ["The config's model has no anchors.", ""]
    worst = sorted(fit.by_class.items(), key=lambda pair: -pair[1])[:_SHOWN]
    return [
        f"Anchors: {fit.anchors:,} at {fit.input}; {fit.unmatched:,} of {fit.boxes:,} boxes "
        f"({fit.unmatched / max(fit.boxes, 1):.1%}) have none of IoU 0.5 or more.",
        f"  most by class: {', '.join(f'{name} {share:.0%}' for name, share in worst)}",
        f"  boxes' shorter side at the input: median {fit.shorter_side[1]:.0f} px, "
        f"5% under {fit.shorter_side[0]:.0f} px",
        "",
    ]


def _suspicious(found: "Inspection") -> list[str]:
    from tfod_kit.inspection.measure import shown

    lines = []
    for kind, suspicion in found.suspicious.items():
        first = suspicion.examples[0]
        corners = ", ".join(f"{value:g}" for value in first.pixels)
        lines.append(f"  {suspicion.count:>7,}  {suspicion.text} [{kind}]")
        lines.append(
            f"           such as {shown(first.image, first.file)}: {first.label} at {corners} px"
        )
    return ["Suspicious:", *lines, ""] if lines else []


def _doubles(found: "Inspection") -> list[str]:
    lines = []
    for doubles, what in (
        (found.same_bytes, "groups of images of the very same bytes"),
        (found.look_alike or (), "pairs of images that look the same"),
    ):
        if doubles:
            leaks = sum(double.leak for double in doubles)
            known = f", {leaks:,} of them in several splits: LEAKS" if leaks else ""
            lines.append(f"  {len(doubles):>7,}  {what}{known}")
            lines += [f"           such as {_members(double)}" for double in doubles[:1]]
    if found.look_alike is None:
        lines.append("  Pictures that merely look the same were not looked for; --near does.")
    return [*lines, ""] if lines else []


def _members(double: "DuplicateGroup") -> str:
    from tfod_kit.inspection.measure import shown

    images = [shown(*pair) for pair in zip(double.images, double.files, strict=True)]
    pairs = list(zip(images, double.splits, strict=True))
    known = ", ".join(
        image if split == "all" else f"{image} ({split})" for image, split in pairs[:4]
    )
    return known + (f" and {len(pairs) - 4} more" if len(pairs) > 4 else "")


def _cut(name: str) -> str:
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"


def _aligned(rows: list[list[str]]) -> list[str]:
    first = max(len(row[0]) for row in rows)
    widths = [max(10, *(len(row[place]) + 2 for row in rows)) for place in range(1, len(rows[0]))]
    return [
        row[0].ljust(first)
        + "".join(cell.rjust(width) for cell, width in zip(row[1:], widths, strict=True))
        for row in rows
    ]


def _check_out(out: Path, sources: tuple[Path, ...]) -> None:
    """Refuses to replace a folder that holds anything an inspection did not write."""
    ours = {PAGE, SHEET, FIGURES}
    held = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if held - ours or any(source.resolve() == out.resolve() for source in sources):
        raise UsageError(
            "The output folder holds other things, which would be lost.",
            where=out,
            found=", ".join(sorted(held - ours)[:5]) or "the data set",
            fix="Name another --out, or empty the folder.",
        )


def _write(found: "Inspection", out: Path, samples: int, seed: int) -> None:
    from tfod_kit.inspection import page, sheet
    from tfod_kit.io import files

    chosen = sheet.choose(found.measured, samples, seed)
    with files.atomic_folder(out) as folder:
        files.write_text(folder / PAGE, page.html(found, chosen))
        files.write_bytes(folder / SHEET, sheet.sheet(found.measured, chosen))
        text = json.dumps(found.as_dict(), indent=2, ensure_ascii=False)
        files.write_text(folder / FIGURES, text)
