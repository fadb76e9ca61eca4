"""RFC 8551: S/MIME: whether what a message says is signed was signed by who it says it is from."""
