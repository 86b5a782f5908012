"""Uploads and downloads: streamed, bounded, whole or not at all."""

import asyncio
import base64
import hashlib
from datetime import datetime
from urllib.parse import urlencode

import botocore.auth
import httpx
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import ThreadedMotoServer

from service_runtime.errors import Unavailable
from service_runtime.files import digest_of, receive_file, send_file
from service_runtime.object_store import FolderStore, StoredObject, WrongChecksumError
from service_runtime.s3 import S3Settings, S3Store
from service_runtime.web import MAX_BODY_BYTES, JsonResponse, create_app
from testkit.events import NOON
from testkit.memory import SteadyClock

LIMIT = 2 * MAX_BODY_BYTES
CONTENT = bytes(range(256)) * 1024


async def chunks_of(*parts):
    for part in parts:
        yield part


async def read(store, name, *bounds):
    return b"".join([chunk async for chunk in store.read(name, *bounds)])


@pytest.fixture(scope="module")
def s3_server():
    """A real S3 server (moto), which checks signatures' form but no secrets."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx.put(f"http://{host}:{port}/bucket").raise_for_status()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
async def store(request, tmp_path):
    if request.param == "folder":
        yield FolderStore(tmp_path / "objects")
        return
    url = request.getfixturevalue("s3_server")
    async with S3Store(S3Settings(url, "bucket", "eu-central-1", "key", "secret")) as store:
        yield store
        for name in ("a", "a/b.txt", "b"):
            await store.delete(name)


@pytest.fixture
async def http(store):
    app = create_app("files", {}, SteadyClock(NOON))

    async def upload(request):
        stored = await receive_file(request, store, request.path_params["name"], LIMIT)
        return JsonResponse({"size": stored.size, "digest": digest_of(stored)}, 201)

    async def download(request):
        return await send_file(request, store, request.path_params["name"])

    app.add_route("/files/{name}", upload, methods=["PUT"])
    app.add_route("/files/{name}", download, methods=["GET"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        yield client


def digest(content):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


async def test_an_object_is_read_back_whole_and_in_parts(store):
    stored = await store.put("a/b.txt", chunks_of(CONTENT, b"end"))

    assert stored.size == len(CONTENT) + 3 == await store.size("a/b.txt")
    assert stored.sha256 == hashlib.sha256(CONTENT + b"end").hexdigest()
    assert await read(store, "a/b.txt") == CONTENT + b"end"
    assert await read(store, "a/b.txt", 5, 9) == CONTENT[5:9]
    assert await read(store, "a/b.txt", len(CONTENT)) == b"end"


async def test_names_are_found_one_after_the_other_in_their_order(store):
    for name in ("b", "a/b.txt"):
        await store.put(name, chunks_of(b"1"))

    assert await store.next_name("") == "a/b.txt"
    assert await store.next_name("a/b.txt") == "b"
    assert await store.next_name("b") is None


async def test_an_object_that_is_missing_or_deleted_has_no_size(store):
    await store.put("a", chunks_of(b"1"))
    await store.delete("a")
    await store.delete("a")

    assert await store.size("a") is None
    with pytest.raises(FileNotFoundError):
        await read(store, "a")


async def test_a_put_that_fails_leaves_the_older_object_and_no_draft(store, tmp_path):
    await store.put("a", chunks_of(b"older"))

    async def breaks():
        yield b"newer"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await store.put("a", breaks())
    with pytest.raises(WrongChecksumError):
        await store.put("a", chunks_of(b"newer"), hashlib.sha256(b"other").hexdigest())

    assert await read(store, "a") == b"older"
    assert [path.name for path in tmp_path.glob("objects/*")] in (["a"], [])


async def test_readers_see_the_older_or_the_newer_object_and_never_a_mixture(store):
    await store.put("a", chunks_of(b"1" * 1000))
    writers = [store.put("a", chunks_of(*[digit * 100] * 10)) for digit in (b"2", b"3")]

    await asyncio.gather(*writers)

    assert await read(store, "a") in {b"2" * 1000, b"3" * 1000}


@pytest.mark.parametrize(
    "name", ["", "..", "../a", "a/../b", "/a", "a//b", ".draft", "a/.b", "é", "a" * 513]
)
async def test_a_name_that_could_leave_the_store_is_refused(store, name):
    with pytest.raises(ValueError, match="name"):
        await store.put(name, chunks_of(b"1"))


async def test_an_upload_may_be_larger_than_other_bodies_of_the_service(http, store):
    content = b"x" * (MAX_BODY_BYTES + 1)
    response = await http.put("/files/a", content=content)

    assert response.status_code == 201
    assert response.json() == {"size": len(content), "digest": digest(content)}


@pytest.mark.parametrize("declared", [True, False])
async def test_an_upload_over_its_limit_is_413_and_not_stored(http, store, declared):
    content = b"x" * (LIMIT + 1)
    response = await http.put("/files/a", content=content if declared else chunks_of(content))

    assert (response.status_code, response.json()) == (413, {"error": "Body too large"})
    assert await store.size("a") is None


async def test_an_upload_with_another_digest_is_400_and_not_stored(http, store):
    headers = {"Content-Digest": digest(b"other")}
    response = await http.put("/files/a", content=CONTENT, headers=headers)
    assert response.json() == {"error": "Content-Digest does not match"}
    assert await store.size("a") is None

    headers = {"Content-Digest": digest(CONTENT)}
    assert (await http.put("/files/a", content=CONTENT, headers=headers)).status_code == 201


@pytest.mark.parametrize(
    ("header", "status", "bounds"),
    [
        (None, 200, (0, None)),
        ("bytes=0-9", 206, (0, 10)),
        ("bytes=262140-", 206, (262140, None)),
        ("bytes=5-99999999", 206, (5, None)),
        ("bytes=0-", 200, (0, None)),
        ("bytes=0-1,3-4", 200, (0, None)),
        ("lines=0-1", 200, (0, None)),
    ],
)
async def test_a_download_is_the_whole_object_or_the_range(http, store, header, status, bounds):
    await store.put("a", chunks_of(CONTENT))
    headers = {} if header is None else {"Range": header}

    response = await http.get("/files/a", headers=headers)

    assert response.status_code == status
    assert response.content == CONTENT[bounds[0] : bounds[1]]


async def test_a_range_behind_the_end_is_416_and_a_missing_object_404(http, store):
    await store.put("a", chunks_of(b"123"))
    behind = await http.get("/files/a", headers={"Range": "bytes=3-"})

    assert (behind.status_code, behind.headers["content-range"]) == (416, "bytes */3")
    assert (await http.get("/files/b")).json() == {"error": "Not found"}


async def test_an_s3_server_that_does_not_respond_or_refuses_is_unavailable(s3_server):
    for url, bucket in (("http://127.0.0.1:1", "bucket"), (s3_server, "no-such-bucket")):
        async with S3Store(S3Settings(url, bucket, "eu-central-1", "key", "secret")) as store:
            with pytest.raises(Unavailable):
                await store.put("a", chunks_of(b"1"))


async def test_a_request_to_s3_is_signed_with_the_checksum_of_its_body(monkeypatch):
    """Against the signature that botocore, another implementation, makes."""
    settings = S3Settings("http://s3.test", "bucket", "eu-central-1", "key", "secret")
    stored = StoredObject("a/b", 1, hashlib.sha256(b"1").hexdigest())
    signed = S3Store(settings)._signed("PUT", "/bucket/a/b", stored)

    request = AWSRequest("PUT", "http://s3.test/bucket/a/b", {}, b"1")
    at = datetime.fromisoformat(signed["X-Amz-Date"]).replace(tzinfo=None)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: at)
    botocore.auth.S3SigV4Auth(Credentials("key", "secret"), "s3", "eu-central-1").add_auth(request)

    assert signed["Authorization"].rpartition("Signature=")[2] in request.headers["Authorization"]


def test_a_listing_is_signed_as_aws_specifies(monkeypatch):
    settings = S3Settings("http://s3.test", "bucket", "eu-central-1", "key", "secret")
    query = {"list-type": "2", "max-keys": "1", "start-after": "a/b"}
    signed = S3Store(settings)._signed("GET", f"/bucket?{urlencode(query, safe='/')}", None)

    request = AWSRequest("GET", "http://s3.test/bucket", {}, b"", params=query)
    at = datetime.fromisoformat(signed["X-Amz-Date"]).replace(tzinfo=None)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: at)
    botocore.auth.S3SigV4Auth(Credentials("key", "secret"), "s3", "eu-central-1").add_auth(request)

    assert signed["Authorization"].rpartition("Signature=")[2] in request.headers["Authorization"]
