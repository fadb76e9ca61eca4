"""Design §7: the store, where the gateway keeps what it can build again, or do without."""

from __future__ import annotations

from gateway.store.base import Store, StoreError, StoreUnavailable
from gateway.store.opening import open_store

__all__ = ["Store", "StoreError", "StoreUnavailable", "open_store"]
