"""Start ops: `python -m ops`."""

from ops.app import build
from ops.settings import Settings
from service_runtime.process import main

if __name__ == "__main__":
    main(Settings, build)
