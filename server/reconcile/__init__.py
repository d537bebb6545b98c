"""Does the written account fit the evidence?

Pure: facts of one visit in, findings out. One small function per check; no clock, no table, no request.
When the evidence says nothing a claim is *silent*, never contradicted.
"""
