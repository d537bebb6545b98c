"""The corpus by which the reconciliation is measured: its labels, and a small piece of it, played."""

import random
import tomllib
from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask

from bench.reconciliation import coverage
from bench.reconciliation.corpus import a_corpus
from bench.reconciliation.fabrications import FABRICATIONS
from bench.reconciliation.honest import Diary, honest_script, set_clock
from bench.reconciliation.playing import play
from bench.reconciliation.scoring import Found, score
from bench.reconciliation.script import Scene, Script
from server.reconcile import engine

ASKED = {label for one in FABRICATIONS.values() for label in one.must}


class AtOnce(Executor):
    """Does the work when it is asked for, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def topics(where: str) -> set[str]:
    """The topics of the lexicon that have words for an account, or for a recording."""
    lexicon = tomllib.loads((Path(engine.__file__).parent / "lexicon.toml").read_text("utf-8"))
    return {slug for slug, topic in lexicon["topics"].items() if topic[where]}


def test_every_check_is_fabricated_or_says_why_not() -> None:
    checks = {f"{one.__module__.rpartition('.')[2]}.{one.__name__}" for one in engine.CHECKS}
    labels = {label for of_check in coverage.LABELS.values() for label in of_check}
    labels |= {f"wording-{topic}" for topic in topics("words")}
    labels |= {f"heard-{topic}" for topic in topics("spoken")}

    assert checks == coverage.LABELS.keys()
    assert labels - ASKED == coverage.NOT_FABRICATED.keys()
    assert labels >= ASKED
    assert all(len(reason) > 20 for reason in coverage.NOT_FABRICATED.values())


def test_a_seed_gives_one_corpus_and_half_of_it_is_honest() -> None:
    corpus, again, other = a_corpus(5, 400), a_corpus(5, 400), a_corpus(6, 400)

    assert corpus == again
    assert corpus != other
    assert 150 < sum(one.is_honest for one in corpus) < 250
    assert {one for script in corpus for one in script.fabrications} == FABRICATIONS.keys()
    honest = [script for script in corpus if script.is_honest]
    assert all(not script.must and script.may <= {"clock-changed"} for script in honest)


def test_findings_are_weighed_by_the_labels_of_their_visit() -> None:
    honest, liar = a_script(0, "refused"), a_script(1, "nobody", "file never sent", "left without a photo")
    found = {
        0: [Found("stay-differs", "left_at", "serious"), Found("amendment-reverses", "", "note")],
        1: [Found("evidence-missing", "", "serious"), Found("evidence-missing", "", "serious")],
    }

    result = score([honest, liar], found)

    assert (result.overall.asked, result.overall.right, result.overall.false) == (2, 1, 1)
    assert [label for _, label in result.misses] == ["letter-left-without-photo"]
    assert (result.honest, result.alarmed, result.fabricated, result.seen, result.notes) == (1, 1, 1, 1, 1)


def a_script(number: int, scene: Scene, *kinds: str, noise: str = "") -> Script:
    """A visit with these fabrications, in a diary of three teams."""
    chance = random.Random(f"test/{number}")
    script = honest_script(chance, number, Diary(crews=3), scene=scene)
    while noise and noise not in script.noise:
        script = honest_script(chance, number, Diary(crews=3), scene=scene)
    assert all(FABRICATIONS[kind].commit(script, chance, []) for kind in kinds)
    return script


def test_played_on_real_phones_the_findings_are_those_of_the_labels(app: Flask, tmp_path: Path) -> None:
    scripts = [
        a_script(0, "nobody"),
        a_script(1, "promise", noise="phone call"),
        a_script(3, "nobody", "checked in from elsewhere", "left without a photo"),
        a_script(4, "nobody", "other bytes than promised", "account days later"),
        a_script(5, "nobody", "cut file", "cloned phone"),
        a_script(6, "nobody", "file never sent", "no account"),
        a_script(7, "refused", "nobody was there", "went alone, told of two", "writes of it: cash"),
    ]

    set_clock(scripts[0], timedelta(hours=-8))

    played, found = play(app, tmp_path / "field", scripts, pool=AtOnce(), say=lambda _: None)
    result = score(played, found)

    assert [(script.fabrications, label) for script, label in result.misses] == []
    assert [(script.fabrications, script.noise, one) for script, one in result.false_alarms] == []
    assert result.overall.right == sum(len(script.must) for script in scripts)
