"""One page about a chain, as HTML that needs nothing else: read by Arrow from finished versions, without Spark and the stores.

It imports from all layers below it but torch, and opens no session: what is large is read a batch of rows at a time.
"""
