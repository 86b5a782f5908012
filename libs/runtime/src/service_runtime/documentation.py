"""`/docs`: the page of a service's API, with all its assets.

FastAPI's page loads script and style from a CDN and is blank without internet access.
"""

from html import escape
from importlib.resources import as_file, files
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response

PATH = "/docs"
_ASSETS = ("swagger-ui-bundle.js", "swagger-ui.css")
_DAY_S = 86_400
# Script and style only from this server.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Addresses are relative: a proxy may serve the page under a prefix.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# No validator: it would send the document to a server on the internet.
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
"""


def add_documentation(app: FastAPI) -> None:
    """Serve the page and what it loads. The app must not serve FastAPI's own page."""
    page = _PAGE.format(title=escape(app.title))
    with as_file(files("fastapi_offline") / "static") as folder:
        for name in _ASSETS:
            _add_file(app, folder / name)

    async def show(_request: Request) -> Response:
        headers = {"Content-Security-Policy": _POLICY}
        return Response(page, headers=headers, media_type="text/html")

    async def start(_request: Request) -> Response:
        return Response(_START, media_type="text/javascript")

    app.add_route(PATH, show, include_in_schema=False)
    app.add_route(f"{PATH}/start.js", start, include_in_schema=False)


def _add_file(app: FastAPI, path: Path) -> None:
    async def send(_request: Request) -> Response:
        return FileResponse(path, headers={"Cache-Control": f"max-age={_DAY_S}"})

    app.add_route(f"{PATH}/{path.name}", send, include_in_schema=False)
