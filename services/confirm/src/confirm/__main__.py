"""Start confirm: `python -m confirm`."""

from confirm.app import build
from confirm.settings import Settings
from service_runtime.process import main

if __name__ == "__main__":
    main(Settings, build)
