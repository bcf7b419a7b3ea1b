"""Two towers over features: matching_samples into vectors of users and items. Neither Spark nor a sequence model is needed.

matching_inputs    a version of features: matching_samples, which of its columns are of users and which of items; the catalogue
tower_survey       one pass: the encodings of users and items, how often each item is met, the held-out events to validate with
tower_batches      positives with their users, and negatives, encoded once and read by Petastorm in steps of both
tower_setup        a training: what it learns from, how, and what its weights depend on
tower_training     the loop of `training` over them; tower_validation has the ranks of held-out items among all
tower_export       the best checkpoint as two ONNX graphs, compared with torch, and the vectors of all items
"""
