"""Export to ONNX, batch scoring, publication, and one user from code."""
