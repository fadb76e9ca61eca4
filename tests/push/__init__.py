"""Tests of gateway.push, and of push through the whole gateway."""
