"""A gateway that plays a list of answers, on a clock that only the clients' pauses move."""

import httpx

import countersign_client


class ScriptedGateway:
    """The transport of both clients."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.requests = []
        self.now_s = 1000.0
        self.waited_s = 0.0

    @property
    def sent(self):
        return [f"{one.method} {one.url.path}" for one in self.requests]

    @property
    def keys(self):
        found = [one.headers.get("Idempotency-Key") for one in self.requests]
        return [key for key in found if key]

    def client(self, kind, token=None, **options):
        """Return a client of the package whose time is this clock."""
        http = getattr(httpx, kind)(transport=httpx.MockTransport(self._answer))

        client = getattr(countersign_client, kind)("http://gateway", token, http=http, **options)
        client._now = lambda: self.now_s
        client._chance = lambda: 0.0
        client._sleep = self._sleep if kind == "Client" else self._sleep_async
        return client

    def _sleep(self, seconds):
        self.now_s += seconds
        self.waited_s += seconds

    async def _sleep_async(self, seconds):
        self._sleep(seconds)

    def _answer(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if "failure" in answer:
            raise httpx.ConnectError("refused", request=request)
        headers = {"X-Request-Id": f"request-{len(self.requests)}", **answer.get("headers", {})}
        if "body" in answer:
            return httpx.Response(answer["status"], headers=headers, json=answer["body"])
        return httpx.Response(answer["status"], headers=headers, text=answer.get("text", ""))
