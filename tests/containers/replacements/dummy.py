#!/usr/bin/env python3
"""Answer every request at every port of $PORTS; with `-health`, ask the first of them."""

import http.server
import os
import sys
import threading
import urllib.request

PORTS = [int(port) for port in os.environ["PORTS"].split()]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET  # noqa: N815 - the base class looks for this name

    def log_message(self, *arguments):
        pass


if "-health" in sys.argv:
    urllib.request.urlopen(f"http://127.0.0.1:{PORTS[0]}/ready", timeout=3)
else:
    for port in PORTS:
        server = http.server.ThreadingHTTPServer(("", port), Handler)
        threading.Thread(target=server.serve_forever).start()
