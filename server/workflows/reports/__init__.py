"""USE CASE: reports that leave the house: their figures, their files, and that they were handed in (F12)."""
