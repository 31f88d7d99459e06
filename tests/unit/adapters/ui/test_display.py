from wallet_core.adapters.ui.display import Display, choices_to_remember, choose_display


def test_korean_comes_first() -> None:
    assert choose_display({}, {}) == Display("ko", "100", "light")
    assert choose_display({}, {}, "fr-FR, en;q=0.8").language == "en"
    assert choose_display({}, {}, "ko-KR,ko;q=0.9,en-US;q=0.8").language == "ko"


def test_a_query_beats_a_cookie_and_nonsense_is_ignored() -> None:
    cookies = {"jigap-lang": "en", "jigap-size": "130", "jigap-theme": "high-contrast"}
    assert choose_display({}, cookies) == Display("en", "130", "high-contrast")
    assert choose_display({"lang": "ko", "size": "9000"}, cookies) == Display("ko", "130", "high-contrast")
    assert choices_to_remember({"lang": "en", "size": "9000", "theme": "light", "next": "/"}) == {
        "jigap-lang": "en",
        "jigap-theme": "light",
    }
