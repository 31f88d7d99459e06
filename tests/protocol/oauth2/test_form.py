"""Forms: the same parameters as the standard library reads, fewer bodies accepted."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wallet_core import spec_versions as spec
from wallet_core.errors import InvalidRequest, InvalidTarget
from wallet_core.protocols.oauth2.form import MAX_PARAMETERS, parse_form

_PIECES = st.sampled_from(
    [b"&", b"=", b"+", b"%", b"%2", b"%zz", b"%26", b"%ea%b0%80", b"%ff", b"%00", b"a", b"b", b"1"]
)
_BODIES = st.lists(_PIECES | st.binary(max_size=3), max_size=24).map(b"".join)


@given(_BODIES)
@example(b"")
@example(b"a=1&&b&=c")
@example(b"a=%EA%B0%80&%61b=+%2B")
def test_a_form_is_read_as_the_standard_library_reads_it(body: bytes) -> None:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError:
        pairs = None
    if pairs is None or len(dict(pairs)) != len(pairs):
        with pytest.raises(InvalidRequest):
            parse_form(spec.FORM, body)
    else:
        assert parse_form(spec.FORM, body) == {name: value for name, value in pairs if value}


def test_the_number_of_parameters_is_bounded() -> None:
    fields = [f"p{number}=1" for number in range(MAX_PARAMETERS + 1)]
    assert len(parse_form(spec.FORM, "&".join(fields[1:]).encode())) == MAX_PARAMETERS
    with pytest.raises(InvalidRequest):
        parse_form(spec.FORM, "&".join(fields).encode())


@pytest.mark.clause("oauth-8707.2-repeated")
def test_only_a_resource_may_be_named_twice_and_only_the_same() -> None:
    assert parse_form(spec.FORM, b"resource=r&a=1&resource=%72") == {"a": "1", "resource": "r"}
    with pytest.raises(InvalidTarget):
        parse_form(spec.FORM, b"resource=r&a=1&resource=s")
    with pytest.raises(InvalidRequest):
        parse_form(spec.FORM, b"resource=r&resource=r&a=1&a=1")
