"""Rankers: from samples to a ranker's folder, which `serving/ranker` opens. No Spark is loaded.

samples           which table of samples, which columns, which label; its rows in batches
learn_encoding    the training rows' categories → `serving.feature_encoding`
label_metrics     AUC, GAUC and log loss, of a ranker and of the item's mean rating
boosting          method=lightgbm
encoded_rows      training rows, encoded once for Petastorm; row_batches reads them
network_training  method=wide_deep, by the loop of `training`
"""
