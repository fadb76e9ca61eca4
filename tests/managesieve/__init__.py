"""RFC 5804: ManageSieve."""
