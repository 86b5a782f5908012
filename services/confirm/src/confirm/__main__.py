"""Start confirm: `python -m confirm`."""

from confirm.app import build
from confirm.settings import Settings
from service_runtime.process import run
from service_runtime.settings import load

if __name__ == "__main__":
    settings = load(Settings)
    run(build(settings), settings)
