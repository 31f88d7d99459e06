import re
from datetime import UTC, date, datetime
from typing import Any

import jinja2
import pytest

from tests.support.html import assert_whole, bare_words
from wallet_core.adapters.ui import STATIC, TEMPLATES
from wallet_core.adapters.ui.display import Display
from wallet_core.adapters.ui.environment import Pages, create_pages
from wallet_core.adapters.ui.messages import load_messages, pseudo_locale

NOW = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
OPENAPI = {
    "info": {"title": "Issuer"},
    "paths": {
        "/api/v1/offers": {
            "post": {
                "summary": "Create an offer",
                "parameters": [{"name": "Idempotency-Key", "in": "header"}],
                "responses": {"201": {"description": "Created"}},
            }
        }
    },
}


@pytest.fixture(scope="module")
def pages() -> Pages:
    return create_pages(load_messages(["base"]))


def inline(pages: Pages, source: str, display: Display | None = None, **context: Any) -> str:
    display = display or Display()
    macros = '{% import "macros.html" as ui with context %}'
    template = pages.environment.from_string(macros + source)
    return template.render(context, display=display, lang=display.language, address="/x?a=1&lang=ko")


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize(
    ("template", "context"),
    [
        ("error.html", {"status": 404, "error": "not_found", "trace_id": "abc"}),
        ("error.html", {"status": 418, "error": "server_error"}),
        ("blank.html", {"heading": "아직 카드가 없어요", "action": {"href": "/x", "text": "받기"}}),
        ("docs.html", {"openapi": OPENAPI}),
    ],
)
def test_pages_are_whole(pages: Pages, template: str, context: dict[str, Any], language: Any) -> None:
    html = pages.render(template, Display(language), "/", **context)
    assert_whole(html)
    assert f'<html lang="{language}"' in html
    assert 'class="masthead"' in html
    assert "<script>" not in html


def test_pages_show_the_readers_choices_and_keep_the_query(pages: Pages) -> None:
    html = pages.render("error.html", Display("en", "160", "high-contrast"), "/a?offer=1%262&lang=ko", status=400)
    assert 'data-theme="high-contrast" data-size="160"' in html
    assert "/a?offer=1%262&amp;size=200" in html
    assert "/a?offer=1%262&amp;lang=ko" in html


def test_every_word_comes_from_a_catalogue() -> None:
    pages = create_pages(pseudo_locale(load_messages(["base"])))
    html = pages.render("error.html", Display("en"), "/", status=404, error="E")
    # 한국어 and English are names of languages, each in its own
    assert bare_words(html) <= {"·", "한국어", "English"}


def test_values_are_escaped(pages: Pages) -> None:
    html = inline(pages, "{{ ui.party(name) }}{{ ui.btn(name, href='/') }}", name="<script>alert(1)</script>")
    assert "<script" not in html


def test_an_unknown_name_in_a_template_is_an_error(pages: Pages) -> None:
    with pytest.raises(jinja2.UndefinedError):
        inline(pages, "{{ nothing_of_that_name }}")


def test_a_korean_name_on_an_english_page_is_marked_as_korean(pages: Pages) -> None:
    source = "{{ ui.party(name) }}"
    assert '<b><span lang="ko">한빛&lt;은행</span></b>' in inline(pages, source, Display("en"), name="한빛<은행")
    assert "lang=" not in inline(pages, source, name="한빛은행")
    assert "lang=" not in inline(pages, source, Display("en"), name="Hanbit Bank")


COMPONENTS = [
    "{{ ui.btn('보내기', name='key') }}{{ ui.btn('안 보내기', href='/', kind='line', small=true) }}",
    "{% call ui.form('/x', files=true) %}{{ ui.file('csv', 'CSV', '.csv', 'UTF-8') }}{% endcall %}",
    "{{ ui.field('key', '열쇠', kind='password', hint='hk_…', error='맞지 않아요') }}",
    "{{ ui.field('a', 'b', kind='area') }}",
    "{{ ui.radios('p', '무엇', [{'value': '1', 'text': '가', 'sub': '나', 'checked': true, 'mono': '가'}]) }}",
    "{% call ui.cta('본인 확인 뒤에 보내요') %}{{ ui.btn('보내기') }}{% endcall %}",
    "{% call ui.panel('제목') %}<p>x</p>{% endcall %}{{ ui.page_head('제목', '글', '위') }}",
    "{{ ui.banner('된다', '글', 'ok') }}{{ ui.banner('안 된다', kind='bad', alert=true) }}",
    "{{ ui.fact('clock', '제목', '글') }}",
    "<ul>{{ ui.ask('이름', '한지우') }}{{ ui.ask('주소', '서울', required=false, field='choose', value='a') }}</ul>",
    "{{ ui.card('면허', 'gam', '한지우', '2종', '경찰', '2029', {'text': '쓸 수 있어요', 'icon': 'check'}, '/c') }}",
    "{{ ui.card('면허', strip=true, issuer='경찰', off=true) }}{{ ui.from_card('면허', '경찰', 'gam') }}",
    "<ul>{{ ui.row('/x', '도담은행에 보냈어요', '오전', letter='도', tagged=ui.tag('막았어요', 'bad')) }}</ul>",
    "{% call ui.receipt('보냈어요', '오늘') %}{{ ui.kv([('이름', '한지우')], large=true) }}{% endcall %}",
    "{{ ui.checks([{'name': 'a', 'detail': 'b', 'ok': true}, {'name': 'a', 'detail': '', 'ok': false}]) }}",
    "{{ ui.qrbox('https://a.example', 'QR', expires_at=now, created_at=now) }}",
    "{{ ui.copybox('https://a.example', '주소') }}",
    "{{ ui.steps(['하나', '둘', '셋'], 2, '단계') }}{{ ui.nums([('줄', 3, false), ('고칠 줄', 1, true)]) }}",
    "{{ ui.table(['줄', '칸'], [['1', '이름']], '고칠 줄') }}",
    "{{ ui.poll('/s', 'offered') }}",
]


@pytest.mark.parametrize("source", COMPONENTS)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_components_are_whole(pages: Pages, source: str, language: Any) -> None:
    assert_whole(inline(pages, source, Display(language), now=NOW))


def test_filters_speak_the_readers_language(pages: Pages) -> None:
    source = "{{ due|day }}|{{ now|moment(seconds=true) }}|{{ 32000|won }}|{{ '한지우'|mask('name') }}|{{ true|words }}"
    korean = inline(pages, source, now=NOW, due=date(2026, 11, 27))
    assert korean.startswith("11월 27일(금)|11월 22일(일) 오전 11:30:00|")
    assert korean.endswith('<span class="hide">32,000원</span>|한*우|예')
    assert inline(pages, "{{ {'ko': '가', 'en': ''}|local }}", Display("en")) == "가"


def test_icons_and_modules_that_are_named_exist() -> None:
    icons = set(re.findall(r'id="i-(\w+)"', (STATIC / "img" / "icons.svg").read_text("utf-8")))
    root = TEMPLATES.parents[3]
    sources = [file.read_text("utf-8") for name in ("wallet_core", "issuer", "verifier", "holder_app")
               for file in (root / name).rglob("*.html")]  # fmt: skip
    for source in sources:
        assert set(re.findall(r'ui\.icon\("(\w+)"', source)) <= icons
        for names in re.findall(r'data-module="([\w ]+)"', source):
            assert all((STATIC / "js" / f"{name}.js").is_file() for name in names.split())
        assert not re.search(r'\sstyle="|<script(?! type="module" src)|\son\w+="', source)
