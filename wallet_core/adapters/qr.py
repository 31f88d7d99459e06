"""QR codes: text to SVG that a strict Content-Security-Policy admits, and pictures to text."""

from io import BytesIO

import qrcode
import zxingcpp
from PIL import Image
from qrcode.constants import ERROR_CORRECT_M
from qrcode.exceptions import DataOverflowError

from wallet_core.errors import MalformedError

MAX_IMAGE_BYTES = 8 * 1024 * 1024
"""Bytes of an uploaded picture: a telephone's photograph has 3 to 6 MB."""

MAX_IMAGE_PIXELS = 25_000_000
"""Pixels of a picture; 25 million grey pixels are 25 MB in memory, more than a telephone's usual photograph."""

QUIET_ZONE = 4
"""Modules of white around the code (ISO/IEC 18004 9.1)."""


def qr_svg(text: str, *, title: str = "") -> str:
    """Return an SVG of the QR code for ``text``, without style attribute or script, in units of modules.

    Raises:
        MalformedError: the text is longer than a QR code holds.
    """
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_ZONE)
    code.add_data(text)
    try:
        rows = code.get_matrix()
    except (DataOverflowError, ValueError) as exc:
        raise MalformedError("the text is too long for a QR code") from exc
    size = len(rows)
    path = "".join(_row_path(y, row) for y, row in enumerate(rows))
    label = f"<title>{_escape(title)}</title>" if title else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="qr" role="img" viewBox="0 0 {size} {size}" '
        f'shape-rendering="crispEdges">{label}<path fill="#fff" d="M0 0h{size}v{size}h-{size}z"/>'
        f'<path fill="#000" d="{path}"/></svg>'
    )


def _row_path(y: int, row: list[bool | None]) -> str:
    """One rectangle for each run of dark modules: a tenth of the size of one rectangle a module."""
    parts: list[str] = []
    x = 0
    while x < len(row):
        start = x
        while x < len(row) and row[x]:
            x += 1
        if x > start:
            parts.append(f"M{start} {y}h{x - start}v1h-{x - start}z")
        x += 1
    return "".join(parts)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def read_qr(image: bytes) -> list[str]:
    """Return the texts of all QR codes in a PNG or JPEG picture; empty if there is none.

    Raises:
        MalformedError: not a PNG or JPEG, or larger than :data:`MAX_IMAGE_BYTES` or :data:`MAX_IMAGE_PIXELS`.
    """
    if len(image) > MAX_IMAGE_BYTES:
        raise MalformedError(f"the picture is larger than {MAX_IMAGE_BYTES} bytes")
    barcodes = zxingcpp.read_barcodes(
        _grey_pixels(image), formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    )
    return list(dict.fromkeys(barcode.text for barcode in barcodes if barcode.text))


def _grey_pixels(image: bytes) -> memoryview:
    try:
        # The list of formats keeps the rarely tested decoders of the library out of reach.
        with Image.open(BytesIO(image), formats=("PNG", "JPEG")) as picture:
            width, height = picture.size
            # Before load(): the header is read, the pixels are not.
            if width * height > MAX_IMAGE_PIXELS:
                raise MalformedError(f"the picture has more than {MAX_IMAGE_PIXELS} pixels")
            picture.load()
            flat = Image.new("RGBA", picture.size, "white")
            flat.alpha_composite(picture.convert("RGBA"))
            pixels = flat.convert("L").tobytes()
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as exc:
        raise MalformedError("the picture is not a readable PNG or JPEG") from exc
    return memoryview(pixels).cast("B", shape=[height, width])
