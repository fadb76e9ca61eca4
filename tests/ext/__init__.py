"""Tests of gateway.ext."""
