"""RFC 6749: what the gateway asks of an authorization server."""
