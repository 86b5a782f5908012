"""Verdicts on names: the invented list, and lists of single entries."""

import pytest

from screening.domain.analysis import Party
from screening.domain.entries import Entry, SanctionsList
from screening.domain.matching import Screener
from screening.domain.results import normalised
from screening.domain.tokens import Tokens


def of_one(*names, **fields):
    entry = Entry("LIST", "1", fields.pop("schema", "Person"), names, **fields)
    return Screener([SanctionsList("LIST", "7", (entry,))])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("Oleksandr Pavlovich Varennikov", id="as it is listed, given name first"),
        pytest.param("OLEKSANDR VARENNIKOV", id="a part left out"),
        pytest.param("Oleskandr Varennikov", id="two letters swapped"),
        pytest.param("Oleksandr Varennikof", id="one letter replaced"),
        pytest.param("Олександр Варенников", id="in another script"),
        pytest.param("Alexander Varenikov", id="an alias"),
        pytest.param("the gardener", id="a weak alias, whole"),
        pytest.param("Tariq Qureshani", id="another entry"),
        pytest.param("TarikKureishani", id="both parts written as one"),
        pytest.param(
            "Blackharbour Maritime Trading Company", id="an organisation, its form in full"
        ),
        pytest.param("Black harbour Maritime Trading Co", id="one part written as two"),
    ],
)
def test_a_listed_name_is_found_however_it_is_written(screener, name):
    match = screener.screen(Party(normalised(name)))
    assert match is not None
    assert match.score >= 70
    assert match.explanation or match.score == 80


@pytest.mark.parametrize(
    "name",
    [
        "Maria Garcia",
        "James Smith",
        "Oleksandr Shevchenko",
        "Tariq Ahmed",
        "Mahmoud Hassan",
        "Harbour Trading",
        "gardener",
        "Nguyễn Văn An",
        "王伟",
        "...",
    ],
)
def test_an_innocent_name_passes(screener, name):
    assert screener.screen(Party(normalised(name))) is None


@pytest.mark.parametrize("name", ["Oleskandr Varennikov", "Maria Garcia", "Tarik Kureishani"])
def test_the_verdict_is_that_of_a_scan_of_the_whole_list(screener, name):
    assert [screener.screen(Party(name))] == screener.scan([Party(name)])


def test_two_people_in_one_process_are_not_mistaken_for_one_another(screener):
    # LogicV2 keeps analysed names by the id of an entity.
    first, other = Party("tariq qureshani"), Party("oleksandr varennikov")
    found = [screener.screen(party).entry.id for party in (first, other, first)]
    assert found == ["1002", "1001", "1002"]


def test_a_new_list_is_not_mistaken_for_the_old_one():
    assert of_one("Ada Lovelace").screen(Party("ada lovelace"))
    assert of_one("Grace Hopper").screen(Party("ada lovelace")) is None
    assert of_one("Grace Hopper").screen(Party("grace hopper"))


def test_a_name_of_single_han_characters_needs_a_second_factor():
    screener = of_one("王 成", birth_dates=("1965-03-14",), countries=("China",))
    assert screener.screen(Party("王 成")) is None
    assert screener.screen(Party("王 成", birth_date="1965"))
    assert screener.screen(Party("王 成", country="China"))
    assert screener.screen(Party("王 成", birth_date="1966")) is None


def test_another_birth_date_and_country_lower_the_score():
    screener = of_one("Ada Lovelace", birth_dates=("1965-03-14",), countries=("Cuba",))
    alone = screener.screen(Party("ada lovelace"))
    assert alone.score == 100
    assert screener.screen(Party("ada lovelace", birth_date="1990-01-01", country="Chad")) is None


def test_a_vessel_is_found_by_a_vessels_name_alone(screener):
    assert screener.screen(Party("sea lantern", "Vessel")).entry.id == "1006"
    assert screener.screen(Party("sea lantern")) is None


@pytest.mark.parametrize(
    ("account", "entry"),
    [
        ("payee-sanctioned", "1004"),
        ("north-payee-sanctioned", "1004"),
        ("payee-sanctioned-2", None),
        ("unpayee-sanctioned", None),
    ],
)
def test_an_account_is_found_with_the_prefix_of_a_bank(screener, account, entry):
    found = screener.account(account)
    assert (found and found.id) == entry


def test_a_token_finds_those_within_its_edits_and_no_others():
    tokens = Tokens(["mohammed", "muhammad", "mahmoud", "ali", "aly", "karafarin"])
    found = {tokens.texts[number] for number in tokens.near("mohammad")[0]}
    assert found == {"mohammed", "muhammad"}
    assert [tokens.texts[number] for number in tokens.near("ali")[0]] == ["ali"]
    assert [one.tolist() for one in tokens.near("karafarin")] == [[5], [1.0]]
    assert not len(tokens.near("unrelated")[0])


def test_a_party_prints_without_its_name():
    assert "lovelace" not in repr(Party("ada lovelace"))
