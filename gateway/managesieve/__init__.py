"""RFC 5804: ManageSieve, the protocol by which scripts get to a mail server."""
