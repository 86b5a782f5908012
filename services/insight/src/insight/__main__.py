"""Start insight: `python -m insight`."""

from insight.app import build
from insight.settings import Settings
from service_runtime.process import main

if __name__ == "__main__":
    main(Settings, build)
