"""Start identity: `python -m identity`."""

from identity.app import build
from identity.settings import Settings
from service_runtime.process import main

if __name__ == "__main__":
    main(Settings, build)
