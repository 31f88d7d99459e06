"""Our wallet at our issuer, from the list of agencies to the card: plain and high-assurance, both grants."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.issuing import HOST, LICENCE
from tests.support.whole_issuance import HAIP_AGENCY, HAIP_CONFIGURATION, Country, start_country


@pytest.fixture
def country(tmp_path: Path, database_url: str) -> Country:
    found = start_country(tmp_path, database_url, f"sqlite:///{tmp_path / 'wallet.db'}")
    found.person.sign_in(found, "jiwoo")  # type: ignore[arg-type]
    yield found
    for each in (found.issuers.client, *found.issuers.browsers):
        each.close()
    found.issuers.under_test.issuer.database.close()


def ask_for(country: Country, agency: str, configuration: str) -> str:
    """Choose at the wallet and return the address of the login."""
    person, issuer = country.person, country.identifier(agency)
    person.get("/add")
    person.get(f"/add/issuer?id={issuer}")
    assert person.page.status_code == 200, person.text
    person.post("/add", {"issuer": issuer, "configuration": configuration})
    assert person.path.startswith("/offers/"), person.text
    answer = person.post(f"{person.path}/login", follow_redirects=False)
    location: str = answer.headers["location"]
    assert location.startswith(HOST), person.client.get(location, headers={"accept": "text/html"}).text
    return location


def come_back(country: Country, location: str) -> None:
    parts = urlsplit(location)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://wallet.example/callback"
    country.person.get(f"/callback?{parts.query}")
    assert "지갑에 넣을까요" in country.person.text, country.person.text
    country.person.post(f"{country.person.path}/keep")
    assert "지갑에 넣었어요" in country.person.text


def test_a_plain_agency_and_a_person_who_asks_of_her_own_accord(country: Country) -> None:
    url = ask_for(country, "police", LICENCE)
    come_back(country, country.log_in(url, agency="police"))
    listed = country.issuers.under_test.api("GET", "/credentials").json()["credentials"]
    assert {each["subject_id"] for each in listed} == {"p02"}


def test_an_agency_of_the_high_assurance_profile(country: Country) -> None:
    url = ask_for(country, HAIP_AGENCY, HAIP_CONFIGURATION)
    assert "request_uri=" in url
    come_back(country, country.log_in(url, agency=HAIP_AGENCY))
    for end in ("/oauth/par", "/oauth/token"):
        headers = country.requests_to(end)[-1].headers
        assert {"DPoP", "OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP"} <= set(headers)
    assert country.requests_to("/credential")[-1].headers["Authorization"].startswith("DPoP ")


def test_an_offer_that_asks_to_log_in(country: Country) -> None:
    made = country.issuers.under_test.api(
        "POST",
        "/offers",
        json={"credential_configuration_ids": [LICENCE], "grant": "authorization_code", "subject_id": "p02"},
    ).json()
    person = country.person
    person.get("/scan")
    person.post("/scan", {"link": made["uri"]})
    person.post(f"{person.path}/fetch")
    answer = person.post(f"{person.path}/login", follow_redirects=False)
    come_back(country, country.log_in(answer.headers["location"], agency="police"))


@pytest.mark.parametrize("agency", ["police", HAIP_AGENCY])
def test_a_pre_authorized_code(country: Country, agency: str) -> None:
    configuration = LICENCE if agency == "police" else HAIP_CONFIGURATION
    made = country.issuers.under_test.offer(agency, configuration=configuration, tx_code=True)
    person = country.person
    person.get("/scan")
    person.post("/scan", {"link": made["uri"]})
    person.post(f"{person.path}/fetch")
    person.post(f"{person.path}/accept", {"tx_code": made["tx_code"]})
    assert "지갑에 넣을까요" in person.text, person.text
    assert {"DPoP", "OAuth-Client-Attestation"} <= set(country.requests_to("/oauth/token")[-1].headers)


def test_who_cancels_there_is_back_here(country: Country) -> None:
    url = ask_for(country, "police", LICENCE)
    parts = urlsplit(url)
    browser = country.browser
    answer = browser.client.get(f"{parts.path}?{parts.query}", headers={"accept": "text/html"})
    while answer.status_code == 303:
        answer = browser.client.get(answer.headers["location"], headers={"accept": "text/html"})
    browser.page = answer
    back = browser.post("/agencies/police/login/cancel").headers["location"]
    country.person.get(f"/callback?{urlsplit(back).query}")
    assert "로그인을 그만뒀어요" in country.person.text


def test_what_a_clerk_decides_later(country: Country) -> None:
    person, issuer = country.person, country.issuers.under_test
    made = issuer.offer(deferred=True, subject_id="p02")
    person.get("/scan")
    person.post("/scan", {"link": made["uri"]})
    person.post(f"{person.path}/fetch")
    person.post(f"{person.path}/accept")
    path = person.path
    assert "심사하고 있어요" in person.text, person.text
    (waiting,) = issuer.api("GET", "/issuances").json()["issuances"]
    issuer.clock.advance(120)
    person.post(f"{path}/ask")
    assert "아직 결정되지 않았어요" in person.text
    decided = issuer.api("POST", f"/issuances/{waiting['id']}/decision", json={"decision": "ready"})
    assert decided.status_code == 200, decided.text
    issuer.clock.advance(3600)
    person.post(f"{path}/ask")
    assert "지갑에 넣었어요" in person.text
