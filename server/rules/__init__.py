"""May this visit take place? Facts in, verdict out.

Pure: no database, no clock, no network; the only files read are the packaged catalogue and packs.
`engine.judge` answers before a visit is assigned, `engine.judge_afterwards` on what actually happened.
"""
