"""F1: gateways that are killed while they write, at any line that they send (tests/kill/run)."""
