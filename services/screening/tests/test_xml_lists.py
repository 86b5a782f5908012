"""The lists of the EU and the UN: what is read of them, and what is refused. All names invented."""

import hashlib
import json

import pytest

from screening.clients import ListFolder, ListsError
from screening.domain import eu, un
from screening.domain.analysis import Party
from screening.domain.entries import ListError
from screening.domain.matching import Screener

EU = """<?xml version="1.0" encoding="UTF-8"?>
<export xmlns="http://eu.europa.ec/fpi/fsd/export" generationDate="2026-11-30T10:00:00">
  <sanctionEntity euReferenceNumber="EU.1.10" logicalId="10" designationDetails="">
    <remark>An invented person.</remark>
    <regulation programme="DEMO" numberTitle="1/2026 (OJ L1)" logicalId="1">
      <publicationUrl>https://example.com</publicationUrl>
    </regulation>
    <regulation programme="DEMO" logicalId="2"/>
    <subjectType code="person" classificationCode="P"/>
    <nameAlias firstName="Ada" middleName="" lastName="LOVELACE" wholeName="Ada  LOVELACE"
               strong="true" logicalId="3"/>
    <nameAlias firstName="Августа" lastName="Кинг" wholeName="" strong="true" logicalId="4"/>
    <nameAlias wholeName="The Countess" strong="false" logicalId="5"/>
    <nameAlias wholeName="" firstName="" lastName="" strong="true" logicalId="6"/>
    <citizenship countryIso2Code="CU" countryDescription="CUBA"/>
    <citizenship countryIso2Code="00" countryDescription="UNKNOWN"/>
    <birthdate circa="false" birthdate="1965-03-14" year="1965"/>
    <birthdate circa="true" birthdate="1966-01-01" year="1966"/>
    <birthdate circa="false" year="1967"/>
    <birthdate circa="false" place="Nowhere"/>
  </sanctionEntity>
  <sanctionEntity logicalId="11">
    <subjectType code="enterprise" classificationCode="E"/>
    <nameAlias wholeName="Wavecrest Holdings Ltd" strong="false"/>
  </sanctionEntity>
</export>
"""
UN = """<?xml version="1.0" encoding="utf-8"?>
<CONSOLIDATED_LIST dateGenerated="2026-11-30T00:00:00.000Z">
  <INDIVIDUALS>
    <INDIVIDUAL>
      <DATAID>111</DATAID>
      <FIRST_NAME>ADA</FIRST_NAME><SECOND_NAME> AUGUSTA</SECOND_NAME>
      <THIRD_NAME>LOVELACE</THIRD_NAME>
      <UN_LIST_TYPE>Demo</UN_LIST_TYPE>
      <REFERENCE_NUMBER>DMi.001.</REFERENCE_NUMBER>
      <NAME_ORIGINAL_SCRIPT>Ада Лавлейс</NAME_ORIGINAL_SCRIPT>
      <NATIONALITY><VALUE>Cuba</VALUE><VALUE> </VALUE></NATIONALITY>
      <INDIVIDUAL_ALIAS><QUALITY>Good</QUALITY><ALIAS_NAME>Ada King; A. King</ALIAS_NAME>
      </INDIVIDUAL_ALIAS>
      <INDIVIDUAL_ALIAS><QUALITY>Low</QUALITY><ALIAS_NAME>The Countess</ALIAS_NAME>
      </INDIVIDUAL_ALIAS>
      <INDIVIDUAL_ALIAS><QUALITY/><ALIAS_NAME/></INDIVIDUAL_ALIAS>
      <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>EXACT</TYPE_OF_DATE><DATE>1965-03-14</DATE>
      </INDIVIDUAL_DATE_OF_BIRTH>
      <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>APPROXIMATELY</TYPE_OF_DATE>
        <DATE>1966-01-01T00:00:00</DATE></INDIVIDUAL_DATE_OF_BIRTH>
      <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>EXACT</TYPE_OF_DATE><YEAR>1967</YEAR>
      </INDIVIDUAL_DATE_OF_BIRTH>
      <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>BETWEEN</TYPE_OF_DATE>
        <FROM_YEAR>1968</FROM_YEAR><TO_YEAR>1970</TO_YEAR></INDIVIDUAL_DATE_OF_BIRTH>
      <INDIVIDUAL_DATE_OF_BIRTH/>
    </INDIVIDUAL>
  </INDIVIDUALS>
  <ENTITIES>
    <ENTITY>
      <DATAID>112</DATAID>
      <FIRST_NAME>WAVECREST HOLDINGS</FIRST_NAME>
      <ENTITY_ALIAS><QUALITY>f.k.a.</QUALITY><ALIAS_NAME>Blackwater Bay Trading</ALIAS_NAME>
      </ENTITY_ALIAS>
    </ENTITY>
  </ENTITIES>
</CONSOLIDATED_LIST>
"""


def test_the_eus_list_is_read():
    person, company = eu.read_entries("EU", EU.encode())
    assert (person.id, person.schema, person.list_name) == ("EU.1.10", "Person", "EU")
    assert person.names == ("Ada LOVELACE", "Августа Кинг")
    assert person.weak_aliases == ("The Countess",)
    assert person.birth_dates == ("1965-03-14", "1966", "1967")
    assert (person.countries, person.programmes) == (("CUBA",), ("DEMO",))
    # A name that the list calls weak is still the only one.
    assert (company.id, company.schema) == ("11", "Organization")
    assert (company.names, company.weak_aliases) == (("Wavecrest Holdings Ltd",), ())


def test_the_uns_list_is_read():
    person, company = un.read_entries("UN", UN.encode())
    assert (person.id, person.schema, person.list_name) == ("DMi.001", "Person", "UN")
    assert person.names == ("ADA AUGUSTA LOVELACE", "Ада Лавлейс", "Ada King", "A. King")
    assert person.weak_aliases == ("The Countess",)
    assert person.birth_dates == ("1965-03-14", "1966", "1967", "1968", "1969", "1970")
    assert (person.countries, person.programmes) == (("Cuba",), ("Demo",))
    assert (company.id, company.schema) == ("112", "Organization")
    assert company.names == ("WAVECREST HOLDINGS", "Blackwater Bay Trading")


DOCTYPE = '<!DOCTYPE x [<!ENTITY y "z">]>\n'


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        pytest.param(eu.read_entries, EU[:-30], "well-formed", id="cut off"),
        pytest.param(un.read_entries, UN[:-30], "well-formed", id="cut off"),
        pytest.param(eu.read_entries, UN, "no sanctionEntity", id="the other list"),
        pytest.param(un.read_entries, EU, "no INDIVIDUAL and no ENTITY", id="the other list"),
        pytest.param(eu.read_entries, "number,name\n", "well-formed", id="no XML"),
        pytest.param(
            eu.read_entries, EU.replace("<export", DOCTYPE + "<export"), "document type", id="a DTD"
        ),
        pytest.param(
            eu.read_entries, EU.replace('"person"', '"planet"'), "EU.1.10 .* type", id="a type"
        ),
        pytest.param(
            eu.read_entries,
            EU.replace("Wavecrest Holdings Ltd", " "),
            "11 has no name",
            id="no name",
        ),
        pytest.param(
            eu.read_entries, EU.replace('logicalId="11"', 'logicalId="EU.1.10"'), "two", id="an id"
        ),
        pytest.param(un.read_entries, UN.replace("<DATAID>112</DATAID>", ""), "no id", id="no id"),
    ],
)
def test_a_file_of_another_shape_is_refused(read, content, message):
    with pytest.raises(ListError, match=message):
        read("LIST", content.encode())


def write(folder, name, kind, content, **files):
    manifest = {"list": name, "version": "7", "format": kind, "files": {}}
    for role, raw in {"entries": content.encode(), **files}.items():
        (folder / f"{name}-{role}.xml").write_bytes(raw)
        sha256 = hashlib.sha256(raw).hexdigest()
        manifest["files"][role] = {"file": f"{name}-{role}.xml", "sha256": sha256}
    (folder / f"{name}.json").write_text(json.dumps(manifest))


def test_both_lists_are_searched_beside_one_another(tmp_path):
    write(tmp_path, "EU", "eu", EU, accounts=b"EU.1.10,payee-ada\n")
    write(tmp_path, "UN", "un", UN)
    screener = Screener(ListFolder(tmp_path).read())
    assert [one.label for one in screener.lists] == ["EU 7", "UN 7"]
    assert screener.screen(Party("ada lovelcae")).entry.key == "EU:EU.1.10"
    assert screener.screen(Party("blackwater bay tradng")).entry.key == "UN:112"
    assert screener.screen(Party("the countess")).entry.id in {"EU.1.10", "DMi.001"}
    assert screener.screen(Party("maria garcia")) is None
    assert screener.account("payee-ada").id == "EU.1.10"


@pytest.mark.parametrize(
    ("kind", "content", "files"),
    [("eu", EU, {"aliases": b""}), ("un", UN, {"aliases": b""}), ("ofac", "", {})],
)
def test_a_manifest_names_the_files_of_its_format(tmp_path, kind, content, files):
    write(tmp_path, "ONE", kind, content, **files)
    with pytest.raises(ListsError, match=r"files\.aliases"):
        ListFolder(tmp_path).read()
