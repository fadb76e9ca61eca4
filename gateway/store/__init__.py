"""Design §7: the store: what the gateway can build again, and what is kept for a time."""

from __future__ import annotations

from gateway.store.base import Durable, Store, StoreError, StoreUnavailable
from gateway.store.opening import open_store

__all__ = ["Durable", "Store", "StoreError", "StoreUnavailable", "open_store"]
