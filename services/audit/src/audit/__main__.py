"""Start audit: `python -m audit`."""

from audit.app import build
from audit.settings import Settings
from service_runtime.process import main

if __name__ == "__main__":
    main(Settings, build)
