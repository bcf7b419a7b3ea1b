"""Training: windows of a dataset into the checkpoints of a model, in one process or many. It runs without Spark, but for
`distributed`, which starts processes by Spark."""
