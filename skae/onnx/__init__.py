"""Export to ONNX. Importing the module registers the estimators of skae with skl2onnx."""

from skae._shared.extras import import_extra

for _package in ("onnx", "onnxruntime", "onnxscript", "skl2onnx"):
    import_extra(_package, "onnx", "skae.onnx")

from skae.onnx._converters import register_converters  # noqa: E402
from skae.onnx._export import to_onnx  # noqa: E402
from skae.onnx._programs import PROGRAMS  # noqa: E402

__all__ = ["to_onnx"]

register_converters(PROGRAMS)
