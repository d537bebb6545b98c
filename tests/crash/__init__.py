"""The plug is pulled, again and again, while many phones sync: what was acknowledged is there, exactly once.

`stage` is the real processes of the Procfile on a durable database; `field` is phones at work; `plug` kills
with SIGKILL at moments a seed chooses; `verdict` looks at tables, phones and the log afterwards.
`python -m tests.crash --kills 200 --phones 50` is the large run, `tests/journeys` plays a small one.
"""
