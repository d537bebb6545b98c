"""From which likelihood on should a claim be read? `python -m bench.narratives.bars`

Tries bars on the accounts kept for judging and prints the pair of each kind that comes nearest to the aim, as
`server/reconcile/narrative/reading.py` has them, with precision and recall: kind and value of facts, kind of
figures, sentence by sentence. Each kind is judged by itself; whoever takes bars over rounds them.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Final

from bench.narratives.marked import JUDGING, PROMISED, Marked, mark_of, marked
from bench.narratives.scoring import Score, tally
from server.reconcile.narrative import Claim, read_narrative
from server.reconcile.narrative.reading import BARS, Bar, weighed
from server.reconcile.narrative.tagger import Marks, sentences, tag

PRECISION, RECALL = 0.97, 0.95
ALONE: Final = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 1.1)
AGREED: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)


def short_of_aim(score: Score) -> float:
    """How far precision and recall are from the aim; where both reach it, from 1."""
    missing = max(0.0, PRECISION - score.precision) + max(0.0, RECALL - score.recall)
    return missing + 0.1 * (2 - score.precision - score.recall)


@dataclass(frozen=True, slots=True)
class Judged:
    """An account with what both readers say of it and what it says."""

    text: str
    day: date
    listed: tuple[Claim, ...]
    marks: Marks
    there: Counter[tuple[str, str, int]]

    @classmethod
    def of(cls, one: Marked) -> "Judged":
        day, place = date.fromisoformat(one.day), sentences(one.text)
        said = ((mark, at) for at, _, mark in one.marks if mark not in PROMISED.values())
        there = Counter((mark.partition("=")[0], mark, int(place[at])) for mark, at in said)
        return cls(one.text, day, read_narrative(one.text, day), tag(one.text), there)

    def found(self) -> Counter[tuple[str, str, int]]:
        """What is read with the bars of the moment."""
        place = sentences(self.text)
        claims = weighed(self.text, self.listed, self.marks, self.day)
        return Counter((one.kind, mark_of(one.kind, one.value), int(place[one.start])) for one in claims)


def main() -> None:
    """Print the best bars."""
    accounts = [Judged.of(one) for one in marked(JUDGING)]
    best: dict[str, tuple[float, Bar, Score]] = {}
    for bar in (Bar(alone, agreed) for alone in ALONE for agreed in AGREED if agreed <= alone):
        BARS.update(dict.fromkeys(BARS, bar))
        scores = {"all": Score()}
        for one in accounts:
            tally(scores, one.found(), one.there)
        for kind in BARS:
            score = scores.get(kind, Score())
            tried = (short_of_aim(score), bar, score)
            best[kind] = min(best.get(kind, tried), tried, key=lambda one: one[0])
    for kind, (_, bar, score) in best.items():
        print(f'"{kind}": Bar({bar.alone}, {bar.agreed}),  # {score.precision:.3f} {score.recall:.3f}')


if __name__ == "__main__":
    main()
