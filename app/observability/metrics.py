"""The metrics: what is counted of each request, by Prometheus's names and units.

prometheus_client decides when it is imported whether values live in this process or in files
that all of gunicorn's share: import this module only once `metrics_port` has made their folder.
"""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from nova_image_shim.observability.trace import Trace

_NAMESPACE = "nova_image_shim"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_IMAGES = (0, 1, 10, 25, 100, 250, 1000, 2500, 10_000, 100_000)
_PAGES = (1, 2, 3, 5, 10, 25, 100)


class Metrics:
    """Every metric of one application, and what a request adds to each.

    Args:
        threads: requests that this process serves at a time.
        backend: `memory` or `glance`.
    """

    def __init__(self, *, threads: int, backend: str) -> None:
        self.registry = CollectorRegistry()
        common: dict[str, Any] = {"namespace": _NAMESPACE, "registry": self.registry}
        self._requests = Counter("requests", "Requests answered.", _REQUEST_LABELS, **common)
        self._seconds = Histogram(
            "request_duration_seconds", "Time of a request.", ["call"], buckets=_SECONDS, **common
        )
        self._glance = Histogram(
            "glance_request_duration_seconds",
            "Time of a call to Glance; its status is 0 where no answer came.",
            ["operation", "status"],
            buckets=_SECONDS,
            **common,
        )
        self._keystone = Histogram(
            "keystone_request_duration_seconds",
            "Time of a call to Keystone; its status is 0 where no answer came.",
            ["method", "status"],
            buckets=_SECONDS,
            **common,
        )
        self._images = Histogram("list_images", "Images of a list.", buckets=_IMAGES, **common)
        self._pages = Histogram("list_pages", "Glance's pages of a list.", buckets=_PAGES, **common)
        self._tokens = Counter(
            "token_lookups", "Tokens looked up; a miss asks Keystone.", ["result"], **common
        )
        self._kept = Counter("list_cache_hits", "Lists answered from the cache.", **common)
        self._brownouts = Counter(
            "brownout_refusals", "Requests refused by SHIM_BROWNOUT.", ["client"], **common
        )
        self._add_gauges(threads, backend, common)
        # Found faster here than by `labels`, which makes texts and takes a lock each time.
        self._child = lru_cache(maxsize=4096)(lambda metric, *labels: metric.labels(*labels))

    def _add_gauges(self, threads: int, backend: str, common: dict[str, Any]) -> None:
        live: dict[str, Any] = common | {"multiprocess_mode": "livesum"}
        self._busy = Gauge("threads_busy", "Requests being served.", **live)
        Gauge("threads", "Requests that can be served at a time.", **live).set(threads)
        info = Gauge(
            "build_info",
            "Always 1; what runs is in the labels.",
            ["version", "python", "backend"],
            **common | {"multiprocess_mode": "livemax"},
        )
        info.labels(version("nova-image-shim"), platform.python_version(), backend).set(1)

    def begin(self) -> None:
        """Take note that a thread is busy."""
        self._busy.inc()

    def end(self, _error: BaseException | None = None) -> None:
        """Take note that a thread is free again."""
        self._busy.dec()

    def record(self, trace: Trace, status: int, seconds: float) -> None:
        """Add a request that has been answered.

        Args:
            trace: what is known of it.
            status: the HTTP status of the answer.
            seconds: how long it took.
        """
        child, family = self._child, trace.client.family
        child(self._requests, trace.call, status, family).inc()
        child(self._seconds, trace.call).observe(seconds)
        for call in trace.calls:
            child(self._glance, call.operation, call.status).observe(call.seconds)
        for method, answered, took in trace.keystone_calls:
            child(self._keystone, method, answered).observe(took)
        if trace.images is not None and trace.pages is not None:
            self._images.observe(trace.images)
            self._pages.observe(trace.pages)
        if trace.list_cached:
            self._kept.inc()
        if trace.token_cached is not None:
            child(self._tokens, "hit" if trace.token_cached else "miss").inc()
        if trace.brownout:
            child(self._brownouts, family).inc()


_REQUEST_LABELS = ("call", "status", "client")
