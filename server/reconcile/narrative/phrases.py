"""Which acts, disputes and manners does a text tell of? The families of `words.toml`, found clause by clause.

Turned round (未出示证件), a phrase says its family's opposite, or nothing; supposed or asked it says nothing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from server.reconcile.narrative.claim import Claim, Kind
from server.reconcile.narrative.clauses import is_supposed, negations, plain
from server.reconcile.narrative.voices import Voiced
from server.reconcile.narrative.words import WORDS, pattern
from server.rules.added_words import AddedWords

STANCES: Final = frozenset({"dispute", "debt", "outcome"})
_WISHED: Final = re.compile("要求|请求|请其|让其|希望|准备|打算|以便|用于|无法|未能")
_HANDED_TO: Final = re.compile(r"(?:交给|交由|递给|转交给?|托给?|交予|交到|递到|交与)(?P<who>[^，。；]{0,8})")
_THEM: Final = re.compile("[他她其](?:转交|代转|代为转交|代交)")
_TOOK: Final = re.compile("[接收拿]")


@dataclass(frozen=True, slots=True)
class Family:
    """Phrases with one meaning."""

    kind: Kind
    value: str
    negated: str | None
    found: re.Pattern[str]
    unless: re.Pattern[str] | None


@lru_cache(maxsize=1)
def families() -> tuple[Family, ...]:
    """Read the families once."""
    return tuple(
        Family(
            kind=entry["kind"],
            value=entry["value"],
            negated=entry.get("negated"),
            found=re.compile(pattern(entry["phrases"])),
            unless=re.compile(pattern(entry["unless"])) if "unless" in entry else None,
        )
        for entry in WORDS["family"]
    )


@lru_cache(maxsize=64)
def _added(added: tuple[AddedWords, ...]) -> tuple[Family, ...]:
    """Return a client's phrases beside those of the family that they are added to."""
    shipped = {f"{family.kind}/{family.value}": family for family in families()}
    return tuple(
        replace(shipped[one.claim], found=re.compile(pattern(map(plain, one.words))))
        for one in added
        if one.claim in shipped
    )


def phrases_in(clauses: Sequence[Voiced], added: tuple[AddedWords, ...] = ()) -> Iterator[Claim]:
    """Find every phrase of every family."""
    known = (*families(), *_added(added))
    for one in clauses:
        if one.clause.is_question:
            continue
        for family in known:
            yield from _of_family(one, family)


def _of_family(one: Voiced, family: Family) -> Iterator[Claim]:
    text, start = one.clause.text, one.clause.start
    if family.unless and family.unless.search(text):
        return
    if family.kind in STANCES and one.voice == "us" and one.names_subject:
        return
    for match in family.found.finditer(text):
        before = text[: match.start()]
        if is_supposed(before) or (family.kind not in STANCES and _WISHED.search(before)):
            continue
        turns = negations(before)
        value = family.value if turns == 0 else family.negated if turns == 1 else None
        if value == "handed_to_debtor" and one.voice == "other" and _TOOK.match(match.group()):
            value = "handed_to_third_party"
        if value is not None:
            yield Claim(family.kind, value, start + match.start(), start + match.end())


def handed_in(clauses: Sequence[Voiced], persons: Sequence[Claim]) -> Iterator[Claim]:
    """Find letters given to a third party who is named right there."""
    named = [one for one in persons if one.value.startswith("third_party:")]
    for one in clauses:
        text, start = one.clause.text, one.clause.start
        for match in _HANDED_TO.finditer(text):
            who = range(start + match.start("who"), start + match.end("who"))
            is_named = any(person.start in who for person in named) or (
                one.voice == "other" and bool(named) and _THEM.match(match["who"])
            )
            if (
                is_named
                and not negations(text[: match.start()])
                and not _WISHED.search(text[: match.start()])
            ):
                yield Claim("delivery", "handed_to_third_party", start + match.start(), start + match.end())


def resolve_handed_over(claims: Sequence[Claim], persons: Sequence[Claim]) -> list[Claim]:
    """Say to whom 当面递交 was: the debtor, when the debtor and nobody else was met; else nothing."""
    met = {one.value for one in persons if one.kind == "met"}
    is_debtor = "debtor" in met and not any(value.startswith("third_party") for value in met)
    kept = []
    for one in claims:
        if one.value != "handed_over":
            kept.append(one)
        elif is_debtor:
            kept.append(Claim("delivery", "handed_to_debtor", one.start, one.end))
    return kept
