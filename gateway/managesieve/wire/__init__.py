"""RFC 5804 §4: the octets of ManageSieve, as functions of their arguments."""
