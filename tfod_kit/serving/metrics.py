"""The service's metrics for Prometheus."""

from collections.abc import Iterable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from tfod_kit.core.annotations import ObjectAnnotation

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The service's metrics, in their own registry."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # memory, CPU time, open files
        self.requests = Counter(
            "tfod_requests",
            "Requests to /detect, and to unknown addresses, by HTTP status",
            ["status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "tfod_request_seconds",
            "From a request's headers to its response",
            buckets=_SECONDS,
            registry=registry,
        )
        self.batches = Histogram(
            "tfod_batch_images", "Images in a batch", buckets=_BATCHES, registry=registry
        )
        self.in_progress = Gauge(
            "tfod_requests_under_way", "Requests accepted and not yet answered", registry=registry
        )
        self.memory = Gauge(
            "tfod_memory_held_bytes",
            "Memory that the requests in progress may use beside the model",
            registry=registry,
        )
        self.objects = Counter(
            "tfod_objects", "Objects found, by class", ["label"], registry=registry
        )

    def count_objects(self, objects: Iterable[ObjectAnnotation]) -> None:
        """Adds objects to the counter of their class."""
        for item in objects:
            self.objects.labels(item.label).inc()

    def text(self) -> bytes:
        """All metrics in Prometheus' text format, whose content type is CONTENT_TYPE."""
        return generate_latest(self._registry)
