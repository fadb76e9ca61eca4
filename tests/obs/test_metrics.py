"""Design §3 (obs): what Prometheus reads."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from gateway.obs.metrics import (
    ACTIVE_ACCOUNTS,
    CONTENT_TYPE,
    HTTP_REQUESTS,
    IMAP_COMMANDS,
    IMAP_CONNECTIONS,
    INDEX_BYTES,
    LOGINS,
    METHOD_CALLS,
    exposition,
)


def _samples() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(exposition().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_what_is_counted_is_exposed() -> None:
    before = _samples()
    HTTP_REQUESTS.labels("/test", "200").observe(0.2)
    METHOD_CALLS.labels("Test/get", "ok").observe(0.002)
    IMAP_COMMANDS.labels("TEST", "ok").inc()
    LOGINS.labels("test").inc()
    after = _samples()
    for name, labels in (
        ("jmap_gateway_http_request_seconds_count", {"route": "/test", "status": "200"}),
        ("jmap_gateway_method_call_seconds_count", {"name": "Test/get", "outcome": "ok"}),
        ("jmap_gateway_imap_commands_total", {"verb": "TEST", "outcome": "ok"}),
        ("jmap_gateway_logins_total", {"outcome": "test"}),
    ):
        key = (name, tuple(sorted(labels.items())))
        assert after[key] == before.get(key, 0) + 1


def test_gauges_and_the_process_are_exposed() -> None:
    IMAP_CONNECTIONS.inc()
    ACTIVE_ACCOUNTS.inc()
    INDEX_BYTES.inc(80)
    samples = _samples()
    assert samples["jmap_gateway_imap_connections", ()] >= 1
    assert samples["jmap_gateway_active_accounts", ()] >= 1
    assert samples["jmap_gateway_index_bytes", ()] >= 80
    assert samples["process_resident_memory_bytes", ()] > 0


def test_the_media_type_is_that_of_the_text_format() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=")
