"""Design §9: whatever happens while mail is written, each message is there exactly once."""
