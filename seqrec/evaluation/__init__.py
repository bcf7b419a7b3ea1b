"""How good lists are: held-out items, ranked by models, lists, baselines and candidates, and measured alike.

It reads the tables of `scoring` and `retrieval`, and imports no torch.
"""
