"""Metrics other than COCO's, which upstream's own evaluators measure.

To add a protocol, write a module with a `PROTOCOL` and add its line to `PROTOCOLS`.
"""

import math
from collections.abc import Mapping

from tfod_kit.evaluation.protocols import lvis, open_images, voc2007, voc2010
from tfod_kit.evaluation.protocols.upstream import Protocol
from tfod_kit.evaluation.tables import Tables
from tfod_kit.runs.results import NOT_MEASURED

__all__ = ["PROTOCOLS", "Protocol", "measure"]

PROTOCOLS: Mapping[str, Protocol] = {
    "voc2007": voc2007.PROTOCOL,
    "voc2010": voc2010.PROTOCOL,
    "open_images": open_images.PROTOCOL,
    "lvis": lvis.PROTOCOL,
}


def measure(name: str, tables: Tables) -> dict[str, float]:
    """The metrics of one of PROTOCOLS by upstream's names; -1 for a class without ground truth."""
    values = PROTOCOLS[name].measure(tables)
    return {
        metric: NOT_MEASURED if math.isnan(value) else value for metric, value in values.items()
    }
