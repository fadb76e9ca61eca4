"""IMAP to JMAP: identity, the account index, synchronisation and freshness."""
