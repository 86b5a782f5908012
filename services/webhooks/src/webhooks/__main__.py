"""Start webhooks: `python -m webhooks`."""

from service_runtime.process import main
from webhooks.app import build
from webhooks.settings import Settings

if __name__ == "__main__":
    main(Settings, build)
