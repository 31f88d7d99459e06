from wallet_core.adapters.config import load_catalogue
from wallet_core.adapters.ui.claims import ClaimLine, claim_lines
from wallet_core.catalogue import Text

CATALOGUE = load_catalogue()
LICENCE = CATALOGUE.types["drivers-licence"]


def lines(claims: dict[str, object]) -> list[tuple[str, str, str]]:
    found = claim_lines(LICENCE, claims)  # type: ignore[arg-type]
    return [(line.label.ko, line.shown("ko"), line.covered("ko")) for line in found]


def test_claims_come_in_the_catalogue_s_order_with_words_and_masks() -> None:
    assert lines({"age_over_19": True, "name": "한지우", "iss": "https://x.example", "exp": 1}) == [
        ("이름", "한지우", "한*우"),
        ("만 19세 이상", "예", "예"),
    ]


def test_what_the_catalogue_does_not_know_is_shown_last() -> None:
    assert lines({"extra": 3, "name": "한지우"})[-1] == ("extra", "3", "3")
    assert [line.label.en for line in claim_lines(None, {"extra": 3})] == ["extra"]


def test_another_shape_than_the_catalogue_s_breaks_nothing() -> None:
    assert lines({"name": "한지우", "resident_of": "not an object", "licence_classes": 5})


def test_every_type_s_example_can_be_shown_in_both_languages() -> None:
    for known in CATALOGUE.types.values():
        claims = known.prepare_claims(known.example_record, today=CATALOGUE.as_of)
        found = claim_lines(known, claims)
        assert found
        for line in found:
            assert line.shown("ko")
            assert line.shown("en")
            assert line.covered("en")


def test_a_picture_is_named_not_printed() -> None:
    line = ClaimLine(Text("사진", "Photograph"), "data:image/jpeg;base64,/9j/AA", is_image=True)
    assert line.shown("en") == line.covered("en") == "On record"
