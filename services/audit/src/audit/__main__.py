"""Settings in, running service out."""

from audit.app import build
from audit.settings import Settings
from service_runtime.process import run
from service_runtime.settings import load

if __name__ == "__main__":
    settings = load(Settings)
    run(build(settings), settings)
