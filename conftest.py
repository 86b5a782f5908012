"""What every test of the workspace can ask for."""

pytest_plugins = ["testkit.stack"]
