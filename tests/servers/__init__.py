"""Real servers, started as children of the tests on free loopback ports.

They share nothing with the gateway, so that it is never tested against its own idea of a protocol,
and need nothing but the standard library, so that the demonstration can use them too.
"""
