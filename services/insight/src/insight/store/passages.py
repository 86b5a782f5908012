"""The passages of documents, searched by PostgreSQL's full text."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from insight.domain.documents import Passage, digest_of, subject_of
from insight.store.figures import Viewer, as_reader
from service_runtime.ports import Database
from service_runtime.postgres import json_rows

MOST_FOUND = 5
_SEARCH = """
    with total as (select greatest(count(*), 1)::float8 as passages from passage),
    asked as materialized (
        -- An unknown word is as rare as one of a single passage.
        select word.lexeme, ln(1 + total.passages / coalesce(known.passages, 1)) as weight
        from unnest(to_tsvector('english', %(question)s)) as word
        left join passage_lexeme as known using (lexeme), total
    ),
    found as (
        select passage.id,
            -- The constant: that a word is there at all counts, wherever it is.
            sum(asked.weight * (0.1 + ts_rank(search, quote_literal(asked.lexeme)::tsquery, 1)))
                as score,
            sum(asked.weight) / (select sum(weight) from asked) as coverage
        from passage join asked on search @@ quote_literal(asked.lexeme)::tsquery
        group by passage.id order by score desc, passage.id limit %(most)s
    )
    select source, title, body, score, coverage from found join passage using (id)
    order by score desc, id"""
_LEXEMES = """
    insert into passage_lexeme
    select word, ndoc from ts_stat('select search from passage')"""


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that a search found; `coverage`: the share of the question's words in it."""

    source: str
    title: str
    body: str
    score: float
    coverage: float


class Passages:
    """The passages of one installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def replace(self, passages: Sequence[Passage]) -> bool:
        """Store the passages in one transaction; return whether they have changed."""
        digest = digest_of(passages)
        async with self._database.transaction() as tx:
            # Instances that start together do it once.
            await tx.run("select pg_advisory_xact_lock(hashtext('insight passages'))")
            rows = await tx.rows("select 1 from passage_version where digest = %(d)s", d=digest)
            if rows:
                return False
            await tx.run("delete from passage")
            await tx.run("delete from passage_lexeme")
            await tx.run(
                """insert into passage (source, audience, title, body)
                   select source, audience, title, body
                   from json_to_recordset(%(rows)s::json)
                       as new (source text, audience text, title text, body text)""",
                rows=json_rows([asdict(one) for one in passages]),
            )
            await tx.run(_LEXEMES)
            await tx.run(
                """insert into passage_version (digest) values (%(d)s)
                   on conflict (one) do update set digest = excluded.digest""",
                d=digest,
            )
        return True

    async def search(self, question: str, viewer: Viewer) -> list[Found]:
        """Return the passages that fit a question best, of those that the viewer may see."""
        async with self._database.transaction() as tx:
            await as_reader(tx, viewer)
            rows = await tx.rows(_SEARCH, question=subject_of(question), most=MOST_FOUND)
        return [Found(**row) for row in rows]
