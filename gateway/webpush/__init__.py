"""RFC 8030: Web Push: messages to the push services of browsers and phones."""
