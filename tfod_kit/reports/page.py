"""The HTML page of a run, in one file that needs no network."""

import platform
import time
from collections.abc import Callable, Iterable, Mapping

from tfod_kit import __version__, pipeline_config
from tfod_kit.drawing import plots
from tfod_kit.drawing.html_page import Page
from tfod_kit.evaluation.metrics import CHARTED, is_by_category, short_name
from tfod_kit.io import hardware
from tfod_kit.reports import RunData
from tfod_kit.reports.charts import CHARTS
from tfod_kit.runs import results

_TRAINING = ("loss", "learning_rate", "map", "speed")
_QUALITY = ("classes", "pr", "f1", "calibration")
_TASKS: Mapping[str, Callable[[results.ClassMetrics], float]] = {
    "mask AP@.50": lambda row: row.mask_ap50,
    "mask AP": lambda row: row.mask_ap,
    "keypoint AP@.50": lambda row: row.keypoint_ap50,
    "keypoint AP": lambda row: row.keypoint_ap,
}
_GIB = 2**30


def html(run: RunData) -> str:
    """The page as HTML."""
    page = Page(f"Training run: {run.name}", _subtitle(run))
    _tiles(page, run)
    _training(page, run)
    _evaluation(page, run)
    _errors(page, run)
    _images(page, run)
    _data(page, run)
    _environment(page, run)
    return page.html(f"Written by tfod_kit {__version__}, tfod report.")


def _subtitle(run: RunData) -> str:
    parts = [str(run.folder)]
    if run.record is not None and run.record.starts:
        parts.append(f"last started {_when(run.record.starts[-1].time)}")
        parts.append(run.record.ended or "in progress, or killed")
    return " · ".join(parts)


def _tiles(page: Page, run: RunData) -> None:
    tiles = {}
    points = run.history.train
    if points:
        tiles["steps"] = f"{points[-1].step:,}"
        if "Loss/total_loss" in points[-1].losses:
            tiles["last loss"] = f"{points[-1].losses['Loss/total_loss']:.4g}"
    found = run.results
    if found is not None:
        for name, value in _headline(found).items():
            tiles[f"{name} ({_title(found)})"] = value
        if found.best.f1 != results.NOT_MEASURED:
            tiles[f"best F1, at score {found.best.threshold:.2f}"] = f"{found.best.f1:.3f}"
    if run.best is not None:
        short = run.best.metric.rpartition("/")[2]
        tiles[f"best {short} in training, step {run.best.step:,}"] = f"{run.best.value:.3f}"
    skipped = points[-1].skipped_records if points else 0
    if skipped:
        tiles["bad records skipped"] = f"{skipped:,}"
    page.tiles(tiles, warn=["bad records skipped"])


def _headline(found: results.Results) -> dict[str, str]:
    """The charted metrics of each output that was measured."""
    values = {name: found.metrics.get(name, results.NOT_MEASURED) for name in CHARTED}
    return {
        short_name(name): f"{value:.3f}"
        for name, value in values.items()
        if value != results.NOT_MEASURED
    }


def _training(page: Page, run: RunData) -> None:
    charts = _charts(run, _TRAINING)
    if charts:
        page.heading("Training")
        page.charts(charts)
        page.text("Faint lines are the points, strong lines their moving average.", faint=True)


def _evaluation(page: Page, run: RunData) -> None:
    found = run.results
    if found is None:
        page.heading("Evaluation")
        page.text(f"Not measured yet: tfod evaluate {run.folder}")
        return
    page.heading("Evaluation")
    documents = [found, *(one for one in run.evaluations.values() if one is not found)]
    names = [
        name
        for name in dict.fromkeys(name for document in documents for name in document.metrics)
        if not is_by_category(name)  # those are in the table of classes
    ]
    page.table(
        ["", *map(_title, documents)],
        [
            ["images", *(f"{document.images:,}" for document in documents)],
            ["detections", *(f"{document.detections:,}" for document in documents)],
            *(
                [
                    short_name(name),
                    *(_figure(d.metrics.get(name, results.NOT_MEASURED)) for d in documents),
                ]
                for name in names
            ),
        ],
    )
    page.text("n/a: there is no ground truth of that class or size.", faint=True)
    for document in documents:
        if len(documents) > 1:
            page.text(
                f"Classes and curves on {document.split}"
                if document is found
                else f"Classes on {document.split}"
            )
        _class_table(page, document)
        for reason in (*document.notes, *document.not_measured):
            page.text(reason, faint=True)
        if document is found:
            page.charts(_charts(run, _QUALITY))


def _title(document: results.Results) -> str:
    return document.split + ("" if document.step is None else f", step {document.step:,}")


def _class_table(page: Page, found: results.Results) -> None:
    tasks = {
        title: value
        for title, value in _TASKS.items()
        if any(value(row) != results.NOT_MEASURED for row in found.classes.values())
    }
    head = ["class", "objects", "AP@.50", "AP@.50:.95", "small", "medium", "large", *tasks,
            "recall", "best threshold", "precision there", "recall there"]  # fmt: skip
    rows = [
        [
            name,
            f"{row.ground_truth:,}",
            *map(_figure, (row.ap50, row.ap, row.ap_small, row.ap_medium, row.ap_large)),
            *(_figure(value(row)) for value in tasks.values()),
            *map(_figure, (row.recall, row.best.threshold, row.best.precision, row.best.recall)),
        ]
        for name, row in found.classes.items()
    ]
    page.table(head, rows)


def _errors(page: Page, run: RunData) -> None:
    found = run.results
    if found is None or not found.errors:
        return
    page.heading("What goes wrong")
    rows = [
        [name, f"{found.errors[name].count:,}", f"{100 * found.errors[name].loss:.1f}", meaning]
        for name, meaning in results.ERROR_TYPES.items()
        if name in found.errors
    ]
    page.table(["error", "count", "points of mAP it costs", "meaning"], rows, text=True)
    page.charts(_charts(run, ("errors", "confusion")))
    page.text(
        "Types as in TIDE (Bolya et al., 2020): the cost is what mAP would gain if only errors of "
        "that type were fixed.",
        faint=True,
    )


def _images(page: Page, run: RunData) -> None:
    """The drawn images of the evaluation that is shown, or of another if it has none."""
    if run.results is None:
        return
    documents = [run.results, *run.evaluations.values()]
    for found in documents:
        worst, samples = _drawn(run, found.worst), _drawn(run, found.samples)
        if not worst and not samples:
            continue
        sides = "Ground truth is on the left, detections with scores of "
        sides += f"{found.confusion.threshold:.2f} or more are on the right; right ones are green, "
        sides += "missed objects and false detections are red."
        if samples:
            page.heading(f"Detections, right and wrong ({_title(found)})")
            page.text(
                "A sample at equal distances in the order of errors, without the worst. " + sides
            )
            page.images(samples, wide=True)
        if worst:
            page.heading(f"The images with the most errors ({_title(found)})")
            page.text(sides)
            page.images(worst, wide=True)
        return
    page.heading("Detections, right and wrong")
    page.text(f"No images are drawn during training. To draw some: tfod evaluate {run.folder}")


def _drawn(run: RunData, images: Iterable[results.ImageErrors]) -> list[tuple[bytes, str]]:
    """The drawn images as bytes, each with its caption."""
    drawn = []
    for image in images:
        path = run.eval_folder / image.drawn
        # A path in a document must not lead out of its folder.
        inside = path.resolve().is_relative_to(run.eval_folder.resolve())
        if image.drawn and inside and path.is_file():
            caption = f"{image.file or image.source_id}: {image.found:,} found, "
            caption += f"{image.missed:,} missed, {image.false:,} false"
            drawn.append((path.read_bytes(), caption))
    return drawn


def _data(page: Page, run: RunData) -> None:
    splits = run.data.splits
    if not splits:
        return
    page.heading("Data set")
    names = list(splits)
    rows = [
        ["images", *(f"{splits[name].images:,}" for name in names)],
        ["without objects", *(f"{splits[name].negatives:,}" for name in names)],
        ["objects", *(f"{splits[name].objects:,}" for name in names)],
    ]
    page.table(["", *names], rows)
    counts = {name: splits[name].classes for name in names}
    if any(counts.values()):
        page.charts([plots.svg(plots.bars(counts, title="Objects of each class", unit="objects"))])
    findings = run.data.findings
    if findings:
        page.table(
            ["count", "repaired or left out by tfod convert"],
            [[f"{one.count:,}", one.text] for one in findings.values()],
            text=True,
        )


def _environment(page: Page, run: RunData) -> None:
    page.heading("Environment")
    memory = hardware.memory()
    rows = [
        ["this machine", f"{platform.system()} {platform.machine()}, {hardware.cores()} cores"
         + (f", {memory / _GIB:.0f} GiB" if memory else "")],
        ["Python", platform.python_version()],
    ]  # fmt: skip
    starts = run.record.starts if run.record is not None else ()
    if starts:
        rows += [[name, version] for name, version in starts[-1].versions.items()]
        rows.append(["seed", "random" if starts[-1].seed is None else str(starts[-1].seed)])
    page.table(["", ""], rows, text=True)
    if starts:
        page.table(
            ["started", "at step", "command"],
            [[_when(one.time), f"{one.step:,}", "tfod " + " ".join(one.command)] for one in starts],
            text=True,
        )
    if run.config:
        page.details(pipeline_config.FILE_NAME, run.config)


def _charts(run: RunData, names: tuple[str, ...]) -> list[str]:
    drawn = [CHARTS[name].draw([run]) for name in names]
    return [plots.svg(figure) for figure in drawn if figure is not None]


def _figure(value: float) -> str:
    return "n/a" if value == results.NOT_MEASURED else f"{value:.3f}"


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
