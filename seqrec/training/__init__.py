"""Training: windows of a dataset into the checkpoints of a model, in one process or many, the same bits after an interruption.

It may import the layers below it, but not ONNX Runtime, and Spark only in `distributed`, which starts processes through Spark.
"""
