from issuer.console.desk import wallet_link
from issuer.console.pages import _at_least


def test_a_number_counted_on_one_page_says_that_there_is_more() -> None:
    assert _at_least(50, more="cursor") == "50+"
    assert _at_least(0, more=None) == "0"


def test_an_offer_is_addressed_to_the_web_wallet_by_its_query() -> None:
    link = "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fissuer.example%2Fo%2F1"
    expected = "https://w.example/credential-offer?credential_offer_uri=https%3A%2F%2Fissuer.example%2Fo%2F1"
    assert wallet_link(link, "https://w.example") == expected
    assert wallet_link(link, None) == ""
