"""Tests of gateway.webpush."""
