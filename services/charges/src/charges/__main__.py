"""Start charges: `python -m charges`."""

from charges.app import build
from charges.settings import Settings
from service_runtime.process import main

if __name__ == "__main__":
    main(Settings, build)
