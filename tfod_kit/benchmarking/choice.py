"""Which of several measured models to take: the Pareto fronts, and one recommendation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tfod_kit.benchmarking.figures import MEBIBYTE, ModelBenchmark
from tfod_kit.core.wording import counted

Cost = Callable[[ModelBenchmark], float]

# What a model costs, by name; the charts and the fronts of benchmark.json have the same names.
COSTS: Mapping[str, Cost] = {
    "latency": lambda row: row.latency_ms["p50"],
    "size": lambda row: row.size_bytes / MEBIBYTE,
}
_SAME = 1.05  # latencies closer than this are equal: repeated measurements differ as much


@dataclass(frozen=True, slots=True)
class Choice:
    """The recommended model.

    Attributes:
      row: its figures.
      why: the reason, as the end of a sentence.
    """

    row: ModelBenchmark
    why: str

    def __str__(self) -> str:
        return f"Take {self.row.model}: {self.why}"


def front(rows: Sequence[ModelBenchmark], cost: Cost) -> list[ModelBenchmark]:
    """The models that no other one beats in both mAP and cost, from the cheapest up.

    Rows without figures or without mAP are left out; of equal ones the first is kept.
    """
    best, kept = float("-inf"), []
    for row in sorted(_with_map(rows), key=lambda row: (cost(row), -(row.map or 0.0))):
        if row.map is not None and row.map > best:
            best = row.map
            kept.append(row)
    return kept


def choice(rows: Sequence[ModelBenchmark], map_loss: float) -> Choice | None:
    """The model to take; None if none could be measured.

    It is the fastest of those whose mAP is at most `map_loss` below the best one's, and the
    smallest of the equally fast. Without mAP it is the fastest.

    Args:
      rows: the figures of the models.
      map_loss: the mAP that the recommended model may have less than the best.
    """
    measured = [row for row in rows if not row.error]
    if not measured:
        return None
    with_map = _with_map(measured)
    good = [row for row in with_map if _map(row) >= max(map(_map, with_map)) - map_loss]
    taken = _cheapest(good or measured)
    if not with_map:
        why = f"the fastest ({_latency(taken)}); --records measures mAP, which may decide otherwise"
        return Choice(taken, why)
    best = max(with_map, key=lambda row: (_map(row), -COSTS["latency"](row)))
    return Choice(taken, _reason(taken, best, several=len(measured) > 1))


def _reason(taken: ModelBenchmark, best: ModelBenchmark, *, several: bool) -> str:
    figures = f"mAP {_map(taken):.3f}, {_latency(taken)}, {COSTS['size'](taken):,.1f} MiB"
    if not several:
        return f"{figures}; nothing else was measured"
    if taken is best:
        return f"{figures}: the best mAP, and nothing as good is faster"
    faster = COSTS["latency"](best) / COSTS["latency"](taken)
    smaller = COSTS["size"](best) / COSTS["size"](taken)
    loss = _map(best) - _map(taken)
    where = "the same mAP as" if loss < 0.0005 else f"{loss:.3f} below"
    return (
        f"{figures}: {where} the best ({best.model}), {_times(faster, 'fast', 'the time')} and "
        f"{_times(smaller, 'small', 'the size')}"
    )


def _times(ratio: float, quality: str, cost: str) -> str:
    """How a cost compares: "2.5 times as fast", or "1.2 times the size" if it is higher."""
    if ratio >= 1 / _SAME and ratio <= _SAME:
        return f"with {cost.replace('the', 'the same')}"
    return f"{ratio:.1f} times as {quality}" if ratio > 1 else f"{1 / ratio:.1f} times {cost}"


def _cheapest(rows: Sequence[ModelBenchmark]) -> ModelBenchmark:
    latency, size = COSTS["latency"], COSTS["size"]
    fastest = min(map(latency, rows))
    return min(
        (row for row in rows if latency(row) <= _SAME * fastest),
        key=lambda row: (size(row), -(row.map or 0.0)),
    )


def _latency(row: ModelBenchmark) -> str:
    cores = f" on {counted(row.threads, 'core')}" if row.threads else ""
    return f"{COSTS['latency'](row):.1f} ms an image{cores}"


def _with_map(rows: Sequence[ModelBenchmark]) -> list[ModelBenchmark]:
    return [row for row in rows if not row.error and row.map is not None]


def _map(row: ModelBenchmark) -> float:
    return row.map if row.map is not None else float("-inf")
