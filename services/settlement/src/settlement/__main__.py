"""Start settlement: `python -m settlement`."""

from service_runtime.process import main
from settlement.app import build
from settlement.settings import Settings

if __name__ == "__main__":
    main(Settings, build)
