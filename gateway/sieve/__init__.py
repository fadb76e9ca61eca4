"""RFC 5228: Sieve scripts, as functions of their arguments."""
