"""The laboratory of development: pay by hand, faults of the mocks, the messages that were sent."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from ops.clients.confirmation import SHOWN_HEADERS, authorization, confirm, token_of
from ops.clients.listings import MAILS, SMS
from ops.clients.system import HttpResponse, System
from ops.console.frame import Console, act_of, box
from ops.console.sections import Section
from ops.console.viewers import Form, Viewer
from ops.domain.errors import RefusedError
from ops.domain.rows import Row
from service_runtime.clock import Clock

SECTION = Section("Lab", "/lab", "l", is_development=True)
SCOPE = "ops.write"
FIELDS = ("transaction_id", "idempotency_key", "amount", "currency", "from_account", "to_account")
SHOWN = 50
"""Messages of each kind."""
FAULTS = {
    "down": "503 to every request",
    "error": "500 to every request",
    "slow": "responds some seconds late",
    "lose_request": "takes no request; the caller gets no response",
    "lose_answer": "does the work; the caller gets no response",
}
"""Switches that every mock has, and what each does; at a rate of 1."""


def routes(console: Console, clock: Clock, mocks: Sequence[str]) -> APIRouter:
    """Return the routes; they exist with PROFILE=dev alone."""
    router = APIRouter(include_in_schema=False)
    Operator = Annotated[Viewer, Depends(console.viewer)]  # noqa: N806 - a type
    Acting = Annotated[Viewer, Depends(act_of(console, SCOPE))]  # noqa: N806 - a type

    def shown(viewer: Viewer, form: Mapping[str, str], response: HttpResponse | None) -> Response:
        return console.page(
            viewer,
            "lab.html",
            form=form,
            response=response and _shown(response),
            mocks=mocks,
            may=viewer.may(SCOPE),
        )

    @router.get("/lab")
    def page(viewer: Operator) -> Response:
        new = {name: f"{name[:3]}-{clock.new_id()}" for name in FIELDS[:2]}
        example = {"user": "usr-456", "amount": "5200", "from_account": "acc-1"}
        return shown(viewer, {**new, **example, "to_account": "payee-xyz"}, None)

    @router.post("/lab/pay")
    def pay(viewer: Acting, form: Form) -> Response:
        headers = authorization(token_of(viewer.system, form.get("user", "")))
        body = {name: form[name] for name in FIELDS if form.get(name)}
        code = {"otp_code": form["otp_code"]} if form.get("otp_code") else {}
        # A request with a code names the payment alone.
        response = confirm(viewer.system, {**body, **code}, headers)
        return shown(viewer, form, response)

    @router.get("/lab/faults")
    def faults(viewer: Operator) -> Response:
        found = {name: box(partial(_rates, viewer.system, name)) for name in mocks}
        return console.part(
            viewer, "parts/lab_faults.html", found=found, kinds=FAULTS, may=viewer.may(SCOPE)
        )

    @router.post("/lab/faults")
    def switch(viewer: Acting, form: Form) -> Response:
        mock, kind = form.get("mock", ""), form.get("kind", "")
        if mock not in mocks or kind not in {*FAULTS, ""}:
            raise RefusedError("mock, kind: unknown", "")
        if not kind:
            viewer.system.delete(mock, "/faults")
            return console.done(viewer, "/lab", f"{mock} works again.")
        viewer.system.put(mock, "/faults", {"kind": kind, "rate": 1.0})
        return console.done(viewer, "/lab", f"{mock}: {kind} is on.")

    @router.get("/lab/messages")
    def messages(viewer: Operator) -> Response:
        found = box(lambda: _messages(viewer.system))
        return console.part(viewer, "parts/lab_messages.html", box=found)

    return router


def _rates(system: System, mock: str) -> list[str]:
    rates = system.get(mock, "/faults")["faults"]
    return [kind for kind, rate in rates.items() if rate]


def _messages(system: System) -> list[Row]:
    """Return the newest messages of both providers, which know no time: each newest first."""
    return [
        {"by": name, **message}
        for name, listing in (("sms", SMS), ("e-mail", MAILS))
        for message in reversed(system.rows(listing)[-SHOWN:])
    ]


def _shown(response: HttpResponse) -> dict[str, Any]:
    body = response.text if response.body is None else json.dumps(response.body, indent=2)
    headers = {name: response.headers[name] for name in SHOWN_HEADERS if name in response.headers}
    took = f"{response.took_ms:.0f}"
    return {"status": response.status, "headers": headers, "body": body, "took_ms": took}
