"""How does the office audit visits? (GOV2, C8)

`scoring` keeps the queue's scores, `queue` shows it, `plans` draws samples, `deciding` decides and looks a
second time, `hearings` hears the visitor, `breaches` says what follows.
"""
