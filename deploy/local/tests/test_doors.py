"""PostgreSQL and Redis let in who has a login, by TLS where they demand it, and no further."""

import signal
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

import psycopg
import pytest
import trustme
from psycopg.conninfo import make_conninfo
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from local_stack import postgres
from local_stack.certificates import AUTHORITY, certificate_name
from local_stack.credentials import password_name, redis_name
from local_stack.databases import admin_dsn, is_ready, make_roles
from local_stack.stack import Stack
from local_stack.waiting import wait_until
from testbed.stack import WHOLE_SYSTEM_FURTHER, offset_of_this_run

pytestmark = pytest.mark.stack
WRONG = "guess"


@pytest.fixture(scope="module")
def encrypted():
    """A PostgreSQL of its own that takes TLS alone, with its roles."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TLS", "on")
        stack = Stack(offset_of_this_run() + 3 * WHOLE_SYSTEM_FURTHER)
        stack.reset()
        stack.layout.make()
        stack.credentials.make(stack.inventory)
    program = postgres.prepare(stack.layout, stack.ports.postgres, stack.credentials, tls=True)
    with subprocess.Popen(program.command, cwd=program.folder, user=program.user) as server:
        ready = partial(is_ready, stack.postgres, stack.credentials)
        wait_until(ready, seconds=30, otherwise="PostgreSQL does not start")
        make_roles(stack.postgres, stack.credentials, stack.inventory.with_database)
        yield stack
        server.send_signal(signal.SIGINT)
    stack.reset()


@pytest.fixture
def verified(encrypted):
    """Confirm's connection as the process makes it, with changes."""
    url = encrypted.environment_of("confirm")["DATABASE_URL"]
    password = encrypted.credentials.read(password_name("confirm"))

    def link(**changed):
        return make_conninfo(url, **{"password": password, "connect_timeout": 3} | changed)

    return link


@pytest.mark.native
def test_a_service_connects_to_its_database_by_tls_with_a_verified_name(verified):
    with psycopg.connect(verified()) as connection:
        row = connection.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
        assert row.fetchone() == (True,)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"sslmode": "disable"}, "no encryption", id="plain text"),
        pytest.param(
            {"host": "elsewhere.example", "hostaddr": "127.0.0.1"},
            "does not match host name",
            id="another name than the certificate's",
        ),
        pytest.param({"password": WRONG}, "password authentication failed", id="wrong password"),
        pytest.param({"user": "risk"}, "password authentication failed", id="wrong role"),
        pytest.param({"user": "nobody"}, "password authentication failed", id="no role"),
        pytest.param({"dbname": "postgres"}, "permission denied", id="another database"),
        pytest.param({"dbname": "template1"}, "permission denied", id="the template"),
    ],
)
@pytest.mark.native
def test_postgres_refuses(verified, changed, said):
    with pytest.raises(psycopg.OperationalError, match=said):
        psycopg.connect(verified(**changed))


@pytest.mark.native
def test_a_server_with_a_certificate_of_another_authority_is_refused(verified, tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(verified(sslrootcert=str(tmp_path / "other.pem")))


@pytest.fixture
def reissued(encrypted):
    """Replaces PostgreSQL's certificate while it runs; the old one is restored."""
    file = encrypted.layout.postgres / "server.pem"
    before = file.read_text()

    def write(text):
        file.write_text(text)
        with psycopg.connect(admin_dsn(encrypted.postgres, encrypted.credentials)) as admin:
            admin.execute("select pg_reload_conf()")

    yield write
    write(before)


@pytest.mark.native
def test_an_expired_certificate_is_refused_and_its_successor_is_read_without_a_restart(
    verified, reissued, encrypted
):
    secrets = encrypted.credentials
    authority = trustme.CA.from_pem(
        secrets.path(AUTHORITY).read_bytes(), secrets.path("tls-ca-key").read_bytes()
    )
    yesterday = datetime.now(UTC) - timedelta(days=1)
    expired = authority.issue_cert("127.0.0.1", not_after=yesterday)

    def is_refused():
        try:
            psycopg.connect(verified()).close()
        except psycopg.OperationalError as error:
            return "certificate verify failed" in str(error)
        return False

    assert not is_refused()
    before = postgres.postmaster(encrypted.layout)
    reissued(expired.private_key_and_cert_chain_pem.bytes().decode())
    wait_until(is_refused, seconds=5, otherwise="the expired certificate is accepted")
    reissued(secrets.read(certificate_name("postgres")) + "\n")
    wait_until(lambda: not is_refused(), seconds=5, otherwise="the new certificate is not read")
    assert postgres.postmaster(encrypted.layout) == before


@pytest.mark.parametrize(("name", "value"), [("user", "risk"), ("password", WRONG)])
def test_postgres_refuses_another_role_or_password_without_tls_too(infrastructure, name, value):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(make_conninfo(infrastructure.dsn("confirm"), **{name: value}))


def redis_of(infrastructure, user="", password=""):
    address = urlsplit(infrastructure.redis_url)
    return closing(
        Redis(
            host=address.hostname,
            port=address.port,
            username=user or None,
            password=password or None,
            socket_timeout=3,
        )
    )


@pytest.mark.parametrize(
    ("user", "password"),
    [
        pytest.param("", "", id="without a login"),
        pytest.param("default", WRONG, id="as the default user"),
        pytest.param("gateway", WRONG, id="with a wrong password"),
        pytest.param("nobody", WRONG, id="as a user that does not exist"),
    ],
)
def test_redis_refuses(infrastructure, user, password):
    with redis_of(infrastructure, user, password) as redis, pytest.raises(AuthenticationError):
        redis.ping()


@pytest.mark.parametrize(
    "command",
    [
        *("KEYS *", "FLUSHALL", "CONFIG GET *", "ACL LIST", "GET limit/user/a", "CLIENT LIST"),
        *("LPUSH session/a 1", "LINDEX other 0", "EVAL return(redis.call('GET','limit/a')) 0"),
        *("REPLICAOF 127.0.0.1 1", "SHUTDOWN", "PUBLISH a b", "SCAN 0", "DEL limit/user/a"),
    ],
)
def test_the_gateways_user_counts_limits_and_does_nothing_else(infrastructure, command):
    password = infrastructure.credentials.read(redis_name("gateway"))
    with redis_of(infrastructure, "gateway", password) as redis:
        assert redis.lpush("limit/test", 1)
        with pytest.raises(
            (NoPermissionError, ResponseError), match=r"permission|NOPERM|can't run"
        ):
            redis.execute_command(*command.split())


@pytest.mark.parametrize(
    "command",
    [
        *("KEYS *", "SCAN 0", "GETEX session/identity/a", "SET session/gateway/a 1", "DEL limit/a"),
        *("GETEX limit/user/a", "GET session/ops/a", "FLUSHALL", "CONFIG GET *"),
    ],
)
def test_a_service_with_sessions_keeps_its_own_and_lists_none(infrastructure, command):
    password = infrastructure.credentials.read(redis_name("ops"))
    with redis_of(infrastructure, "ops", password) as redis:
        assert redis.set("session/ops/test", b"sealed", ex=60)
        assert redis.getex("session/ops/test", ex=60) == b"sealed"
        assert redis.getdel("session/ops/test") == b"sealed"
        assert redis.delete("session/ops/test") == 0
        with pytest.raises(NoPermissionError):
            redis.execute_command(*command.split())


@pytest.mark.parametrize(
    "command",
    ["KEYS *", "GET cache/other/a", "GET limit/user/a", "DEL cache/insight/a", "FLUSHALL"],
)
def test_a_service_with_a_cache_keeps_its_own_and_lists_none(infrastructure, command):
    password = infrastructure.credentials.read(redis_name("insight"))
    with redis_of(infrastructure, "insight", password) as redis:
        assert redis.set("cache/insight/test", b"words", ex=60)
        assert redis.get("cache/insight/test") == b"words"
        with pytest.raises(NoPermissionError):
            redis.execute_command(*command.split())


def test_the_role_that_only_reads_has_no_login_and_no_member_but_its_service(infrastructure):
    with psycopg.connect(infrastructure.admin_dsn) as admin:
        found = admin.execute(
            """select rolcanlogin, rolinherit, array(
                   select member.rolname::text from pg_auth_members
                   join pg_roles as member on member.oid = pg_auth_members.member
                   where pg_auth_members.roleid = pg_roles.oid)
               from pg_roles where rolname like '%\\_reader'"""
        ).fetchall()
    assert found == [(False, False, ["insight"])]


def test_the_monitor_of_redis_reads_no_key(infrastructure):
    password = infrastructure.credentials.read(redis_name("monitor"))
    with redis_of(infrastructure, "monitor", password) as redis:
        assert redis.info()
        with pytest.raises(NoPermissionError):
            redis.lindex("limit/test", 0)


def test_each_service_has_its_own_secrets_for_its_doors(infrastructure):
    secrets = infrastructure.credentials
    names = [password_name("confirm"), password_name("risk"), redis_name("gateway")]
    names += ["kafka-confirm", "kafka-risk", "kafka-admin", "kafka-broker", "redis-admin"]
    assert len({secrets.read(name) for name in names}) == len(names)
