"""RFC 8620 §2, §3, §6: the HTTP endpoints."""
