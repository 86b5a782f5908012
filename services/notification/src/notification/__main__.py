"""Start notification: `python -m notification`."""

from notification.app import build
from notification.settings import Settings
from service_runtime.process import main

if __name__ == "__main__":
    main(Settings, build)
