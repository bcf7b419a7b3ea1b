"""Models in plain torch: encoders and the parts that they are composed of, losses, negatives.

It imports nothing of seqrec but the ground (`indices`, `user_hashes`), so that a model can be taken out and used elsewhere.
"""
