"""Design §7: the store, where the gateway keeps what it can build again from IMAP."""
