"""RFC 8621: JMAP for Mail, a module for each data type or method."""
