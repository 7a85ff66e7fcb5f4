"""The HTML page of an inspection: figures, charts and drawn images, in one file."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tfod_kit import __version__
from tfod_kit.drawing import plots
from tfod_kit.drawing.html_page import Page
from tfod_kit.formats import FORMATS
from tfod_kit.inspection import DuplicateGroup, Inspection, sheet
from tfod_kit.inspection.fit import MATCHED_IOU, Fit
from tfod_kit.inspection.suspicious import Suspicion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CLASSES_DRAWN = 40  # in a chart of bars
_DUPLICATES_DRAWN = 8
_SUSPICIONS_DRAWN = 6  # for each code
_SAME = "with identical bytes"


def html(inspection: Inspection, samples: Sequence[int]) -> str:
    """Writes the page as HTML.

    Args:
      inspection: the figures.
      samples: the indices of the images to draw.
    """
    names = ", ".join(inspection.sources)
    titles = " and ".join(FORMATS[name].title for name in inspection.format.split("+"))
    subtitle = f"Read as {titles}. Sizes are in px of the images as convert stores them."
    page = Page(f"What is in {names}", subtitle)
    if not plots.available():
        page.text(plots.MISSING, faint=True)
    _tiles(page, inspection)
    _classes(page, inspection)
    _boxes(page, inspection)
    _images(page, inspection)
    _anchors(page, inspection)
    page.heading("Samples")
    measured = inspection.measured
    page.images([(sheet.single(measured, each), sheet.caption(measured, each)) for each in samples])
    _suspicious(page, inspection)
    _duplicates(page, inspection)
    _findings(page, inspection)
    return page.html(f"Written by tfod_kit {__version__}, tfod inspect.")


def _tiles(page: Page, inspection: Inspection) -> None:
    negatives = sum(split.negatives for split in inspection.splits.values())
    shown = {name for s in inspection.splits.values() for name, n in s.classes.items() if n}
    duplicates = [*inspection.same_bytes, *(inspection.look_alike or ())]
    suspicious = sum(each.count for each in inspection.suspicious.values())
    tiles = {
        "images": inspection.images,
        "objects": inspection.objects,
        "classes with objects": len(shown),
        "images without objects": negatives,
        "duplicates": len(duplicates),
        "leaks between splits": len(inspection.leaks),
        "suspicious boxes": suspicious,
    }
    page.tiles(
        {name: f"{value:,}" for name, value in tiles.items()},
        warn=["leaks between splits"] * bool(inspection.leaks)
        + ["suspicious boxes"] * bool(suspicious),
    )


def _classes(page: Page, inspection: Inspection) -> None:
    page.heading("Classes and splits")
    splits = inspection.splits
    head = ["", *(f"{name} {what}" for name in splits for what in ("objects", "images"))]
    rows = [
        ["all", *(f"{n:,}" for split in splits.values() for n in (split.objects, split.images))]
    ]
    rows += [
        [
            label,
            *(
                f"{n:,}"
                for split in splits.values()
                for n in (split.classes[label], split.images_with[label])
            ),
        ]
        for label in inspection.label_map
    ]
    negatives = [f"{split.negatives:,}" for split in splits.values()]
    rows.append(["without objects", *(cell for n in negatives for cell in ("", n))])
    page.table(head, rows)
    _charts(page, _class_charts, inspection)


def _class_charts(inspection: Inspection) -> list["Figure"]:
    splits = inspection.splits
    classes = _most_frequent(inspection)
    share = {
        name: {label: split.classes[label] / max(split.objects, 1) * 100 for label in classes}
        for name, split in splits.items()
    }
    counts = {name: {label: split.classes[label] for label in classes} for name, split in
              splits.items()}  # fmt: skip
    values = [n for split in counts.values() for n in split.values() if n]
    wide = bool(values) and max(values) > 100 * min(values)
    few = len(classes) < len(inspection.label_map)
    title = (
        f"Objects of the {len(classes)} most frequent classes" if few else "Objects of each class"
    )
    charts = [plots.bars(counts, title=title, unit="objects", logarithmic=wide)]
    if len(splits) > 1:
        charts.append(
            plots.bars(share, title="Class balance of each split", unit="% of the split's objects")
        )
    measured = inspection.measured
    per_image = {
        name: measured.counts[measured.split == number].tolist()
        for number, name in enumerate(measured.splits)
    }
    most = max(1, *measured.counts.tolist(), 1)
    step = max(1, most // 40)
    charts.append(
        plots.histogram(
            per_image,
            title="Objects in an image",
            xlabel="objects",
            ylabel="images",
            bins=[edge - 0.5 for edge in range(0, most + step + 1, step)],
        )
    )
    return charts


def _boxes(page: Page, inspection: Inspection) -> None:
    page.heading("Box sizes")
    head = ["", "boxes", "width", "height", "share of image", "width/height",
            "small", "medium", "large"]  # fmt: skip
    rows = [
        [
            name or "all",
            f"{box.boxes:,}",
            f"{box.width.median:.0f} ({box.width.p5:.0f}–{box.width.p95:.0f})",
            f"{box.height.median:.0f} ({box.height.p5:.0f}–{box.height.p95:.0f})",
            f"{box.share.median:.2%}",
            f"{box.aspect.median:.2f}",
            *(f"{n / max(box.boxes, 1):.0%}" for n in (box.small, box.medium, box.large)),
        ]
        for name, box in inspection.boxes.items()
    ]
    page.table(head, rows)
    page.text(
        "Medians in px, and in parentheses the range of 90% of the boxes. Small is below 32² px, "
        "large is 96² px or more, as in COCO's metrics.",
        faint=True,
    )
    _charts(page, _box_charts, inspection)


def _box_charts(inspection: Inspection) -> list["Figure"]:
    measured = inspection.measured
    pixels = measured.pixels()
    size = measured.sizes[measured.owner]
    share = 100 * pixels.prod(axis=1) / size.prod(axis=1).clip(1)
    return [
        plots.density(
            pixels[:, 0].tolist(),
            pixels[:, 1].tolist(),
            title="Width and height of the boxes",
            xlabel="width, px",
            ylabel="height, px",
        ),
        plots.histogram(
            {
                name: share[(measured.split == number)[measured.owner]].tolist()
                for number, name in enumerate(measured.splits)
            },
            title="Share of the image that a box covers",
            xlabel="% of the image",
            ylabel="boxes",
            logarithmic=True,
        ),
    ]


def _images(page: Page, inspection: Inspection) -> None:
    page.heading("Image sizes")
    sizes = inspection.sizes
    rows = [[size, f"{count:,}"] for size, count in sizes.commonest.items()]
    page.table(["size", "images"], rows)
    if sizes.different > 1:
        page.text(f"{sizes.different:,} different sizes in total.", faint=True)
        _charts(page, _shape_chart, inspection)


def _shape_chart(inspection: Inspection) -> list["Figure"]:
    measured = inspection.measured
    aspect = measured.sizes[:, 0] / measured.sizes[:, 1].clip(1)
    return [
        plots.histogram(
            {"": aspect.tolist()},
            title="Shape of the images",
            xlabel="width / height",
            ylabel="images",
        )
    ]


def _anchors(page: Page, inspection: Inspection) -> None:
    fit = inspection.anchors
    if fit is None:
        return
    page.heading("Boxes against the config's anchors")
    if not fit.anchors:
        page.text("This model has no anchors.")
        return
    page.tiles(
        {
            f"anchors at {fit.input}": f"{fit.anchors:,}",
            f"boxes with no anchor of IoU {MATCHED_IOU:g}": f"{fit.unmatched / fit.boxes:.1%}"
            if fit.boxes
            else "-",
            "median of the best IoU": f"{fit.median:.2f}",
            "shorter side at the input, median px": f"{fit.shorter_side[1]:.0f}",
        },
        warn=[f"boxes with no anchor of IoU {MATCHED_IOU:g}"]
        * (fit.unmatched > 0.05 * max(fit.boxes, 1)),
    )
    _charts(page, lambda _: _anchor_charts(fit), inspection)
    page.text(
        "Boxes at the model's input, after resizing and before augmentation. To a box without such "
        "an anchor, training assigns only its best one, from which little is learned.",
        faint=True,
    )


def _anchor_charts(fit: Fit) -> list["Figure"]:
    bins = {f"{n / 10:.1f}–{(n + 1) / 10:.1f}": count for n, count in enumerate(fit.histogram)}
    misses = sorted(fit.by_class.items(), key=lambda pair: -pair[1])[:_CLASSES_DRAWN]
    return [
        plots.bars({"": bins}, title="Best IoU of each box with an anchor", unit="boxes"),
        plots.bars(
            {"": {name: 100 * value for name, value in misses}},
            title=f"Boxes with no anchor of IoU {MATCHED_IOU:g}, by class",
            unit="% of the class's boxes",
        ),
    ]


def _charts(
    page: Page, draw: Callable[[Inspection], list["Figure"]], inspection: Inspection
) -> None:
    if plots.available():
        page.charts([plots.svg(chart) for chart in draw(inspection)])


def _suspicious(page: Page, inspection: Inspection) -> None:
    if not inspection.suspicious:
        return
    page.heading("Suspicious boxes")
    rows = [[each.text, f"{each.count:,}"] for each in inspection.suspicious.values()]
    page.table(["what", "boxes"], rows)
    for each in inspection.suspicious.values():
        page.text(f"{each.count:,} {each.text}, such as:", faint=True)
        page.images(_examples(inspection, each))


def _examples(inspection: Inspection, suspicion: Suspicion) -> list[tuple[bytes, str]]:
    drawn = []
    measured = inspection.measured
    for example in suspicion.examples[:_SUSPICIONS_DRAWN]:
        item = measured.images[example.index].objects[example.object]
        corners = ", ".join(f"{value:g}" for value in example.pixels)
        caption = f"{sheet.caption(measured, example.index)}: {example.label} at {corners} px"
        drawn.append((sheet.single(measured, example.index, [item]), caption))
    return drawn


def _duplicates(page: Page, inspection: Inspection) -> None:
    page.heading("Duplicates and leaks")
    if inspection.look_alike is None:
        page.text("Images that only look the same were not searched for; --near does.")
    for duplicates, what in (
        (inspection.same_bytes, _SAME),
        (inspection.look_alike or (), "that look the same"),
    ):
        leaks = sum(group.leak for group in duplicates)
        groups = "group" if len(duplicates) == 1 else "groups"
        summary = (
            f"{len(duplicates):,} {groups} of images {what}, {leaks:,} of them in several splits."
        )
        if duplicates or what == _SAME or inspection.look_alike is not None:
            page.text(summary if duplicates else f"No images {what}.")
        for group in duplicates[:_DUPLICATES_DRAWN]:
            page.images(_members(inspection, group))


def _members(inspection: Inspection, group: DuplicateGroup) -> list[tuple[bytes, str]]:
    measured = inspection.measured
    members = dict.fromkeys(zip(group.images, group.splits, strict=True))
    indices = {(a.source_id, measured.split_of(n)): n for n, a in enumerate(measured.images)}
    chosen = [indices[member] for member in members][:4]
    return [(sheet.single(measured, each), sheet.caption(measured, each)) for each in chosen]


def _findings(page: Page, inspection: Inspection) -> None:
    if not inspection.findings:
        return
    page.heading("What convert would repair or leave out")
    rows = [
        [f"{finding['count']:,}", str(finding["text"]), str(finding["examples"][0]), code]
        for code, finding in inspection.findings.items()
    ]
    page.table(["count", "what", "such as", "code"], rows, text=True)


def _most_frequent(inspection: Inspection) -> list[str]:
    counts = {
        name: sum(split.classes[name] for split in inspection.splits.values())
        for name in inspection.label_map
    }
    return sorted(counts, key=lambda name: -counts[name])[:_CLASSES_DRAWN]
