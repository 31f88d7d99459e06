"""QR codes there and back, and pictures that are none."""

import contextlib
import io
import re
import struct
import zlib

import pytest
import qrcode
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from wallet_core.adapters import qr
from wallet_core.errors import MalformedError

LINK = "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fissuer.example%2Foffers%2Fabc"


def _draw(svg: str, scale: int = 6) -> Image.Image:
    """Draw our own SVG: only rectangles of whole modules stand in it."""
    size = int(re.search(r'viewBox="0 0 (\d+) ', svg)[1])  # type: ignore[index]
    picture = Image.new("L", (size * scale, size * scale), "white")
    pen = ImageDraw.Draw(picture)
    dark = svg.partition('fill="#000"')[2]
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", dark):
        left, top = int(x) * scale, int(y) * scale
        pen.rectangle((left, top, left + int(width) * scale - 1, top + scale - 1), fill="black")
    return picture


def _bytes(picture: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("text", [LINK, "안녕하세요", "x" * 1000])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_our_code_is_read_back(text: str, kind: str) -> None:
    assert qr.read_qr(_bytes(_draw(qr.qr_svg(text)), kind)) == [text]


def test_an_svg_admits_a_strict_policy_and_escapes_its_title() -> None:
    svg = qr.qr_svg(LINK, title="<script>&")
    assert "style" not in svg
    assert "<script>" not in svg
    assert "<title>&lt;script&gt;&amp;</title>" in svg


def test_a_text_beyond_a_qr_code_is_refused() -> None:
    with pytest.raises(MalformedError):
        qr.qr_svg("x" * 5000)


def test_rotated_transparent_and_small_pictures_are_read() -> None:
    code = qrcode.make(LINK).convert("RGBA")
    clear = Image.new("RGBA", code.size, (0, 0, 0, 0))
    clear.paste(code, mask=code.convert("L").point(lambda level: 255 - level))
    for picture in (code.rotate(90), code.resize((250, 250)), clear):
        assert qr.read_qr(_bytes(picture, "PNG")) == [LINK]


def test_a_picture_without_a_code_gives_nothing() -> None:
    assert qr.read_qr(_bytes(Image.new("L", (300, 300), "white"), "PNG")) == []


def _png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(5001, 5001), (50_000, 50_000), (1, 30_000_000)])
def test_a_decompression_bomb_is_refused_before_it_unpacks(size: tuple[int, int]) -> None:
    with pytest.raises(MalformedError):
        qr.read_qr(_png_header(*size))


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP"])
def test_other_formats_stay_out_of_reach(kind: str) -> None:
    with pytest.raises(MalformedError):
        qr.read_qr(_bytes(Image.new("RGB", (10, 10)), kind))


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(MalformedError):
        qr.read_qr(b"\x89PNG" + b"x" * qr.MAX_IMAGE_BYTES)


_VALID = _bytes(Image.new("L", (40, 40), "white"), "PNG")


@given(st.binary(max_size=100) | st.integers(0, len(_VALID)).map(lambda cut: _VALID[:cut]))
def test_any_bytes_are_a_picture_or_malformed(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        qr.read_qr(data)
