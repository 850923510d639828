"""Base class of programs, and the programs of estimators by class."""

import copy
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from skae.exceptions import ExportError

PROGRAMS: dict[type, type["Program"]] = {}


def exports(*estimators: type):
    """Register a class of programs for classes of estimators."""

    def register(program):
        PROGRAMS.update(dict.fromkeys(estimators, program))
        return program

    return register


class Program(nn.Module):
    """Learned numbers of a fitted estimator, as a module.

    Attributes
    ----------
    results : type
        Subclass of `Results`, whose instances compute the results of methods for some rows.
    methods : tuple of str
        Methods of the estimator that can be exported.
    usual : tuple of str
        Methods that are exported by default.
    """

    results: ClassVar[type]
    methods: ClassVar[tuple[str, ...]] = ("transform",)
    usual: ClassVar[tuple[str, ...]] = ("transform",)

    def select(self, names) -> nn.Module:
        """Return a module whose outputs are the results of the given methods."""
        return _Selection(self, tuple(names)).eval()


class _Selection(nn.Module):
    def __init__(self, program: Program, names: tuple[str, ...]):
        super().__init__()
        self.program, self.names = program, names

    def forward(self, X: Tensor) -> tuple[Tensor, ...]:
        results = self.program.results(self.program, X)
        return tuple(getattr(results, name) for name in self.names)


class Results:
    """Results of methods for some rows, without validation of the input.

    X has codes if only `inverse_transform` is exported.
    """

    def __init__(self, program, X: Tensor):
        self.program, self.X = program, X


def find_program(kind: type) -> type[Program] | None:
    """Return the program class of an estimator class or of its nearest base class, or None."""
    return next((PROGRAMS[base] for base in kind.__mro__ if base in PROGRAMS), None)


def make_program(estimator, **params) -> Program:
    """Return the program of a fitted estimator of skae."""
    kind = find_program(type(estimator))
    if kind is None:
        raise TypeError(f"{type(estimator).__name__} is not an estimator of skae")
    return kind(estimator, **params)


def check_network(estimator):
    """Raise an error for models of data frames with columns of several kinds."""
    if getattr(estimator, "_frame", None) is not None:
        raise ExportError(
            f"{type(estimator).__name__} must be fitted to numbers to be exported. Got one fitted "
            "to a data frame with columns of several kinds. Encode the columns by a "
            "ColumnTransformer before it, or serve it with skae."
        )


def copy_network(estimator) -> nn.Module:
    """Return a copy of the network of an estimator, on the CPU."""
    check_network(estimator)
    return copy.deepcopy(estimator.net_.module_).cpu().eval()


def as_tensor(values) -> Tensor:
    """Return values as a tensor of type float64."""
    return torch.tensor(np.asarray(values), dtype=torch.float64)
