"""Models and losses in plain torch: encoders and the parts they are composed of, losses, negatives. Of seqrec, it may import
errors, indices and user_hashes alone: a model can be taken out and used elsewhere."""
