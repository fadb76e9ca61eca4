"""The tests of the gateway: one folder per package, real servers in `tests.servers`."""
