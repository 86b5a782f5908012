"""What sees the system, without Docker: built once from Go modules, run beside the services."""
