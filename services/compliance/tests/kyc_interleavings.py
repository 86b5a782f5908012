"""Every order in which a provider's calls, losses, webhooks, kills and people can meet, by seed.

The decisions, the calls and their results are those of the service. The provider loses requests and
replies, answers late or never, and sends its webhooks late, twice or not at all. A worker may be
killed between a call and its commit. Time is simulated.
"""

import heapq
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from uuid import UUID, uuid5

import orjson

from compliance.clients.onfido import ProviderCheck, ProviderRefusedError
from compliance.domain import kyc as rules
from compliance.domain.kyc import Refusal, State, Validity
from compliance.handlers import kyc as handling
from compliance.handlers.kyc import Called, Caller, Loaded, Policy, on_called
from compliance.store.kyc import Check, Document
from compliance.store.kyc_changes import announced
from compliance.store.subjects import Subject
from service_runtime.clock import chance
from service_runtime.http_client import NoAnswer, RequestNotSent
from service_runtime.messages import Batch, Cause, Due
from service_runtime.subject_keys import ErasedError, SubjectKey

START = datetime(2026, 11, 30, tzinfo=UTC)
USER = "usr-1"
KEY = SubjectKey(bytes(32))
SPACE = UUID(int=7)
LEASE_S = 20
GIVE_UP = timedelta(hours=2)
POLICY = Policy(
    first_s=5,
    most_s=600,
    give_up=GIVE_UP,
    validity=Validity(timedelta(hours=9), timedelta(hours=5)),
)
SURPLUS_S = 2 * POLICY.most_s + LEASE_S
"""A round may last as much longer than until it is given up."""
CONTENT = b"a page"
CALLS_LOST, REPLIES_LOST, KILLED, REFUSED = 0.1, 0.15, 0.1, 0.01
MOST_ROUNDS = 4


class MemoryKyc:
    """The memory twin of the tables of identity checks, as far as checks and people use them."""

    def __init__(self):
        self.profiles, self.stated, self.papers, self.check_rows = {}, {}, [], {}

    async def locked(self, user_ids):
        return {name: self.profiles[name] for name in user_ids}

    async def save(self, profile, sealed=None):
        self.profiles[profile.user_id] = profile
        if sealed is not None:
            self.stated[profile.user_id] = sealed

    async def documents(self, user_id, of_round=None):
        return [one for one in self.papers if of_round in (None, one.round)]

    async def others_with(self, _numbers, _user_id):
        return False

    async def save_check(self, check, _ended_at):
        self.check_rows[check.id] = check


class Vault:
    """The keys and documents of a person, until its erasure."""

    def __init__(self):
        self.is_erased = False

    async def key_of(self, _subject):
        if self.is_erased:
            raise ErasedError
        return KEY

    async def document(self, _key, _document_id):
        if self.is_erased:
            raise ErasedError
        return CONTENT


class Provider:
    """The provider's own books, behind a network that loses calls and replies."""

    def __init__(self, world):
        self.world, self.draw, self.numbers = world, world.draw, count(1)
        self.uploaded = defaultdict(set)
        self.checks = {}
        self.truth = {}
        self.ready_at = {}

    def _lost(self, share):
        return self.draw.random() < share

    def _enter(self):
        if self._lost(REFUSED):
            raise ProviderRefusedError("refused")
        if self._lost(CALLS_LOST):
            raise RequestNotSent("lost")

    def _leave(self, found=None):
        if self._lost(REPLIES_LOST):
            raise NoAnswer("lost")
        return found

    async def create_applicant(self, stated):
        self._enter()
        assert stated == {"name": USER}
        return self._leave(f"applicant-{next(self.numbers)}")

    async def upload(self, applicant_id, kind, file):
        self._enter()
        assert file == ("image/png", CONTENT)
        self.uploaded[applicant_id].add(kind)
        self._leave()

    async def checks_of(self, applicant_id):
        self._enter()
        return self._leave(
            [self._seen(name) for name, of in self.checks.items() if of == applicant_id]
        )

    async def create_check(self, applicant_id, reports):
        self._enter()
        needs = rules.NEEDED["ENHANCED" if len(reports) == 2 else "BASIC"]
        for kind in needs:
            assert kind & self.uploaded[applicant_id], "K7 a check without its documents"
        name = f"check-{next(self.numbers)}"
        self.checks[name] = applicant_id
        self.truth[name] = self.draw.choice(["clear", "clear", "consider"])
        never = self._lost(0.1)
        after = timedelta(seconds=self.draw.randrange(1, 9000))
        self.ready_at[name] = None if never else self.world.now + after
        if not never:
            self._send_webhooks(name, self.ready_at[name])
        return self._leave(self._seen(name))

    async def check(self, check_id):
        self._enter()
        return self._leave(self._seen(check_id))

    async def delete_applicant(self, _applicant_id):
        """Nothing of these worlds deletes one."""

    def _seen(self, name):
        ready = self.ready_at[name]
        is_ready = ready is not None and ready <= self.world.now
        return ProviderCheck(name, self.truth[name] if is_ready else None)

    def _send_webhooks(self, name, ready):
        """Send none, one or two: at once, late, or before the result can be read."""
        for _ in range(self.draw.choice([0, 1, 1, 2])):
            late = timedelta(seconds=self.draw.choice([-30, 0, 0, 60, 20_000]))
            self.world.at(max(ready + late, self.world.now), self.world.webhook, name)


class World:
    """One person's rounds, by a seed, until all is decided."""

    def __init__(self, seed):
        self.draw = chance(seed)
        self.now, self.order, self.queue = START, count(), []
        self.store, self.vault, self.provider = MemoryKyc(), Vault(), Provider(self)
        self.caller = Caller(self.provider, self.vault)
        self.subject = Subject(USER, SPACE, START, None, None, None, None, None)
        self.attempts, self.lease_until, self.events = defaultdict(int), {}, []
        self.sent_at, self.decided, self.seen = {}, {}, set()

    def at(self, when, act, *arguments):
        heapq.heappush(self.queue, (when, next(self.order), act, arguments))

    async def run(self):
        """Run it; each step must leave the invariants true."""
        self.at(START, self.person)
        while self.queue:
            self.now, _, act, arguments = heapq.heappop(self.queue)
            await act(*arguments)
            self.check_now()
        self.check_end()
        return self

    @property
    def profile(self):
        return self.store.profiles[USER]

    def _cause(self):
        return Cause(uuid5(SPACE, str(next(self.order))))

    async def _changed(self, profile, sealed=None):
        self.events += await announced(profile, self.store, self._cause(), self.now, sealed)

    # What people do.

    async def person(self):
        """State, upload and send a round; begin another one when it has ended."""
        known = self.store.profiles.get(USER)
        if known is not None and known.round >= MOST_ROUNDS:
            return
        level = self.draw.choice(["BASIC", "ENHANCED"])
        begun = rules.initiate(known, USER, level)
        if not isinstance(begun, Refusal):
            sealed = KEY.seal(orjson.dumps({"name": USER}), f"kyc_profile/{USER}")
            await self._changed(begun, sealed)
            self._upload(begun)
            await self._send()
        self._come_again()

    def _come_again(self):
        self.at(self.now + timedelta(seconds=self.draw.randrange(600, 12_000)), self.person)
        if self.draw.random() < 0.03:
            self.at(self.now + timedelta(seconds=self.draw.randrange(900)), self.erase)

    def _upload(self, begun):
        kinds = [sorted(kind) for kind in rules.NEEDED[begun.level]]
        for number, kind in enumerate(kinds):
            days = self.draw.choice([None, None, 0, 4])
            paper = Document(
                id=uuid5(SPACE, f"paper {begun.round} {number}"),
                user_id=USER,
                round=begun.round,
                type=kind[0],
                media_type="image/png",
                size_bytes=len(CONTENT),
                expires_on=None if days is None else (self.now + timedelta(days=days)).date(),
            )
            self.store.papers.append(paper)

    async def _send(self):
        known = self.profile
        papers = await self.store.documents(USER, known.round)
        sent = rules.verify(known, [one.type for one in papers])
        assert not isinstance(sent, Refusal)
        name = uuid5(SPACE, f"round {known.round}")
        check = Check(
            id=name, user_id=USER, round=known.round, created_at=self.now, due_at=self.now
        )
        self.store.check_rows[name] = check
        self.sent_at[known.round] = self.now
        await self._changed(sent)
        self.at(self.now, self.work, name)

    async def review(self):
        """A person decides about a round in review."""
        if self.profile.state is not State.REVIEW:
            return
        is_verified = self.draw.random() < 0.5
        until = POLICY.validity.until(self.profile.level, self.now, [])
        after = rules.decide(self.profile, is_verified=is_verified, until=until, now=self.now)
        assert not isinstance(after, Refusal)
        self.decided[self.profile.round] = is_verified
        self.seen.add("verified by a person" if is_verified else "rejected")
        await self._changed(after)
        self._expire_at(after)

    async def erase(self):
        """The key is destroyed; no more of the person can be sent."""
        self.seen.add("erased")
        self.vault.is_erased = True

    async def expire(self):
        """The job that announces ends by time."""
        if self.profile.announced == "verified" and self.profile.verified_until <= self.now:
            self.seen.add("expired")
            await self._changed(self.profile)

    def _expire_at(self, profile):
        if profile.verified_until is not None:
            self.at(profile.verified_until, self.expire)

    # What the provider and the worker do.

    async def webhook(self, provider_id):
        """A webhook makes its check due, and decides nothing."""
        for check in self.store.check_rows.values():
            if check.provider_id == provider_id and check.due_at is not None:
                self.store.check_rows[check.id] = replace(check, due_at=min(check.due_at, self.now))
                self.at(self.now, self.work, check.id)
            elif check.provider_id == provider_id:
                self.seen.add("late webhook")

    async def work(self, name):
        """Claim a due check, call, and commit, unless the worker is killed between."""
        check = self.store.check_rows[name]
        if check.due_at is None or check.due_at > self.now:
            return
        if self.lease_until.get(name, self.now) > self.now:
            self.at(self.lease_until[name], self.work, name)
            return
        due = Due(check, self._cause(), 1, self.attempts[name])
        self.attempts[name] += 1
        papers = await self.store.documents(USER, check.round)
        loaded = Loaded(self.subject, self.profile, self.store.stated.get(USER), papers)
        called = await self.caller(due, loaded)
        if self.draw.random() < KILLED:
            self.seen.add("killed")
            self.lease_until[name] = self.now + timedelta(seconds=LEASE_S)
            self.at(self.lease_until[name], self.work, name)
            return
        await self._commit(due, called)

    async def _commit(self, due, called: Called):
        batch = Batch([due], self.now, {due.cause.id: called})
        self.events += await on_called(batch, self.store, POLICY)
        saved = self.store.check_rows[due.row.id]
        if saved.due_at is not None:
            self.at(saved.due_at, self.work, saved.id)
            return
        self.seen.add(f"result {saved.result}")
        self._expire_at(self.profile)
        if self.profile.state is State.REVIEW:
            self.at(self.now + timedelta(seconds=self.draw.randrange(1, 5000)), self.review)

    # What must hold.

    def check_now(self):
        """Check what must hold after every step."""
        self._one_check_a_round()
        if USER in self.store.profiles:
            self._verified_for_a_reason()
            self._rejected_until_verified()
            self._given_up_in_time()

    def _one_check_a_round(self):
        rounds = len(self.store.check_rows)
        assert len(self.provider.checks) <= rounds, "K1 a round has two checks at the provider"

    def _verified_for_a_reason(self):
        known = self.profile
        if known.state is State.VERIFIED and not self.decided.get(known.round):
            check = self.store.check_rows[uuid5(SPACE, f"round {known.round}")]
            truth = self.provider.truth.get(check.provider_id)
            assert truth == "clear", "K2 verified without a clear result"
        if known.state is State.REJECTED:
            assert self.decided.get(known.round) is False, "K2 rejected by nobody"

    def _rejected_until_verified(self):
        known = self.profile
        rejected = [number for number, verified in self.decided.items() if not verified]
        ended = known.round if known.state is State.VERIFIED else known.round - 1
        later = range(max(rejected, default=0) + 1, ended + 1)
        if rejected and not any(self._was_verified(number) for number in later):
            assert known.status(self.now) == "rejected", "K5 a rejection was forgotten"

    def _was_verified(self, number):
        if number in self.decided:
            return self.decided[number]
        return number < self.profile.round or self.profile.state is State.VERIFIED

    def _given_up_in_time(self):
        known = self.profile
        if known.state is State.CHECKING:
            since = self.now - self.sent_at[known.round]
            most = GIVE_UP + timedelta(seconds=SURPLUS_S)
            assert since <= most, "K4 a round waits for ever"

    def check_end(self):
        """Check what must hold when nothing is left to be done."""
        assert self.profile.state is not State.CHECKING, "K4 a round waits for ever"
        announced_events = [one.event for one in self.events]
        versions = [one.version for one in announced_events]
        assert versions == sorted(set(versions)), "K3 two events of one version"
        statuses = ["pending", *(one.status for one in announced_events)]
        pairs = pairwise(statuses)
        assert all(a != b for a, b in pairs), "K3 an event without a change"
        ids = [one.outgoing("compliance", START).headers for one in self.events]
        assert len(ids) == len({repr(one) for one in ids}), "K3 two events of one id"
        assert statuses[-1] == self.profile.status(self.now), "K6 risk knows another status"


def planted(patch, name):
    """Plant a bug by its name."""
    match name:
        case "a check is begun without a look-up":
            patch.setattr(Caller, "_begun", _begun_blindly)
        case "no result counts as a clear one":
            patch.setattr(handling, "conclude", _concluded_openly)
        case "a renewal forgets a rejection":
            initiate = rules.initiate
            patch.setattr(rules, "initiate", lambda *given: _forgiven(initiate(*given)))
        case "nobody is given up":
            forever = replace(POLICY, give_up=timedelta(days=3650))
            patch.setattr("kyc_interleavings.POLICY", forever)


async def _begun_blindly(self, check, applicant_id, loaded):
    reports = handling.REPORTS[loaded.profile.level]
    begun = await self.provider.create_check(applicant_id, reports)
    return replace(check, provider_id=begun.id)


def _concluded_openly(known, _result, until, now):
    return rules.conclude(known, "clear", until, now)


def _forgiven(begun):
    return begun if isinstance(begun, Refusal) else replace(begun, rejected_at=None)
