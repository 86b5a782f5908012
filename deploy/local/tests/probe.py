"""A service in miniature: reads its place from the environment, is ready after a few questions.

Started by the tests as `python -m deploy.local.tests.probe`, under the real supervisor.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Answer(BaseHTTPRequestHandler):
    left_until_ready = int(os.environ.get("PROBE_QUESTIONS", "2"))

    def do_GET(self):
        Answer.left_until_ready -= 1
        self.send_response(200 if Answer.left_until_ready < 0 else 503)
        self.end_headers()
        names = ("INSTANCE", "PORT", "NEIGHBOURS", "KEY_FILE")
        self.wfile.write(json.dumps({name: os.environ.get(name) for name in names}).encode())

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    if os.environ.get("PROBE_FAILS"):
        sys.exit("probe: PROBE_FAILS is set")
    HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Answer).serve_forever()
