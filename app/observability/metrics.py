"""Prometheus metrics of each request.

prometheus_client decides on import whether values are in memory or in files that all workers
share, so import this module only after `MetricsFiles.open` has set the folder for those files.
"""

import platform
import threading
from functools import cache
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from nova_image_shim.observability.log_writer import LogWriter
from nova_image_shim.observability.trace import LOGIN_CALL, Trace

_NAMESPACE = "nova_image_shim"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_IMAGES = (0, 1, 10, 25, 100, 250, 1000, 2500, 10_000, 100_000)
_PAGES = (1, 2, 3, 5, 10, 25, 100)
_MOST_LABEL_SETS = {Counter: 4000, Histogram: 250}  # that the reserved files have room for
_LOGIN_RESULTS = {
    200: "accepted",
    **dict.fromkeys((400, 413), "invalid"),
    **dict.fromkeys((401, 403), "refused"),
    503: "unavailable",
}
_OTHER = "other"  # every label beyond that


class Metrics:
    """All metrics of one application.

    `threads` is how many requests this process can serve at once; `backend` is a label.
    """

    def __init__(self, *, threads: int, backend: str) -> None:
        self.registry = CollectorRegistry()
        common: dict[str, Any] = {"namespace": _NAMESPACE, "registry": self.registry}
        self._common = common
        self._requests = self._counter("requests", "Requests answered.", "call", "status", "client")
        self._token_lookups = self._counter(
            "token_lookups", "Tokens looked up; a miss calls Keystone.", "result"
        )
        self._lists = self._counter(
            "lists", "Lists answered: fetched, shared with another request, or cached.", "source"
        )
        self._refusals = self._counter(
            "brownout_refusals", "Requests refused by SHIM_BROWNOUT.", "client"
        )
        self._logins = self._counter("identity_v2_logins", "Logins by identity v2.0.", "result")
        self._request_seconds = self._seconds("request", "Duration of a request.", "call")
        self._glance_seconds = self._seconds(
            "glance_request",
            "Duration of a request to Glance; status 0 means no response.",
            *("operation", "status"),
        )
        self._keystone_seconds = self._seconds(
            "keystone_request",
            "Duration of a request to Keystone; status 0 means no response.",
            *("method", "status"),
        )
        self._images = Histogram("list_images", "Images in a list.", buckets=_IMAGES, **common)
        self._pages = Histogram("list_pages", "Glance pages of a list.", buckets=_PAGES, **common)
        self._busy = self._gauge("threads_busy", "Requests being served.")
        self._gauge("threads", "Requests that can be served at once.").set(threads)
        self._gauge(
            "build_info",
            "Always 1; the labels describe the running program.",
            *("version", "python", "backend"),
            mode="livemax",
        ).labels(version("nova-image-shim"), platform.python_version(), backend).set(1)
        self._dropped_lines = self._counter("log_lines_dropped", "Log lines that were not written.")
        self._seen_dropped = LogWriter.dropped
        self._lock = threading.Lock()
        self._room = dict(_MOST_LABEL_SETS)
        # Cached, because `labels` converts each label to text and takes a lock on every call.
        self._child = cache(self._new_child)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, **self._common)

    def _seconds(self, what: str, text: str, *labels: str) -> Histogram:
        name = f"{what}_duration_seconds"
        return Histogram(name, text, labels, buckets=_SECONDS, **self._common)

    def _gauge(self, name: str, text: str, *labels: str, mode: Any = "livesum") -> Gauge:
        return Gauge(name, text, labels, multiprocess_mode=mode, **self._common)

    def _new_child(self, metric: Counter | Histogram, *labels: object) -> Any:
        self._room[type(metric)] -= 1
        has_room = self._room[type(metric)] >= 0
        return metric.labels(*labels if has_room else [_OTHER] * len(labels))

    def begin(self) -> None:
        """Count one more busy thread."""
        self._busy.inc()

    def end(self) -> None:
        """Count one busy thread fewer."""
        self._busy.dec()

    def record(self, trace: Trace, status: int, seconds: float) -> None:
        """Count a finished request, by its trace, the response's status and its duration."""
        child, family = self._child, trace.client.family
        child(self._requests, trace.call, status, family).inc()
        child(self._request_seconds, trace.call).observe(seconds)
        for call in trace.calls:
            child(self._glance_seconds, call.operation, call.status).observe(call.seconds)
        for method, answered, took in trace.keystone_calls:
            child(self._keystone_seconds, method, answered).observe(took)
        if trace.call == LOGIN_CALL and not trace.brownout:
            child(self._logins, _LOGIN_RESULTS.get(status, "failed")).inc()
        if trace.images is not None and trace.pages is not None:
            self._images.observe(trace.images)
            self._pages.observe(trace.pages)
        if trace.list_source:
            child(self._lists, trace.list_source).inc()
        if trace.token_cached is not None:
            child(self._token_lookups, "hit" if trace.token_cached else "miss").inc()
        if trace.brownout:
            child(self._refusals, family).inc()
        if self._seen_dropped != LogWriter.dropped:
            self._count_dropped_lines()

    def _count_dropped_lines(self) -> None:
        with self._lock:
            dropped = LogWriter.dropped - self._seen_dropped
            self._seen_dropped += dropped
        self._dropped_lines.inc(dropped)
