"""The demonstration and what else is deployed with the gateway."""
