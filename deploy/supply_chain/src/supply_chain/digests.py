"""Digests of the images of others: `name:tag@sha256:…` in deploy/stack.yaml and deploy/Dockerfile.

`make image-digests` asks each image's registry for the digest of its tag, by the registries' common
API (OCI distribution specification), and writes all of them, or none where one cannot be had.
"""

import re
from collections.abc import Callable
from pathlib import Path

import httpx

from local_stack.errors import StackError
from local_stack.images import DOCKERFILE, NAMED, STACK_FILE, unpinned
from local_stack.layout import CHECKOUT

# Where names without a host are looked up, and the folder of those without an owner.
DEFAULT_REGISTRY = "registry-1.docker.io"
_OFFICIAL = "library/"
_KINDS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "docker.distribution.manifest.list.v2",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.v2",
    )
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_WITHIN_S = 15

Ask = Callable[[str], str]


def main() -> int:
    """Refresh the digests in both files."""
    with httpx.Client(timeout=_WITHIN_S) as http:
        try:
            changed = refresh((STACK_FILE, DOCKERFILE), lambda tagged: digest_of(tagged, http))
        except httpx.TransportError:
            print("not refreshed: no registry could be reached")
            return 1
    for file in changed:
        print(f"wrote {file.relative_to(CHECKOUT)}")
    return 0


def report() -> int:
    """Name the images without a digest; no error, because a digest needs a registry."""
    if found := unpinned():
        print(f"images without a digest, pinned by `make image-digests`: {', '.join(found)}")
    return 0


def refresh(files: tuple[Path, ...], ask: Ask) -> list[Path]:
    """Write the digest of every named image; return the files that changed.

    Nothing is written before every registry has answered.
    """
    digests: dict[str, str] = {}

    def pinned(found: re.Match[str]) -> str:
        tagged = found["tagged"]
        digests[tagged] = digests.get(tagged) or ask(tagged)
        return f"{tagged}@{digests[tagged]}"

    texts = {file: NAMED.sub(pinned, file.read_text()) for file in files}
    changed = [file for file, text in texts.items() if text != file.read_text()]
    for file in changed:
        file.write_text(texts[file])
    return changed


def digest_of(tagged: str, http: httpx.Client, scheme: str = "https") -> str:
    """The digest of an image's tag, of all its platforms. Raises StackError if it is refused."""
    host, name, tag = place_of(tagged)
    url, headers = f"{scheme}://{host}/v2/{name}/manifests/{tag}", {"Accept": _KINDS}
    answer = http.head(url, headers=headers)
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        headers["Authorization"] = f"Bearer {_token(answer, http)}"
        answer = http.head(url, headers=headers)
    digest = answer.headers.get("Docker-Content-Digest", "")
    if not answer.is_success or not _DIGEST.fullmatch(digest):
        raise StackError(f"not refreshed: the registry of {tagged} gave {answer.status_code}")
    return str(digest)


def place_of(tagged: str) -> tuple[str, str, str]:
    """The registry's host, the name in it and the tag, by the rules of image names."""
    name, _, tag = tagged.rpartition(":")
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest, tag
    return DEFAULT_REGISTRY, name if slash else _OFFICIAL + name, tag


def _token(refusal: httpx.Response, http: httpx.Client) -> str:
    """A token for anybody, from where the registry's refusal points to."""
    said = dict(_CHALLENGE.findall(refusal.headers.get("WWW-Authenticate", "")))
    if "realm" not in said:
        raise StackError(f"not refreshed: {refusal.url.host} wants a sign-in that is not a token")
    wanted = {key: said[key] for key in ("service", "scope") if key in said}
    answer = http.get(said["realm"], params=wanted)
    if not answer.is_success:
        raise StackError(f"not refreshed: {answer.url.host} gave {answer.status_code} for a token")
    body = answer.json()
    return str(body.get("token") or body.get("access_token"))
