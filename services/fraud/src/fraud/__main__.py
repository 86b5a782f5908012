"""Start fraud: `python -m fraud`."""

from fraud.app import build
from fraud.settings import Settings
from service_runtime.process import main

if __name__ == "__main__":
    main(Settings, build)
