"""RFC 9051 §9: the octets of IMAP, as pure functions: framing, tokens, responses, arguments."""
