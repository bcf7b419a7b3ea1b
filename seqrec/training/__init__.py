"""Training: windows of a dataset into the checkpoints of a model, in one process or many, the same bits after an interruption.

It may import the layers below it, and neither Spark (but in `distributed`, which starts processes by Spark) nor ONNX Runtime.
"""
