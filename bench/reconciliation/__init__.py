"""How good is the reconciliation? Honest and fabricated visits from a seed, judged by the whole product.

A script (`script.py`) says what happens at a door, what the visitor tells of it, and what of that is made
up; it knows no check. `honest.py` writes honest scripts with honest noise, `fabrications/` change them
and name the findings that must, and those that may, come of it. `media.py` makes the files, `acting.py`
plays the script on real phones against the real app, `scoring.py` holds the stored findings against the
labels.

What this measures, and what it does not: the checks, over real signed items, uploads and inspections. It
measures no engine of speech: the transcripts are the generator's own words with seeded slips, as an
engine would deliver them. The people are a synthesiser's voices, the doors are drawn, and a visit takes
half a minute instead of twenty.
"""
