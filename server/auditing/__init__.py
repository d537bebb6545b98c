"""How much does each visit deserve an auditor's eye, and until when may a visitor reply?

Pure: facts in, numbers out. `weights.toml` and `terms.toml` are the values with their reasons.
"""
