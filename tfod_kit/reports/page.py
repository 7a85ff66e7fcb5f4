"""The page of a run: all that is known of it, in one file that needs no network."""

import platform
import time
from collections.abc import Callable, Iterable, Mapping

from tfod_kit import __version__, pipeline_config
from tfod_kit.drawing import plots
from tfod_kit.drawing.html_page import Page
from tfod_kit.io import hardware
from tfod_kit.reports import RunData, short_name
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
_BY_CLASS = " ByCategory/"
_GIB = 2**30


def html(run: RunData) -> str:
    """The page."""
    page = Page(f"Training run: {run.name}", _under(run))
    _tiles(page, run)
    _training(page, run)
    _evaluation(page, run)
    _errors(page, run)
    _pictures(page, run)
    _data(page, run)
    _environment(page, run)
    return page.html(f"Written by tfod_kit {__version__}, tfod report.")


def _under(run: RunData) -> str:
    told = [str(run.folder)]
    if run.record is not None and run.record.starts:
        told.append(f"last started {_when(run.record.starts[-1].time)}")
        told.append(run.record.ended or "under way, or killed")
    return " · ".join(told)


def _tiles(page: Page, run: RunData) -> None:
    tiles = {}
    points = run.history.train
    if points:
        tiles["steps"] = f"{points[-1].step:,}"
        if "Loss/total_loss" in points[-1].losses:
            tiles["last loss"] = f"{points[-1].losses['Loss/total_loss']:.4g}"
    found = run.results
    if found is not None:
        for name, told in _headline(found).items():
            tiles[f"{name} ({_title(found)})"] = told
        if found.best.f1 != results.NOT_MEASURED:
            tiles[f"best F1, at score {found.best.threshold:.2f}"] = f"{found.best.f1:.3f}"
    if run.best is not None:
        short = run.best.metric.rpartition("/")[2]
        tiles[f"best {short} in training, step {run.best.step:,}"] = f"{run.best.value:.3f}"
    skipped = points[-1].skipped_records if points else 0
    if skipped:
        tiles["bad records passed over"] = f"{skipped:,}"
    page.tiles(tiles, warn=["bad records passed over"])


def _headline(found: results.Results) -> dict[str, str]:
    """mAP and mAP@.50 of each task that was measured."""
    chosen = {}
    for name, value in found.metrics.items():
        short = name.rpartition("/")[2]
        if short in ("mAP", "mAP@.50IOU") and value != results.NOT_MEASURED:
            chosen[short_name(name)] = f"{value:.3f}"
    return chosen


def _training(page: Page, run: RunData) -> None:
    charts = _charts(run, _TRAINING)
    if charts:
        page.heading("Training")
        page.charts(charts)
        page.text("Faint lines are the points themselves, strong ones their mean.", faint=True)


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
        if _BY_CLASS not in name  # those stand in the classes' table
    ]
    page.table(
        ["", *map(_title, documents)],
        [
            ["pictures", *(f"{document.images:,}" for document in documents)],
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
    page.text("n/a: there is no ground truth of that class or size to measure on.", faint=True)
    for document in documents:
        if len(documents) > 1:
            page.text(
                f"Classes and curves on {document.split}"
                if document is found
                else f"Classes on {document.split}"
            )
        _class_table(page, document)
        for told in document.not_measured:
            page.text(told, faint=True)
        if document is found:
            page.charts(_charts(run, _QUALITY))


def _title(document: results.Results) -> str:
    return document.split + ("" if document.step is None else f", step {document.step:,}")


def _class_table(page: Page, found: results.Results) -> None:
    tasks = {
        told: value
        for told, value in _TASKS.items()
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
        [name, f"{found.errors[name].count:,}", f"{100 * found.errors[name].loss:.1f}", told]
        for name, told in results.ERROR_TYPES.items()
        if name in found.errors
    ]
    page.table(["error", "how many", "points of mAP it costs", "that is"], rows, text=True)
    page.charts(_charts(run, ("errors", "confusion")))
    page.text(
        "Types as in TIDE (Bolya and others, 2020): a point of mAP is what would be won without "
        "that error, one type at a time.",
        faint=True,
    )


def _pictures(page: Page, run: RunData) -> None:
    """Those of the evaluation that is shown; of another where that has none."""
    if run.results is None:
        return
    documents = [run.results, *run.evaluations.values()]
    for found in documents:
        worst, samples = _drawn(run, found.worst), _drawn(run, found.samples)
        if not worst and not samples:
            continue
        sides = "Ground truth at the left, detections with scores of "
        sides += f"{found.confusion.threshold:.2f} or more at the right; right ones in green, "
        sides += "what was missed or is false in red."
        if samples:
            page.heading(f"Detections, right and wrong ({_title(found)})")
            page.text("Taken evenly from the fewest errors on, the worst apart. " + sides)
            page.images(samples, wide=True)
        if worst:
            page.heading(f"The pictures with the most errors ({_title(found)})")
            page.text(sides)
            page.images(worst, wide=True)
        return
    page.heading("Detections, right and wrong")
    page.text(f"No pictures were drawn in training. For some: tfod evaluate {run.folder}")


def _drawn(run: RunData, images: Iterable[results.ImageErrors]) -> list[tuple[bytes, str]]:
    """The pictures that were drawn, as bytes, each with what happened in it."""
    pictures = []
    for image in images:
        path = run.eval_folder / image.drawn
        # A document's own name for a file never leads out of its folder.
        inside = path.resolve().is_relative_to(run.eval_folder.resolve())
        if image.drawn and inside and path.is_file():
            told = f"{image.file or image.source_id}: {image.found:,} found, "
            told += f"{image.missed:,} missed, {image.false:,} false"
            pictures.append((path.read_bytes(), told))
    return pictures


def _data(page: Page, run: RunData) -> None:
    splits = run.data.get("splits", {})
    if not splits:
        return
    page.heading("Data set")
    names = list(splits)
    rows = [
        [what, *(f"{splits[name].get(key, 0):,}" for name in names)]
        for what, key in (
            ("images", "images"),
            ("without objects", "negatives"),
            ("objects", "objects"),
        )
    ]
    page.table(["", *names], rows)
    counts = {name: splits[name].get("classes", {}) for name in names}
    if any(counts.values()):
        page.charts([plots.svg(plots.bars(counts, title="Objects of each class", unit="objects"))])
    findings = run.data.get("findings", {})
    if findings:
        page.table(
            ["count", "what convert repaired or left out"],
            [[f"{one.get('count', 0):,}", str(one.get("text", ""))] for one in findings.values()],
            text=True,
        )


def _environment(page: Page, run: RunData) -> None:
    page.heading("How it was made")
    memory = hardware.memory()
    rows = [
        ["this machine", f"{platform.system()} {platform.machine()}, {hardware.cores()} cores"
         + (f", {memory / _GIB:.0f} GiB" if memory else "")],
        ["Python", platform.python_version()],
    ]  # fmt: skip
    starts = run.record.starts if run.record is not None else ()
    if starts:
        rows += [[name, version] for name, version in starts[-1].versions.items()]
        rows.append(["seed", "drawn by lot" if starts[-1].seed is None else str(starts[-1].seed)])
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
