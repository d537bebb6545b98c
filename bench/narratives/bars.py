"""From which likelihood on should a claim be read? `python -m bench.narratives.bars`

Tries bars on the accounts kept for judging and prints the one of each kind that comes nearest to the aim, as
`server/reconcile/narrative/reading.py` has them, with precision and recall: kind and value of facts, kind of
figures, sentence by sentence, values with a bar of their own apart; promises once a sentence, as one word may
promise several sums. A promise needs its sum and day, so its bar is tried last, with those of the others set;
whoever takes bars over rounds them.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from bench.narratives.marked import JUDGING, PROMISED, Marked, mark_of, marked
from bench.narratives.scoring import Score, tally
from server.reconcile.narrative import Claim, read_narrative
from server.reconcile.narrative.reading import BARS, deciding_bar, weighed
from server.reconcile.narrative.tagger import Marks, sentences, tag

PRECISION, RECALL = 0.97, 0.95
TRIED: Final = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95)


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
        there = _counted((mark, int(place[at])) for mark, at in said)
        listed = read_narrative(one.text, day)
        return cls(one.text, day, listed, tag(one.text, listed), there)

    def found(self) -> Counter[tuple[str, str, int]]:
        """What is read with the bars of the moment."""
        place = sentences(self.text)
        claims = weighed(self.text, self.listed, self.marks, self.day)
        return _counted((mark_of(one.kind, one.value), int(place[one.start])) for one in claims)


def _counted(said: Iterable[tuple[str, int]]) -> Counter[tuple[str, str, int]]:
    """Count marks and their sentences by the bar that decides about them."""
    counts = Counter((deciding_bar(*mark.partition("=")[::2]), mark, at) for mark, at in said)
    return Counter({one: 1 if one[0] == "promise" else count for one, count in counts.items()})


def best_bars(kinds: Collection[str], accounts: Sequence[Judged]) -> dict[str, float]:
    """Return the best bar of each of these, all others as they are set; print how good it is."""
    before, best = dict(BARS), dict[str, tuple[float, float, Score]]()
    for bar in TRIED:
        BARS.update(dict.fromkeys(kinds, bar))
        scores = {"all": Score()}
        for one in accounts:
            tally(scores, one.found(), one.there)
        for kind in kinds:
            score = scores.get(kind, Score())
            tried = (short_of_aim(score), bar, score)
            best[kind] = min(best.get(kind, tried), tried, key=lambda one: one[0])
    BARS.update(before)
    for kind, (_, bar, score) in sorted(best.items()):
        print(f'"{kind}": {bar},  # {score.precision:.3f} {score.recall:.3f}')
    return {kind: bar for kind, (_, bar, _) in best.items()}


def main() -> None:
    """Print the best bars."""
    accounts = [Judged.of(one) for one in marked(JUDGING)]
    BARS.update(best_bars(BARS.keys() - {"promise"}, accounts))
    best_bars(["promise"], accounts)


if __name__ == "__main__":
    main()
