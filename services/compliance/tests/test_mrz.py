"""Machine-readable zones: the specimens of ICAO Doc 9303, every single changed character, names."""

from datetime import date

import pytest

from compliance.domain.mrz import MrzError, check_digit, disagreements, zone_of

TODAY = date(2026, 11, 30)
BORN = date(1974, 8, 12)
# Source: ICAO Doc 9303, parts 4, 6 and 5, appendix of each: the specimens of Utopia.
TD3 = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"
TD2 = "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nD231458907UTO7408122F1204159<<<<<<<6"
TD1 = (
    "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<"
)


def td3(names, number="L898902C3", born="740812", ends="301231"):
    """Return a passport's zone with right check digits."""
    parts = [number + check_digit(number), born + check_digit(born), ends + check_digit(ends)]
    second = f"{parts[0]}UTO{parts[1]}F{parts[2]}" + "<" * 14 + "0"
    composite = check_digit("".join(parts) + "<" * 14 + "0")
    return f"P<UTO{names:<39.39}".replace(" ", "<") + "\n" + second + composite


@pytest.mark.parametrize(
    ("text", "code", "number"),
    [(TD3, "P", "L898902C3"), (TD2, "I", "D23145890"), (TD1, "I", "D23145890")],
)
def test_the_specimens_are_read(text, code, number):
    zone = zone_of(text, TODAY)
    assert (zone.document_code, zone.issuer, zone.number) == (code, "UTO", number)
    assert (zone.surname, zone.given_names, zone.nationality) == ("ERIKSSON", "ANNA MARIA", "UTO")
    assert (zone.birth, zone.expiry) == (BORN, date(2012, 4, 15))
    assert zone_of(text.lower().replace("<", " < "), TODAY) == zone
    assert "ERIKSSON" not in repr(zone)
    assert number not in repr(zone)


@pytest.mark.parametrize("text", [TD3, TD2])
def test_each_changed_digit_of_the_second_line_is_found(text):
    first, second = text.splitlines()
    for place, one in enumerate(second):
        if one.isdigit():
            changed = second[:place] + str((int(one) + 1) % 10) + second[place + 1 :]
            with pytest.raises(MrzError, match="check digit"):
                zone_of(f"{first}\n{changed}", TODAY)


def test_a_long_number_of_a_card_goes_on_in_the_optional_field():
    # Source: part 5, note j: D23145890734, check digit 9.
    text = (
        "I<UTOD23145890<7349<<<<<<<<<<<\n3407127M9507122UTO<<<<<<<<<<<2\n"
        "STEVENSON<<PETER<JOHN<<<<<<<<<"
    )
    assert zone_of(text, TODAY).number == "D23145890734"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "two lines"),
        (TD3.splitlines()[0], "two lines"),
        (TD3 + "\n" + "<" * 44, "two lines"),
        (TD3.replace("L", "*"), "A to Z"),
        (td3("ERIKSSON<<ANNA", born="740230"), "date of birth: is no date"),
        (td3("ERIKSSON<<ANNA", born="74<<<<"), "date of birth: must be known"),
        (td3("ERIKSSON<<ANNA", ends="301301"), "date of expiry: is no date"),
        (td3("<<ANNA"), "name: is missing"),
    ],
)
def test_a_zone_that_cannot_be_read_is_refused_by_its_part(text, why):
    with pytest.raises(MrzError, match=why) as refused:
        zone_of(text, TODAY)
    assert "L898902C3" not in str(refused.value)


def test_a_year_of_two_digits_is_of_the_past_for_births():
    assert zone_of(td3("A<<B", born="261201"), TODAY).birth == date(1926, 12, 1)
    assert zone_of(td3("A<<B", born="261130"), TODAY).birth == TODAY
    assert zone_of(td3("A<<B", ends="991231"), TODAY).expiry == date(2099, 12, 31)


AGREEING = [
    ("ERIKSSON<<ANNA<MARIA", "Eriksson", "Anna"),
    ("ERIKSSON<<ANNA<MARIA", "eriksson", "Maria"),
    ("MUELLER<<JUERGEN", "Müller", "Jürgen"),
    ("MULLER<<JURGEN", "Müller", "Jürgen"),
    ("STRASSE<<THORA", "Straße", "Þóra"),
    ("OCONNOR<<ENYA<SIOBHAN", "O'Connor", "Enya Siobhán"),
    ("VAN<DER<MEER<<J", "van der Meer", "J."),
    ("SMITH<JONES<<ANN", "Smith-Jones", "Ann"),
    ("NILAVADHANANANDA<<CHAYAPA<DEJTHAMRONG<K", "Nilavadhanananda", "Chayapa Dejthamrong Krasuang"),
]
DISAGREEING = [
    ("ERIKSSON<<ANNA<MARIA", "Erikson", "Anna", ["surname"]),
    ("ERIKSSON<<ANNA<MARIA", "Eriksson", "Anne", ["given names"]),
    ("ERIKSSON<<ANNA<MARIA", "Eriksson", "Maria Anna", ["given names"]),
    ("ERIKSSON<<ANNA", "Anna", "Eriksson", ["surname", "given names"]),
    ("VAN<DER<MEER<<J", "Meer", "J", ["surname"]),
    ("ERIKSSON<<", "Eriksson", "Anna", ["given names"]),
    ("NILAVADHANANANDA<<CHAYAPA<DEJTHAMRONG<K", "Nilavadhanananda", "Chayapa Bob", ["given names"]),
]


@pytest.mark.parametrize(("names", "surname", "given"), AGREEING)
def test_names_agree_in_either_transliteration(names, surname, given):
    assert list(disagreements(zone_of(td3(names), TODAY), surname, given, BORN)) == []


@pytest.mark.parametrize(("names", "surname", "given", "wrong"), DISAGREEING)
def test_another_name_does_not_agree(names, surname, given, wrong):
    assert list(disagreements(zone_of(td3(names), TODAY), surname, given, BORN)) == wrong


def test_another_birth_does_not_agree():
    zone = zone_of(TD3, TODAY)
    assert list(disagreements(zone, "Eriksson", "Anna", date(1974, 8, 13))) == ["date of birth"]
