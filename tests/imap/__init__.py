"""Tests of gateway.imap: RFC 9051 and its extensions."""
