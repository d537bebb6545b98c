"""Is this text the client's approved template, complete and clean?

A template is the client's own (H2): its words come from there, we merge data only (H22). What it lacks or
says wrongly is listed as problems with their place; a template with any is not taken in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from server.letters.lint import lint
from server.letters.placeholders import CONTACT, DATA, PARTS, fill, read_placeholders, used_twice

KINDS: Final = ("notice", "callback_slip", "field_letter")


@dataclass(frozen=True, slots=True)
class Template:
    """What the client approved. `parts` are H16's four paragraphs; a call-back slip has none."""

    kind: str
    title: str
    body: str
    agency_name: str
    agency_phone: str
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Every placeholder that the finished letter fills from data."""
        texts = (self.title, self.body, *self.parts.values())
        return frozenset().union(*(read_placeholders(text)[0] for text in texts)) - frozenset(PARTS)

    @property
    def composed(self) -> str:
        """Title and body with the four parts in their places; data placeholders still open."""
        standing = {name: f"{{{{ {name} }}}}" for name in DATA}
        return fill(f"{self.title}\n{self.body}", standing | dict(self.parts))


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a template. `pointer` names its field."""

    pointer: str
    detail: str
    rule: str = ""


def check_template(template: Template) -> tuple[Problem, ...]:
    """Return everything that keeps a template from standing (H2, H16, H17, H18, H7)."""
    problems = [*_holes(template), *_demands(template)]
    if not problems:
        problems = list(_wording(template))
    return tuple(problems)


def _holes(template: Template) -> Iterator[Problem]:
    texts = {"/title": template.title, "/body": template.body}
    texts |= {f"/parts/{name}": text for name, text in template.parts.items()}
    for pointer, text in texts.items():
        names, holes = read_placeholders(text)
        yield from (Problem(pointer, str(hole)) for hole in holes)
        nested = names & frozenset(PARTS) if pointer != "/body" else frozenset()
        for name in sorted(nested):
            yield Problem(pointer, f"{{{{ {name} }}}} stands for a part; only the body may hold it.")


def _demands(template: Template) -> Iterator[Problem]:
    if template.kind == "callback_slip":
        yield from _slip_demands(template)
    else:
        yield from _letter_demands(template)


def _slip_demands(template: Template) -> Iterator[Problem]:
    """A slip says whom to call back, and nothing about anybody (H7)."""
    used, _ = read_placeholders(f"{template.title}\n{template.body}")
    for name in sorted(used - CONTACT):
        yield Problem("/body", f"A call-back slip holds the agency's contact only: remove {name}.", "H7")
    if "agency_phone" not in used:
        yield Problem("/body", "A call-back slip without {{ agency_phone }} cannot be answered.", "H7")
    if template.parts:
        yield Problem("/parts", "A call-back slip says nothing of a debt: leave the parts out.", "H7")


def _letter_demands(template: Template) -> Iterator[Problem]:
    """A letter holds cause, measures, expectation and reminder once each (H16), and the seal (H18)."""
    used, _ = read_placeholders(template.body)
    for part in PARTS:
        if part not in used:
            yield Problem("/body", f"Has no place for {{{{ {part} }}}}.", "H16")
        if not template.parts.get(part, "").strip():
            yield Problem(f"/parts/{part}", "Is missing or empty; the client's text belongs here.", "H16")
    for part in sorted(set(template.parts) - set(PARTS)):
        yield Problem(f"/parts/{part}", f"Is none of {', '.join(PARTS)}.", "H16")
    for part in used_twice(template.body):
        yield Problem("/body", f"Prints {{{{ {part} }}}} more than once.", "H16")
    if "seal" not in used:
        yield Problem("/body", "Has no place for the collection seal: add {{ seal }}.", "H18")


def _wording(template: Template) -> Iterator[Problem]:
    """Lint what the client approved, before any data comes in; the pointer is that of the text it is in."""
    texts = {"/agency_phone": template.agency_phone, "/agency_name": template.agency_name}
    texts |= {"/title": template.title, "/body": template.body}
    texts |= {f"/parts/{name}": text for name, text in template.parts.items()}
    for pointer, text in texts.items():
        known = () if pointer == "/agency_phone" else (template.agency_phone,)
        for hit in lint(text, kind=template.kind, known=known, is_contact=pointer == "/agency_phone"):
            yield Problem(pointer, f"“{hit.text}” (from {hit.start}): {hit.advice}", hit.rule)
