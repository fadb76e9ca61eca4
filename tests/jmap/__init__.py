"""RFC 8620: the tests of gateway.jmap."""
