"""Which subjects can words be added to, and do added words say anything new?"""

from collections.abc import Iterable, Iterator

from server.reconcile.conduct import topics
from server.reconcile.narrative.phrases import families
from server.rules.added_words import AddedWords


def faults_of(added: Iterable[AddedWords]) -> Iterator[str]:
    """Name the subjects that do not ship, each with its place and what there is instead."""
    known_topics = sorted(topics())
    known_claims = sorted({f"{family.kind}/{family.value}" for family in families()})
    for one in added:
        if one.topic is not None and one.topic not in known_topics:
            yield f"{one.place}: there is no topic {one.topic!r}; there are: {', '.join(known_topics)}"
        if one.claim is not None and one.claim not in known_claims:
            yield f"{one.place}: there is no claim {one.claim!r}; there are: {', '.join(known_claims)}"
