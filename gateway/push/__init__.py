"""RFC 8620 §7: telling clients that something changed, as soon as it does."""
