"""From torch to ONNX: a checkpoint into the files that `serving` opens. Only this package imports both it and `training`."""
