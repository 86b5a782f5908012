"""Lists: OFAC's files, manifests, and a change while the service runs."""

import hashlib
import json

import pytest
from lists_world import entries, write

from screening.clients import ListFolder, Lists, ListsError
from screening.domain.analysis import Party
from screening.domain.ofac import ListError, read_accounts, read_entries

ALIAS = '36,12,"aka","KING, Augusta",-0- \n'


def test_an_entry_has_names_dates_countries_and_programmes():
    (entry,) = read_entries("OFAC", entries("").encode(), ALIAS.encode())
    assert (entry.id, entry.schema) == ("36", "Person")
    assert entry.names == ("LOVELACE, Ada", "KING, Augusta")
    assert entry.weak_aliases == ("COUNT",)
    assert entry.birth_dates == ("1965-03-14", "1966-03", "1967")
    assert entry.countries == ("Cuba",)
    assert entry.programmes == ("SDGT", "CUBA")


def test_latin_1_is_read_like_utf_8():
    text = entries("").replace("Ada", "Adá")
    assert read_entries("OFAC", text.encode("latin-1"), b"") == read_entries(
        "OFAC", text.encode(), b""
    )


@pytest.mark.parametrize(
    ("content", "aliases", "message"),
    [
        ("", "37,1,aka,X,-0-", "no entry has the number 37"),
        ("36,two,fields\n", "", "entries: line 1"),
        (f'x,"A"{",-0- " * 10}\n', "", "entries: line 1"),
        (f'36,"A","planet"{",-0- " * 9}\n', "", "unknown type"),
        ("\n", "", "is empty"),
    ],
)
def test_a_file_of_another_shape_is_refused(content, aliases, message):
    with pytest.raises(ListError, match=message):
        read_entries("OFAC", entries(content).encode(), aliases.encode())


def test_an_account_of_an_unknown_entry_is_refused():
    found = read_entries("OFAC", entries("").encode(), b"")
    assert read_accounts(found, b"36,payee-1\n") == {"payee-1": "36"}
    with pytest.raises(ListError, match="number 37"):
        read_accounts(found, b"37,payee-1\n")


@pytest.mark.parametrize("packed", [False, True])
async def test_a_changed_list_takes_the_place_of_the_old_one_with_its_results(tmp_path, packed):
    write(tmp_path, packed=packed)
    async with Lists(ListFolder(tmp_path), 10) as lists:
        before = lists.current
        assert before.screen(Party("ada lovelace"), by_account=False).entry.id == "36"
        await lists.refresh()
        assert lists.current is before
        write(tmp_path, "GRACE HOPPER", "2", packed=packed)
        await lists.refresh()
        assert lists.current.version == "OFAC 2"
        assert lists.current.screen(Party("ada lovelace"), by_account=False).entry is None
        found = lists.current.screen(Party("grace hopper"), by_account=True)
        assert (found.version, found.by) == ("2", ("account", "name"))


@pytest.mark.parametrize(
    "fault",
    [
        lambda folder: (folder / "sdn.csv").write_text("another content"),
        lambda folder: (folder / "ofac.json").write_text("{}"),
        lambda folder: (folder / "ofac.json").unlink(),
        lambda folder: write(folder, format="excel"),
        lambda folder: write(folder, files={}),
        lambda folder: (folder / "copy.json").write_bytes((folder / "ofac.json").read_bytes()),
    ],
)
async def test_a_wrong_list_changes_nothing_and_stops_a_start(tmp_path, fault):
    write(tmp_path)
    async with Lists(ListFolder(tmp_path), 10) as lists:
        before = lists.current
        write(tmp_path, "GRACE HOPPER", "2")
        fault(tmp_path)
        await lists.refresh()
        assert lists.current is before
    with pytest.raises(ListsError):
        async with Lists(ListFolder(tmp_path), 10):
            pass


def test_a_cut_off_archive_is_refused(tmp_path):
    write(tmp_path, packed=True)
    raw = (tmp_path / "sdn.csv.gz").read_bytes()[:-10]
    (tmp_path / "sdn.csv.gz").write_bytes(raw)
    manifest = json.loads((tmp_path / "ofac.json").read_text())
    manifest["files"]["entries"]["sha256"] = hashlib.sha256(raw).hexdigest()
    (tmp_path / "ofac.json").write_text(json.dumps(manifest))
    with pytest.raises(ListsError, match="cut off"):
        ListFolder(tmp_path).read()
