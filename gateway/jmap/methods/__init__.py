"""RFC 8620 §5: the standard methods, each generic over a `gateway.jmap.spec.DataType`."""
