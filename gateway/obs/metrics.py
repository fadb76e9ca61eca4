"""Design §3 (obs): the figures a gateway reports to Prometheus, all declared here.

Labels only ever take values from fixed sets (routes, method names, verbs), never anything a
client or a server chose.
"""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""The media type of `exposition()`."""

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Warm answers take single-digit milliseconds, a first inbox is promised in 300 ms."""

HTTP_REQUESTS = Histogram(
    "jmap_gateway_http_request_seconds",
    "Time to answer an HTTP request, by route pattern and status code.",
    ("route", "status"),
    buckets=_SECONDS,
    registry=REGISTRY,
)
METHOD_CALLS = Histogram(
    "jmap_gateway_method_call_seconds",
    'Time to run a JMAP method call, by method name and outcome ("ok" or the error type).',
    ("name", "outcome"),
    buckets=_SECONDS,
    registry=REGISTRY,
)
IMAP_CONNECTIONS = Gauge(
    "jmap_gateway_imap_connections",
    "Connections open to the IMAP server.",
    registry=REGISTRY,
)
IMAP_COMMANDS = Counter(
    "jmap_gateway_imap_commands",
    'IMAP commands finished, by verb and outcome ("ok", "no", "bad", "lost", "timeout").',
    ("verb", "outcome"),
    registry=REGISTRY,
)
LOGINS = Counter(
    "jmap_gateway_logins",
    'Credentials presented, by outcome ("ok", "cached", "refused", "limited", "unavailable").',
    ("outcome",),
    registry=REGISTRY,
)
ACTIVE_ACCOUNTS = Gauge(
    "jmap_gateway_active_accounts",
    "Accounts held in memory.",
    registry=REGISTRY,
)
INDEX_BYTES = Gauge(
    "jmap_gateway_index_bytes",
    "Octets of account indexes held in memory.",
    registry=REGISTRY,
)
PUSHES = Counter(
    "jmap_gateway_pushes_total",
    'Pushes to subscriptions, by outcome ("delivered", "gone", "later", "refused").',
    ["outcome"],
    registry=REGISTRY,
)
OVER_BUDGET = Counter(
    "jmap_gateway_over_budget_total",
    'What users were refused for want of a budget ("messages", "recipients", "uploads", '
    '"requests").',
    ["kind"],
    registry=REGISTRY,
)
EVENT_STREAMS = Gauge(
    "jmap_gateway_event_streams",
    "Event streams open (RFC 8620 §7.3).",
    registry=REGISTRY,
)
WEBSOCKETS = Gauge(
    "jmap_gateway_websockets",
    "WebSockets open (RFC 8887).",
    registry=REGISTRY,
)
EVENT_LOOP_LAG = Histogram(
    "jmap_gateway_event_loop_lag_seconds",
    "How late the event loop is, fifty times a second: all clients wait for what holds it up.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
    registry=REGISTRY,
)


def exposition() -> bytes:
    """All metrics in the Prometheus text format, to be sent with `CONTENT_TYPE`."""
    return generate_latest(REGISTRY)
