"""What a login asks: the policy's query, whole or for fewer cards; who a card speaks of; settings that go together."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from issuer.login.assembly import provider_account
from issuer.login.citizens import create_citizen
from issuer.login.presentation.use_cases.requests import narrow_query
from issuer.login.presentation.use_cases.results import read_citizen
from issuer.records.ports import Citizen
from issuer.settings import IssuerSettings
from wallet_core.adapters.config import SettingsError, load_catalogue
from wallet_core.adapters.keystore import KeyStore
from wallet_core.errors import NotFound, QueryNotSatisfied
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.presented import PresentedCredential

QUERY = load_catalogue().policies["issuer-login"].dcql_query
LICENCE, CARD, MDL = "urn:jigap:vct:drivers-licence:1", "urn:jigap:vct:resident-card:1", "org.iso.18013.5.1.mDL"
SETTINGS = {
    "JIGAP_ISSUER_PUBLIC_URL": "https://issuer.example",
    "JIGAP_ISSUER_DATABASE_URL": "sqlite:///x.db",
}


def presented(claims: dict[str, Any], type_: str = LICENCE) -> PresentedCredential:
    return PresentedCredential("dc+sd-jwt", type_, claims, None, "x", datetime(2030, 1, 1, tzinfo=UTC), True)


def test_every_card_that_counts_anywhere_is_asked_for() -> None:
    catalogue = load_catalogue()
    accepted = {each for one in catalogue.types.values() for each in one.issuance.login_by_credential}
    names = {catalogue.types[each].vct for each in accepted} | {MDL}
    asked = {
        name
        for entry in QUERY["credentials"]  # type: ignore[union-attr]
        for name in entry["meta"].get("vct_values", [entry["meta"].get("doctype_value")])  # type: ignore[union-attr,index,call-overload]
    }
    assert asked == names
    # Our wallet believes the purpose of exactly this query.
    assert narrow_query(QUERY, names) is QUERY


def test_fewer_cards_narrow_the_query() -> None:
    narrowed = parse_dcql_query(narrow_query(QUERY, {CARD}))
    assert [entry.id for entry in narrowed.credentials] == ["resident_card"]
    assert narrowed.is_satisfied_by({"resident_card": ()})  # type: ignore[dict-item]
    both = parse_dcql_query(narrow_query(QUERY, {LICENCE, MDL}))
    assert [entry.id for entry in both.credentials] == ["licence", "licence_mdoc"]
    with pytest.raises(NotFound):
        narrow_query(QUERY, {"urn:other"})


def test_all_cards_speak_of_one_person() -> None:
    query = parse_dcql_query(QUERY)
    jiwoo, other = ({"name": name, "birth_date": "1993-05-14"} for name in ("한지우", "오시험"))
    both: Any = {"licence": (presented(jiwoo),), "resident_card": (presented(jiwoo, CARD),)}
    assert read_citizen(query, both) == Citizen("한지우", date(1993, 5, 14))
    for bad in (
        {**both, "resident_card": (presented(other, CARD),)},
        {"licence": (presented({"name": "한지우"}),)},
        {"licence": (presented({"name": "한지우", "birth_date": "1993"}),)},
        {},
    ):
        with pytest.raises(QueryNotSatisfied):
            read_citizen(query, bad)


@pytest.mark.parametrize(
    ("name", "born"),
    [
        ("", "1993-05-14"),
        ("한지우", "1993-W19-5"),
        ("한지우", "19930514"),
        ("한지우", "1993-02-30"),
        ("한지우", "0000-05-14"),
        ("한지우", None),
        (5, "1993-05-14"),
        ("x" * 201, "1993-05-14"),
    ],
)
def test_what_is_no_person(name: Any, born: Any) -> None:
    assert create_citizen(name, born) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"OPENID_ISSUER": "https://login.example"},
        {"OPENID_CLIENT_ID": "x"},
        {"OPENID_ISSUER": "https://login.example", "OPENID_CLIENT_ID": "x"},
        {
            "OPENID_ISSUER": "https://login.example",
            "OPENID_CLIENT_ID": "x",
            "OPENID_CLIENT_KEY": "login",
            "OPENID_CLIENT_SECRET_FILE": "secret",
        },
    ],
)
def test_half_a_provider_stops_the_start(settings: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="OPENID"):
        IssuerSettings.from_environment(SETTINGS | {f"JIGAP_ISSUER_{name}": value for name, value in settings.items()})


def test_a_provider_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    def account(issuer: str, secret: str) -> Any:
        settings = {"OPENID_ISSUER": issuer, "OPENID_CLIENT_ID": "x", "OPENID_CLIENT_SECRET_FILE": secret}
        named = {f"JIGAP_ISSUER_{name}": value for name, value in settings.items()}
        return provider_account(IssuerSettings.from_environment(SETTINGS | named), KeyStore(tmp_path))

    (tmp_path / "secret").write_text("s\n")
    found = account("https://login.example", str(tmp_path / "secret"))
    assert (found.secret, found.signer) == ("s", None)
    for issuer, secret in (("http://login.example", "secret"), ("https://login.example", "gone")):
        with pytest.raises(SettingsError):
            account(issuer, str(tmp_path / secret))
