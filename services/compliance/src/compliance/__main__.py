"""Start compliance: `python -m compliance`."""

from compliance.app import build
from compliance.settings import Settings
from service_runtime.process import main

if __name__ == "__main__":
    main(Settings, build)
