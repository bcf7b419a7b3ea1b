"""A model into MLflow: the folder that it is served from, the code that this takes, and the run that holds both.

fill_folder     an export, a second stage and rules into a folder (read by `serving.served_folder`)
served_code     the modules that serving imports, and the packages that they need
mlflow_place    how programs of MLflow find it
register_model  the run in MLflow, and the version of a registered model
"""
