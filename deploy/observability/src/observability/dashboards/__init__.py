"""The dashboards, one module each, written to grafana-dashboards by `make generate`."""
