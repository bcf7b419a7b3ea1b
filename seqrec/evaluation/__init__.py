"""How good lists are: held-out items, ranked by models, lists, baselines and candidates, and measured alike.

It reads what `scoring` and `retrieval` make, and imports no torch.
"""
