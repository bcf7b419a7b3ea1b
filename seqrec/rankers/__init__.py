"""Rankers: from samples to a ranker's folder, which `serving/ranker` opens. Spark is loaded by `boosting_on_spark` alone.

samples, chosen_columns    which table, which label, which columns are features; rows in batches
survey                     one pass: rows and classes by split, and the categories → `serving.feature_encoding`
sample_matrix              the rows of a split in memory; scores of a split
lightgbm_ranker            method=lightgbm: a function RankerInputs → TrainedRanker, by `boosting` and `tree_graph`
wide_deep_ranker           method=wide_deep: encoded_rows for Petastorm, which row_batches reads, and the loop of `training`
train_ranker               what a method trained: converted, compared with ONNX Runtime, measured (label_metrics), written

A new method is one more such function, its name in `settings/train_ranker`, and an entry in METHODS of the job.
"""
