"""RFC 9051 §6: one module for each command, with its fall-back where an extension is missing."""
