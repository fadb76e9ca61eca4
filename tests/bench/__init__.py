"""Benchmarks: what the gateway costs, measured against a real Dovecot (`tests/bench/run`)."""
