"""From torch to ONNX: a checkpoint into the files that `serving` opens."""
