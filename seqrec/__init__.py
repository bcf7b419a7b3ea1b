"""Sequential recommendation from raw ratings to stored recommendations, on Spark, torch and ONNX Runtime."""

__version__ = "0.1.0"
