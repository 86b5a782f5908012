"""The tables of webhooks in PostgreSQL."""

from webhooks.store.deliveries import Deliveries, Ended, Shipment, lane_table
from webhooks.store.endpoints import Endpoint, Endpoints

__all__ = ["Deliveries", "Ended", "Endpoint", "Endpoints", "Shipment", "lane_table"]
