"""RFC 8620 §7.2: PushSubscription: where the gateway sends what has changed."""
