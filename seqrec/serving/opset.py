"""Whether ONNX Runtime opens graphs of an opset: asked before a long training or conversion, not after it."""

import onnxruntime
from onnx import TensorProto, helper

from seqrec.errors import UserError


def require_opset(opset: int) -> None:
    """Raise UserError unless ONNX Runtime, as it is installed here, opens a graph of one node with this opset."""
    try:
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("given", "same")]
        graph = helper.make_graph([helper.make_node("Identity", ["given"], ["same"])], "trial", ends[:1], ends[1:])
        opsets = [helper.make_opsetid("", opset)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets, ignore_unknown=True)
        )
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own, which have no common base
        version = onnxruntime.__version__
        raise UserError(
            f"opset={opset}: ONNX Runtime {version} can't open graphs of it: set a lower opset, such as 18"
        ) from error
