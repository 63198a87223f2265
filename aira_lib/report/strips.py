"""Designs as coloured layer strips: one box a layer, left to right from input to output, as inline SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from aira_lib.architecture.primitives import PRIMITIVES

OTHER = "#6e7781"


def colour_of(layer: str) -> str:
    """The colour of a primitive; grey of one that is not known here, as in records from elsewhere."""
    return PRIMITIVES.named(layer).colour if layer in PRIMITIVES else OTHER


def ink_of(layer: str) -> str:
    """The colour of letters on a primitive's."""
    return PRIMITIVES.named(layer).ink if layer in PRIMITIVES else "#ffffff"


def name_of(layer: str) -> str:
    """What a primitive is called."""
    return PRIMITIVES.named(layer).name if layer in PRIMITIVES else layer


@dataclass(frozen=True)
class Strip:
    """The layers of a design; with `agreement` a bar above each box shows the winner's share of the votes.

    A `mini` strip has narrow boxes without letters, for deep designs.
    """

    layers: tuple[str, ...]
    agreement: tuple[float, ...] = ()
    votes: tuple[Mapping[str, float], ...] = ()
    mini: bool = False

    def __str__(self) -> str:
        return " ".join(self.layers)

    def svg(self) -> str:
        """The strip as an SVG element that needs no styles from outside."""
        # A mini strip aims at 180 pixels: thin boxes for deep designs, wider ones for shallow.
        thin = max(4, min(12, 180 // max(len(self.layers), 1)))
        width, height, bars = (thin, 12, 0) if self.mini else (24, 22, 22 if self.agreement else 0)
        boxes = "".join(self._box(index, width, height, bars) for index in range(len(self.layers)))
        total = width * max(len(self.layers), 1)
        return (
            f'<svg class="strip" role="img" aria-label="{escape(str(self))}" width="{total}" '
            f'height="{bars + height}" viewBox="0 0 {total} {bars + height}">{boxes}</svg>'
        )

    def _box(self, index: int, width: int, height: int, top: int) -> str:
        layer = self.layers[index]
        x, gap = index * width, 0 if self.mini else 2
        colour = colour_of(layer)
        parts = [f"<title>{escape(self._title(index))}</title>", self._bar(index, x, width - gap, top, colour)]
        parts.append(
            f'<rect x="{x}" y="{top}" width="{width - gap}" height="{height}" rx="{0 if self.mini else 3}" '
            f'fill="{colour}"/>'
        )
        if not self.mini:
            parts.append(
                f'<text x="{x + (width - gap) / 2:g}" y="{top + height / 2 + 4:g}" text-anchor="middle" '
                f'font-size="11" font-weight="600" fill="{ink_of(layer)}">{escape(layer)}</text>'
            )
        return f"<g>{''.join(parts)}</g>"

    def _bar(self, index: int, x: int, width: int, top: int, colour: str) -> str:
        if not self.agreement or self.mini:
            return ""
        full = top - 4
        bar = max(0.0, min(1.0, self.agreement[index])) * full
        return (
            f'<rect x="{x}" y="0" width="{width}" height="{full}" fill="#eaeef2"/>'
            f'<rect x="{x}" y="{full - bar:.2f}" width="{width}" height="{bar:.2f}" fill="{colour}" '
            f'fill-opacity="0.55"/>'
        )

    def _title(self, index: int) -> str:
        layer = self.layers[index]
        title = f"layer {index + 1}: {name_of(layer)}"
        if self.votes:
            shares = sorted(self.votes[index].items(), key=lambda item: (-item[1], item[0]))
            title += " (" + ", ".join(f"{name} {share:.0%}" for name, share in shares) + " of the votes)"
        return title


def legend(primitives: Sequence[str]) -> str:
    """What the colours mean, as an HTML fragment."""
    items = (
        f'<span class="key"><i style="background:{colour_of(p)};color:{ink_of(p)}">{escape(p)}</i>'
        f" {escape(name_of(p))}</span>"
        for p in primitives
    )
    return f'<p class="legend">{"".join(items)}</p>'
