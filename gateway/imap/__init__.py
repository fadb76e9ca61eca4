"""RFC 9051 / RFC 3501: the IMAP client side of the gateway."""
