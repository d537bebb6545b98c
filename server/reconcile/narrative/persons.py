"""Who was met, and who was not?

The debtor, somebody else, nobody; and whether the debtor, said to be away, was met all the same.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from server.reconcile.narrative.absences import absences_in, there_or_away
from server.reconcile.narrative.bystanders import chiefs_in, liable_in, others_in
from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.debtors import PHONE, debtor_as_he, debtor_by_name, debtor_by_word
from server.reconcile.narrative.voices import Voiced
from server.reconcile.narrative.words import finder

_HEARS: Final = re.compile("反应|应声|回应|响应|声音|没声")
_NEXT_TIME: Final = re.compile("如果|要是|万一|假如|若是|下次|下回|改天")
# Ours also behind what the debtor says on the telephone.
_AT_DOOR: Final = re.compile("(?:家[中里]|屋[里内]|现场)[无没]")
_KNOCKS: Final = re.compile("^(?:但|可|但是|可是|不过|结果)?(?:敲门|按铃|按门铃|拍门|叫门|叩门|敲)")
MOST_ABSENCES: Final = 20  # one is enough, unless the debtor comes in between


def persons_in(clauses: Sequence[Voiced]) -> tuple[Claim, ...]:
    """Find who was met (each once, where first named), that nobody was, and that the debtor was away."""
    away = tuple(islice(absences_in(clauses), MOST_ABSENCES))
    nobody = tuple(_nobody(clauses))
    covered = [range(one.start, one.end) for one in (*away, *nobody)]
    debtor = list(debtor_by_word(clauses, covered)) or debtor_as_he(clauses)
    others = [*nobody, *liable_in(clauses), *others_in(clauses), *chiefs_in(clauses)]
    away, debtor = there_or_away(clauses, away, debtor)
    if not (debtor or away or others):
        debtor = list(debtor_by_name(clauses))
    return (*away, *others, *(claim for claim, is_acting in debtor if is_acting or not away))


def _nobody(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    phoned = {one.clause.sentence for one in clauses if PHONE.search(one.clause.text)}
    for one in clauses:
        text, start = one.clause.text, one.clause.start
        if finder("nobody", "not_with").search(text):
            continue
        is_behind_call = one.clause.sentence in phoned and PHONE.search(text) is None
        for match in finder("nobody").finditer(text):
            if _is_nobody(one, match, is_behind_call=is_behind_call):
                yield Claim("met", "nobody", start + match.start(), start + match.end())
                break


def _is_nobody(one: Voiced, match: re.Match[str], *, is_behind_call: bool) -> bool:
    """Whether it is we who met nobody, now: not what others tell, what may come, no silent debtor."""
    text = one.clause.text
    is_ours = _KNOCKS.search(text, 0, match.end()) or (is_behind_call and _AT_DOOR.match(match.group()))
    is_told = one.voice != "us" and one.is_said(match.start()) and not is_ours
    is_silence = (one.names_subject or one.he is not None) and _HEARS.search(match.group())  # 债务人没反应
    is_other = finder("nobody", "not_after").match(text, match.end())
    return not (is_told or is_silence or is_other or _NEXT_TIME.search(text, 0, match.start()))
