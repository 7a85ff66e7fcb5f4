"""The check `source_ids`: image/source_id is present and unique, since evaluation joins by it."""

from tfod_kit.checks.base import Check, CheckContext
from tfod_kit.checks.findings import EXAMPLES, CheckFindings
from tfod_kit.checks.scanning.facts import SplitFacts
from tfod_kit.checks.targets import TRAIN

_CONVERT = "Convert the data set again with `tfod convert`"


def check_source_ids(context: CheckContext, findings: CheckFindings) -> None:
    """Errors in splits that are evaluated, warnings in those that are only trained on."""
    for split, facts in context.scanned():
        _check_split(facts, findings, evaluated=TRAIN not in split.name)


def _check_split(facts: SplitFacts, findings: CheckFindings, *, evaluated: bool) -> None:
    add = findings.error if evaluated else findings.warning
    missing = [record for record, source in enumerate(facts.source_ids) if not source]
    if missing:
        add(
            "source_id_missing",
            "Records have no image/source_id: evaluation takes all of them for one image.",
            *(facts.location(record) for record in missing[:EXAMPLES]),
            fix=f"{_CONVERT}.",
            count=len(missing),
        )
    first: dict[str, int] = {}
    repeated = []
    for record, source in enumerate(facts.source_ids):
        if source and first.setdefault(source, record) != record:
            repeated.append((record, source))
    if repeated:
        add(
            "source_id_repeated",
            "Records of one split share an image/source_id: evaluation counts them as one image "
            "('Image with id ... already added').",
            *(
                facts.location(record, f"{source!r}, as {facts.location(first[source])}")
                for record, source in repeated[:EXAMPLES]
            ),
            fix=f"{_CONVERT}: it makes them unique.",
            count=len(repeated),
        )


CHECK = Check(
    name="source_ids",
    covers="the ids that evaluation joins images by",
    codes=("source_id_missing", "source_id_repeated"),
    run=check_source_ids,
)
