"""A catalogue with one credential type of ten claims: what the figures of every row are for."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2] / "specs" / "catalogue"
TYPE, CONFIGURATION, AGENCY = "bench-card", "bench-card-sd-jwt", "welfare"

CLAIMS = {
    "name": "시험용 하나",
    "given_name": "하나",
    "birth_date": "1990-02-27",
    "registered_on": "2015-01-02",
    "address": "서울특별시 시험구 시험로 12, 101동 202호",
    "card_number": "11-90-123456-01",
    "card_kind": "1종보통",
    "office": "시험구청",
    "issue_date": "2020-05-11",
    "remark": "없음",
}
"""The record that is signed (invented, 시험용)."""


def write_catalogue(folder: Path) -> Path:
    """Write the catalogue below ``folder`` and return where."""
    target = folder / "catalogue"
    (target / "credentials").mkdir(parents=True)
    (target / "agencies.toml").write_text((ROOT / "agencies.toml").read_text())
    # All but the claims is that of a real type, so that every rule of the catalogue holds.
    head = (ROOT / "credentials" / "welfare-card.toml").read_text().partition("[[claims]]")[0]
    head = head.replace("welfare-card", TYPE)
    head = re.sub(r"(?m)^front = .*$", 'front = ["name", "card_number", "card_kind"]', head)
    head = re.sub(r"(?m)^not_after_claim = .*$", "not_after_claim = []", head)
    claims = [
        f'\n[[claims]]\npath = "{name}"\ntype = "string"\nlabel = {{ ko = "{name}", en = "{name}" }}\n'
        f'mandatory = true\nsensitivity = "personal"\nmask = "hidden"\nexample = "{example}"\nsource = "[D]"\n'
        for name, example in CLAIMS.items()
    ]
    (target / "credentials" / f"{TYPE}.toml").write_text(head + "".join(claims))
    return target
