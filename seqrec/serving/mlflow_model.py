"""The file that MLflow runs to get a registered model: it opens the model's folder, and answers requests for lists of item ids.

MLflow copies this file and the modules that it imports into the model ("models from code"): nothing is pickled. A request that
can't be answered gets the status 400 and one sentence.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel

from seqrec.errors import UserError
from seqrec.serving.extended_sequence import Id
from seqrec.serving.served_folder import ARTIFACT, ServedModel


class RefusedRequestError(MlflowException):
    """A request that can't be answered. MLflow would put the whole request before the sentence, which alone is sent here."""

    def serialize_as_json(self) -> str:
        """The body of the answer."""
        return json.dumps({"error_code": self.error_code, "message": self.args[0]}, ensure_ascii=False)


class ListModel(PythonModel):
    """Lists of item ids for the rows of a request."""

    def load_context(self, context: Any) -> None:
        """Open the model's folder."""
        self.served = ServedModel.open(Path(context.artifacts[ARTIFACT]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> list[list[Id]]:  # noqa: ARG002
        """The lists, best first, a row of the request each; see `list_requests` for its columns."""
        try:
            return self.served.answer(model_input)
        except UserError as error:
            raise RefusedRequestError(str(error), error_code=INVALID_PARAMETER_VALUE) from None


set_model(ListModel())
