"""An OpenAI-compatible API, called by the package `openai`.

The package is imported with the first client: where no model is configured, none is, and the
process does without 16 MiB (measured).
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Self

import httpx2

from insight.clients.model import Completion, ModelError
from insight.domain.prompts import Prompt

MOST_BYTES = 256 * 1024
"""Of one response."""
MOST_WAIT_S = 60.0
_CALLS = 64


@dataclass(frozen=True, slots=True)
class Account:
    """The address of the API, the model, and the key."""

    url: str
    model: str
    api_key: Callable[[], str]
    timeout_s: float


class OpenAiApi:
    """Completions by `/chat/completions`. The package's own retries are off."""

    def __init__(self, account: Account) -> None:
        import openai  # noqa: PLC0415 - see above

        self._openai = openai
        self._account = account
        self._http = httpx2.AsyncClient(
            transport=_Bounded(limits=httpx2.Limits(max_connections=_CALLS)),
            timeout=account.timeout_s,
            follow_redirects=False,
            trust_env=False,
        )
        self._client = openai.AsyncOpenAI(
            api_key=account.api_key(),
            base_url=account.url,
            max_retries=0,
            timeout=account.timeout_s,
            http_client=self._http,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._client.close()

    async def complete(self, prompt: Prompt, most_tokens: int) -> Completion:
        self._client.api_key = self._account.api_key()
        try:
            found = await self._client.chat.completions.create(
                model=self._account.model,
                messages=[
                    {"role": "system", "content": prompt.system},
                    {"role": "user", "content": prompt.user},
                ],
                response_format={"type": "json_object"},
                max_tokens=most_tokens,
                temperature=0,
            )
        except self._openai.APITimeoutError:
            raise ModelError("timeout", again=True, is_billed=True) from None
        except self._openai.APIStatusError as error:
            raise _refused(error.status_code, error.response.headers) from None
        except (self._openai.OpenAIError, httpx2.HTTPError, ValueError):
            raise ModelError("no_answer", again=True, is_billed=True) from None
        return _completion(found)


def _refused(status: int, headers: httpx2.Headers) -> ModelError:
    if status == httpx2.codes.TOO_MANY_REQUESTS:
        after = headers.get("retry-after", "")
        after_s = min(float(after), MOST_WAIT_S) if after.isdecimal() else 0.0
        return ModelError("rate_limited", again=True, after_s=after_s)
    if status >= httpx2.codes.INTERNAL_SERVER_ERROR:
        return ModelError("server_error", again=True)
    return ModelError("refused")


def _completion(found: Any) -> Completion:
    """Return the reply of a response; raise ModelError for one that is none."""
    try:
        text = found.choices[0].message.content
        usage = found.usage
        counts = (int(usage.prompt_tokens), int(usage.completion_tokens))
    except (AttributeError, IndexError, TypeError, ValueError):
        raise ModelError("unreadable", is_billed=True) from None
    if not isinstance(text, str) or min(counts) < 0:
        raise ModelError("unreadable", is_billed=True)
    return Completion(text, *counts)


class _Bounded(httpx2.AsyncHTTPTransport):
    """Ends a response that is larger than any reply."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _BoundedStream(response.stream)
        return response


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MOST_BYTES
        async for part in self._stream:
            left -= len(part)
            if left < 0:
                raise httpx2.ReadError("the response is too large")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
