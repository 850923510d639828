"""Methods of fitted estimators as functions of tensors, which torch can export; private."""

from skae.onnx._programs._autoencoders import AutoencoderProgram, TokenProgram, VariationalProgram
from skae.onnx._programs._detector import DetectorProgram
from skae.onnx._programs._imputer import ImputerProgram
from skae.onnx._programs._program import (
    PROGRAMS,
    Program,
    check_network,
    find_program,
    make_program,
)

__all__ = [
    "PROGRAMS",
    "AutoencoderProgram",
    "DetectorProgram",
    "ImputerProgram",
    "Program",
    "TokenProgram",
    "VariationalProgram",
    "check_network",
    "find_program",
    "make_program",
]
