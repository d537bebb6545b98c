"""What can be drawn, once, and put on a page by any pen?

A drawing is a few shapes in points from the top left; `svg` is the pen of pages, `document.py` that of PDFs.
"""

from dataclasses import dataclass
from html import escape
from typing import Literal

Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A thin line."""

    x1: float
    y1: float
    x2: float
    y2: float
    colour: str


@dataclass(frozen=True, slots=True)
class Label:
    """Words; `y` is their baseline."""

    x: float
    y: float
    text: str
    size: float
    colour: str
    anchor: Anchor = "start"


Shape = Bar | Rule | Label


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes on a sheet. `title` is what somebody who does not see it is told."""

    width: float
    height: float
    title: str
    shapes: tuple[Shape, ...]


def svg(drawing: Drawing) -> str:
    """Draw as SVG that stands in a page by itself."""
    shapes = "".join(_svg(shape) for shape in drawing.shapes)
    size = f'viewBox="0 0 {drawing.width:g} {drawing.height:g}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>'
        f"<title>{escape(drawing.title)}</title>{shapes}</svg>"
    )


def _svg(shape: Shape) -> str:
    match shape:
        case Bar(x, y, width, height, colour):
            box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
            return f'<rect {box} fill="{colour}"/>'
        case Rule(x1, y1, x2, y2, colour):
            ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
            return f'<line {ends} stroke="{colour}" stroke-width="0.6"/>'
        case Label(x, y, text, size, colour, anchor):
            place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}"'
            return f'<text {place} fill="{colour}">{escape(text)}</text>'
