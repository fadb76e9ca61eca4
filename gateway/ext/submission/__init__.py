"""RFC 8621 §6, §7: Identities and EmailSubmissions: as whom users send, and what they have sent."""
