"""Logging in by showing a licence: the requests, the answers and what becomes of them, on both engines."""

from datetime import date, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from issuer.agencies.ports import Agency
from issuer.login.presentation.use_cases import protocol, requests, results
from issuer.login.presentation.use_cases.results import LoginView
from issuer.records.ports import Citizen
from tests.support.issuing import HOST, LICENCE
from tests.support.logging_in import MDOC, CardLogin, start_login_issuer
from wallet_core.errors import Expired, NotFound, PeerRefusal
from wallet_core.protocols.openid4vp.asking import match_number
from wallet_core.protocols.openid4vp.response import create_response

JIWOO = Citizen("한지우", date(1993, 5, 14))
LOGIN, OTHER = "login-1", "login-2"
CARDS = ("drivers-licence", "resident-card")
CI = f"{HOST}/agencies/city-tax"


@pytest.fixture
def login(tmp_path: Path, database_url: str) -> CardLogin:
    started = start_login_issuer(tmp_path, database_url)
    yield started
    started.under_test.client.close()
    started.under_test.issuer.database.close()


@pytest.fixture
def sqlite_login(tmp_path: Path) -> CardLogin:
    started = start_login_issuer(tmp_path, f"sqlite:///{tmp_path}/issuer.db")
    yield started
    started.under_test.client.close()
    started.under_test.issuer.database.close()


def agency(login: CardLogin, agency_id: str = "city-tax") -> Agency:
    return login.under_test.issuer.agency(agency_id)


def begin(login: CardLogin, login_id: str = LOGIN, types: tuple[str, ...] = CARDS) -> LoginView:
    until = login.under_test.clock.now() + timedelta(minutes=15)
    requests.start(login.ports, agency(login), login_id, types=types, until=until)
    return show(login, login_id)


def show(login: CardLogin, login_id: str = LOGIN) -> LoginView:
    return results.show(login.ports, agency(login), login_id)


def take(login: CardLogin, login_id: str = LOGIN) -> Citizen | None:
    return results.take_citizen(login.ports, agency(login), login_id)


def come_back(login: CardLogin, redirect_uri: str, login_id: str | None = LOGIN) -> bool:
    (code,) = parse_qs(urlsplit(redirect_uri).query)["response_code"]
    return results.return_in_browser(login.ports, agency(login), code, login_id=login_id)


def rows(login: CardLogin) -> int:
    from sqlalchemy import text

    with login.under_test.issuer.database.reader() as unit:
        return int(unit.connection.execute(text("SELECT count(*) FROM issuer_login_request")).scalar_one())


# --- it works ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("configuration", [LICENCE, MDOC])
def test_a_licence_logs_in_across_devices(login: CardLogin, configuration: str) -> None:
    view = begin(login)
    assert (view.state, show(login).across) == ("requested", view.across)
    redirect_uri = login.present(view.across, login.licence(configuration))
    # The wallet's own browser learns nothing.
    assert redirect_uri.startswith(f"{CI}/login/presentation/elsewhere?response_code=")
    assert show(login).state == "verified"
    assert take(login) == JIWOO
    assert (take(login), rows(login), show(login).state) == (None, 0, "new")


@pytest.mark.clause("x509-HAIP5.1-session")
@pytest.mark.parametrize("configuration", [LICENCE, MDOC])
def test_a_licence_logs_in_on_the_same_device(login: CardLogin, configuration: str) -> None:
    view = begin(login)
    redirect_uri = login.present(view.beside, login.licence(configuration))
    assert redirect_uri.startswith(f"{CI}/login/presentation/return?response_code=")
    # Nobody is logged in before the browser is back.
    assert (show(login).state, show(login).match_number, take(login)) == ("answered", "", None)
    assert come_back(login, redirect_uri)
    assert take(login) == JIWOO
    assert rows(login) == 0


@pytest.mark.clause("vp-13.3-opened")
def test_a_browser_that_looks_ahead_spends_nothing(sqlite_login: CardLogin) -> None:
    redirect_uri = sqlite_login.present(begin(sqlite_login).beside, sqlite_login.licence())
    ahead = sqlite_login.under_test.client.get(redirect_uri, headers={"Sec-Purpose": "prefetch"})
    assert ahead.status_code == 403
    assert come_back(sqlite_login, redirect_uri)


@pytest.mark.clause("vp-5.2-fresh-nonce")
def test_the_request_is_what_haip_asks_for(sqlite_login: CardLogin) -> None:
    view = begin(sqlite_login)
    across, beside = (sqlite_login.resolve(link).request for link in (view.across, view.beside))
    assert across.client_id.full.startswith("x509_hash:")
    assert across.response_mode == "direct_post.jwt"
    assert across.dcql_query.source == sqlite_login.ports.policy.dcql_query
    assert {across.state, across.nonce}.isdisjoint({beside.state, beside.nonce})
    assert across.encryption != beside.encryption
    assert view.match_number == match_number(across)
    assert len(view.match_number) == 2
    # Least: name and date of birth, whatever the card.
    assert {claim.id for entry in across.dcql_query.credentials for claim in entry.claims} == {"name", "birth_date"}


def test_a_wallet_may_fetch_by_post_and_again(sqlite_login: CardLogin) -> None:
    link = begin(sqlite_login).across
    uri = parse_qs(urlsplit(link).query)["request_uri"][0]
    first = sqlite_login.resolve(f"{link}&request_uri_method=post")
    assert sqlite_login.resolve(link).request == first.request
    assert sqlite_login.under_test.client.post(uri, data={"wallet_nonce": "n" * 600}).status_code == 400
    assert show(sqlite_login).state == "retrieved"


# --- the wrong browser, a stolen code ---------------------------------------------------------------------------------


@pytest.mark.clause("x509-HAIP5.1-session")
@pytest.mark.parametrize("login_id", [OTHER, None])
def test_another_browser_that_comes_back_ends_it(login: CardLogin, login_id: str | None) -> None:
    begin(login, OTHER)
    redirect_uri = login.present(begin(login).beside, login.licence())
    assert not come_back(login, redirect_uri, login_id)
    assert (show(login).state, show(login).problem) == ("refused", "browser")
    for one in (LOGIN, OTHER):
        assert take(login, one) is None
    with pytest.raises(NotFound):
        come_back(login, redirect_uri)


def test_a_code_of_another_agency_opens_nothing(sqlite_login: CardLogin) -> None:
    redirect_uri = sqlite_login.present(begin(sqlite_login).beside, sqlite_login.licence())
    (code,) = parse_qs(urlsplit(redirect_uri).query)["response_code"]
    police = agency(sqlite_login, "police")
    with pytest.raises(NotFound):
        results.return_in_browser(sqlite_login.ports, police, code, login_id=LOGIN)
    assert results.show(sqlite_login.ports, police, LOGIN).state == "new"
    assert come_back(sqlite_login, redirect_uri)
    assert results.take_citizen(sqlite_login.ports, police, LOGIN) is None
    assert take(sqlite_login) == JIWOO


def test_a_code_is_used_once(login: CardLogin) -> None:
    redirect_uri = login.present(begin(login).beside, login.licence())
    assert come_back(login, redirect_uri)
    with pytest.raises(NotFound):
        come_back(login, redirect_uri)


def test_the_code_of_another_device_opens_nothing(sqlite_login: CardLogin) -> None:
    redirect_uri = sqlite_login.present(begin(sqlite_login).across, sqlite_login.licence())
    with pytest.raises(NotFound):
        come_back(sqlite_login, redirect_uri, OTHER)


# --- one answer, one time ---------------------------------------------------------------------------------------------


def test_an_answer_that_is_sent_again_is_refused(login: CardLogin) -> None:
    pending = login.prepare(login.resolve(begin(login).across), login.licence())
    login.send(pending)
    with pytest.raises(PeerRefusal) as caught:
        login.send(pending)
    assert caught.value.status == 409
    assert take(login) == JIWOO
    # The row is gone, and so is the request.
    with pytest.raises(PeerRefusal) as caught:
        login.send(pending)
    assert caught.value.status == 404


@pytest.mark.clause("vp-13.3-one-of-two")
def test_the_first_of_the_two_that_is_answered_ends_the_other(login: CardLogin) -> None:
    view, card = begin(login), login.licence()
    login.resolve(view.beside)
    login.present(view.across, card)
    assert login.refused_to_fetch(view.beside).status == 409


def test_a_new_try_forgets_the_old_one(sqlite_login: CardLogin) -> None:
    old = begin(sqlite_login)
    assert begin(sqlite_login).across != old.across
    assert sqlite_login.refused_to_fetch(old.across).status == 404
    assert rows(sqlite_login) == 2


def test_an_answer_for_another_login_is_refused(sqlite_login: CardLogin) -> None:
    first = sqlite_login.resolve(begin(sqlite_login).across)
    second = sqlite_login.resolve(begin(sqlite_login, OTHER).across)
    vp_token = sqlite_login.vp_token(sqlite_login.prepare(first, sqlite_login.licence()))
    answer = sqlite_login.under_test.client.post(
        second.request.response_uri, data=create_response(second.request, vp_token)
    )
    assert answer.status_code == 400
    assert (show(sqlite_login, OTHER).state, show(sqlite_login, OTHER).problem) == ("refused", "other")


def test_an_answer_in_clear_changes_nothing(sqlite_login: CardLogin) -> None:
    resolved = sqlite_login.resolve(begin(sqlite_login).across)
    form = {"vp_token": "{}", "state": resolved.request.state}
    assert sqlite_login.under_test.client.post(resolved.request.response_uri, data=form).status_code == 400
    assert show(sqlite_login).state == "retrieved"


# --- cards that are refused -------------------------------------------------------------------------------------------


@pytest.mark.clause("tsl-8.3-first-the-token")
@pytest.mark.parametrize("configuration", [LICENCE, MDOC])
def test_a_revoked_licence_is_refused(login: CardLogin, configuration: str) -> None:
    card = login.licence(configuration)
    login.set_status("invalid")
    assert login.refused(begin(login).across, card).status == 400
    assert (show(login).state, show(login).problem) == ("refused", "withdrawn")
    assert take(login) is None


def test_a_suspended_licence_is_refused_until_it_is_valid_again(sqlite_login: CardLogin) -> None:
    card = sqlite_login.licence()
    sqlite_login.set_status("suspended")
    sqlite_login.refused(begin(sqlite_login).across, card)
    assert show(sqlite_login).problem == "withdrawn"
    sqlite_login.set_status("valid")
    sqlite_login.present(begin(sqlite_login).across, card)
    assert take(sqlite_login) == JIWOO


def test_without_its_status_list_a_licence_is_refused(sqlite_login: CardLogin) -> None:
    card, view = sqlite_login.licence(), begin(sqlite_login)
    pending = sqlite_login.prepare(sqlite_login.resolve(view.across), card)
    sqlite_login.down = True
    with pytest.raises(PeerRefusal):
        sqlite_login.send(pending)
    assert show(sqlite_login).problem == "withdrawn"


@pytest.mark.parametrize("configuration", [LICENCE, MDOC])
def test_an_expired_licence_is_refused(login: CardLogin, configuration: str) -> None:
    card = login.licence(configuration)
    login.under_test.clock.advance(40 * 86_400)
    login.refused(begin(login).across, card)
    assert (show(login).state, show(login).problem) == ("refused", "expired")


def test_a_licence_of_an_agency_that_is_not_trusted_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    ours = start_login_issuer(tmp_path / "a", f"sqlite:///{tmp_path}/a.db")
    theirs = start_login_issuer(tmp_path / "b", f"sqlite:///{tmp_path}/b.db")
    theirs.holder = ours.holder
    ours.refused(begin(ours).across, theirs.licence())
    assert show(ours).problem == "issuer"


def test_a_wallet_that_declines(login: CardLogin) -> None:
    from tests.simulators import run_flow
    from wallet_core.protocols.openid4vp import wallet

    resolved = login.resolve(begin(login).beside)
    sent = run_flow(wallet.decline(resolved), login.under_test.send)
    assert sent.redirect_uri
    assert (show(login).state, show(login).problem) == ("refused", "declined")
    # Nobody waits for the code: the browser's own page tells what happened.
    with pytest.raises(NotFound):
        come_back(login, sent.redirect_uri)


@pytest.mark.clause("tsl-8.3-first-the-token")
def test_cards_of_two_people_are_refused_before_any_list_is_fetched(sqlite_login: CardLogin) -> None:
    resolved = sqlite_login.resolve(begin(sqlite_login).across)
    cards = sqlite_login.licence(), sqlite_login.licence(MDOC, name="오시험")
    vp_token: dict[str, list[str]] = {}
    for card in cards:
        vp_token |= sqlite_login.vp_token(sqlite_login.prepare(resolved, card))
    assert set(vp_token) == {"licence", "licence_mdoc"}
    answer = sqlite_login.under_test.client.post(
        resolved.request.response_uri, data=create_response(resolved.request, vp_token)
    )
    assert answer.status_code == 400
    assert (show(sqlite_login).problem, sqlite_login.asked) == ("other", [])


# --- time -------------------------------------------------------------------------------------------------------------


def test_nobody_answers_in_time(login: CardLogin) -> None:
    view = begin(login)
    pending = login.prepare(login.resolve(view.across), login.licence())
    login.under_test.clock.advance(300)
    with pytest.raises(PeerRefusal):
        login.send(pending)
    assert show(login).state == "expired"
    with pytest.raises(Expired):
        protocol.serve_request(login.ports, agency(login), str(pending.resolved.request.state))


def test_what_was_sent_goes_if_nobody_takes_it(login: CardLogin) -> None:
    login.present(begin(login).across, login.licence())
    login.under_test.clock.advance(300)
    assert take(login) is None
    login.under_test.clock.advance(600)
    with login.under_test.issuer.database.unit() as unit:
        assert requests.delete_old(login.storage(unit), now=login.under_test.clock.now()) == 2
    assert rows(login) == 0


def test_nothing_personal_lies_in_the_clear(sqlite_login: CardLogin, tmp_path: Path) -> None:
    sqlite_login.present(begin(sqlite_login).across, sqlite_login.licence())
    assert show(sqlite_login).state == "verified"
    files = b"".join(path.read_bytes() for path in tmp_path.glob("issuer.db*"))
    assert "한지우".encode() not in files
    assert b"1993-05-14" not in files


def test_two_browsers_tabs_take_it_once(sqlite_login: CardLogin) -> None:
    sqlite_login.present(begin(sqlite_login).across, sqlite_login.licence())
    assert [take(sqlite_login), take(sqlite_login)] == [JIWOO, None]
