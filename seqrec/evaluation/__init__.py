"""How good lists are: held-out items, ranked by models, lists, baselines and candidates."""
