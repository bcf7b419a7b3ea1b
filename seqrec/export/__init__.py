"""From torch to ONNX: a checkpoint into the files that `serving` opens. Only this package loads both torch and ONNX Runtime."""
