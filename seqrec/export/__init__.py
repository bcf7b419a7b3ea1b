"""From torch to ONNX: a checkpoint into the files that serving and scoring open."""
