"""Jobs as runs of MLflow: settings, curves, metrics, files. MLflow is loaded by a job that is tracked, and by no other."""
