"""What the picture of a trace is drawn with: a dark page, text in one font, bars, dashes and marks.

Pillow is loaded by the first picture, not at the start: most processes never draw one.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as PixelFont

Colour = str

PAGE, STRIPE, LINE = "#0d1320", "#121a2a", "#243049"
TEXT, SOFT, FAINT = "#f1f5fb", "#a9b6cc", "#8593ab"
GOOD, BAD, GOLD = "#4ade80", "#ff6b6b", "#ffc53d"

#: What Pillow's own font can write of what names are made of; anything else becomes a question mark.
_WRITABLE = frozenset(map(chr, range(32, 127))) | {"…", "·"}
_FINE = 4


@lru_cache(maxsize=16)
def _font(size: int) -> FreeTypeFont | PixelFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)


class Canvas:
    """A page in pixels, from its upper left corner. Not for use by two threads at once."""

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw

        self.width, self.height = width, height
        self._image = Image.new("RGB", (width, height), PAGE)
        self._draw = ImageDraw.Draw(self._image)

    def png(self) -> bytes:
        """The page as a PNG file."""
        file = io.BytesIO()
        self._image.save(file, "PNG")
        return file.getvalue()

    def text(
        self,
        x: int,
        y: int,
        text: str,
        size: int,
        colour: Colour,
        *,
        room: int | None = None,
        align: Literal["left", "right", "middle"] = "left",
        bold: bool = False,
    ) -> int:
        """Write a line whose middle is at `y`, cut to `room` pixels; gives the width that it took."""
        line = fit(text, size, room) if room is not None else writable(text)
        anchor = {"left": "lm", "right": "rm", "middle": "mm"}[align]
        self._draw.text(
            (x, y), line, colour, _font(size), anchor=anchor, stroke_width=size / 50 if bold else 0
        )
        return round(_font(size).getlength(line))

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A filled rectangle, of one pixel at least."""
        left, upper = round(x), round(y)
        right, lower = max(round(x + width) - 1, left), max(round(y + height) - 1, upper)
        self._draw.rectangle((left, upper, right, lower), fill=colour)

    def bar(self, x: float, y: float, width: float, height: int, colour: Colour) -> None:
        """A bar with round corners; however short, it can be seen."""
        from PIL import Image, ImageDraw

        wide = max(round(width), 4)
        mask = Image.new("L", (wide * _FINE, height * _FINE))
        radius = min(height // 4, wide // 2) * _FINE
        ImageDraw.Draw(mask).rounded_rectangle((0, 0, wide * _FINE - 1, height * _FINE - 1), radius, fill=255)
        self._image.paste(colour, (round(x), round(y)), mask.resize((wide, height), Image.Resampling.LANCZOS))

    def dashes(self, x: float, y: float, width: float, height: int, colour: Colour) -> None:
        """A dashed line."""
        at = 0.0
        while at < width:
            self.box(x + at, y, min(6.0, width - at), height, colour)
            at += 11

    def diamond(self, x: float, y: float, radius: int, colour: Colour) -> None:
        """A mark of one moment."""
        self._fine(x, y, radius, [[(0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5)]], colour)

    def seal(self, x: int, y: int, radius: int, colour: Colour, mark: Literal["yes", "no", "open"]) -> None:
        """A disc with a tick, a cross, or three dots."""
        from PIL import Image, ImageDraw

        side = 2 * radius * _FINE
        mask = Image.new("L", (side, side))
        draw = ImageDraw.Draw(mask)
        draw.ellipse((0, 0, side - 1, side - 1), fill=255)
        strokes = {
            "yes": [[(0.29, 0.53), (0.44, 0.67), (0.72, 0.36)]],
            "no": [[(0.34, 0.34), (0.66, 0.66)], [(0.66, 0.34), (0.34, 0.66)]],
            "open": [[(at, 0.5), (at + 0.02, 0.5)] for at in (0.27, 0.49, 0.71)],
        }[mark]
        for stroke in strokes:
            points = [(px * side, py * side) for px, py in stroke]
            draw.line(points, fill=0, width=side // 9, joint="curve")
        small = mask.resize((2 * radius, 2 * radius), Image.Resampling.LANCZOS)
        self._image.paste(colour, (x - radius, y - radius), small)

    def _fine(
        self,
        x: float,
        y: float,
        radius: int,
        shapes: list[list[tuple[float, float]]],
        colour: Colour,
    ) -> None:
        from PIL import Image, ImageDraw

        side = 2 * radius * _FINE
        mask = Image.new("L", (side, side))
        for shape in shapes:
            ImageDraw.Draw(mask).polygon([(px * side, py * side) for px, py in shape], fill=255)
        small = mask.resize((2 * radius, 2 * radius), Image.Resampling.LANCZOS)
        self._image.paste(colour, (round(x) - radius, round(y) - radius), small)


def writable(text: str) -> str:
    """The text with what the font lacks replaced."""
    return "".join(character if character in _WRITABLE else "?" for character in text)


def width_of(text: str, size: int) -> int:
    """Pixels that a line takes."""
    return round(_font(size).getlength(writable(text)))


def fit(text: str, size: int, room: int) -> str:
    """As much of a line as there is room for, with an ellipsis where it was cut."""
    line = writable(text[:200])
    if width_of(line, size) <= room:
        return line
    fits = bisect_right(range(1, len(line)), room, key=lambda length: width_of(line[:length] + "…", size))
    return line[:fits] + "…"


def blend(colour: Colour, share: float) -> Colour:
    """A colour mixed with the page: `share` of it is the colour."""
    pairs = zip(_bytes(colour), _bytes(PAGE), strict=True)
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)


def _bytes(colour: Colour) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))
