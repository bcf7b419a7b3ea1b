"""An exported model, opened, and recommendations by it. It imports neither torch nor Spark.

sealed       names and hashes of an export's files   queries      histories into queries, by ONNX Runtime
exports      folders of exports, and their meta      topk         the best items, and exact ranks
model        an export, opened                       recommender  lists for one user from code
ranker       a ranker, opened                        second_stage  candidates with features, ranked by it
"""
