"""Tests of gateway.app and gateway.cli."""
