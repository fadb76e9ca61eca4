"""RFC 5228: what the gateway writes in Sieve, and reads of it."""
