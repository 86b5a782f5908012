"""What every test of the workspace can ask for."""

from hypothesis import settings

pytest_plugins = ["testbed.groups", "testbed.stack", "testbed.operators", "testbed.typescript"]

# Hypothesis' own deadline of 200 ms an example fails on a machine whose processors are all busy.
settings.register_profile("countersign", deadline=None)
settings.load_profile("countersign")
