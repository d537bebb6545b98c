"""PURE: who goes where, in which order, on a day? No tables, no requests.

`problem` is what must be known, `planner.plan_day` proposes, `plan` is the proposal. The same input gives the
same proposal: nothing here is random, and equals are taken in the order of their ids.
"""
