"""USE CASE: a person's month as proposals (class E): closing it, showing it, hearing the person, deciding.

`closing` keeps the facts of a month, `showing` computes proposals from them, `deciding` lets a supervisor
choose, `records` holds what people have to enter: wages, proven frauds, replies.
"""
