"""Fits and transforms without a writable folder."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import errno, os, sys
import numpy as np
from skae import AutoencoderTransformer

def refuse(event, arguments):
    makes = event == "os.mkdir"
    if makes or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
        raise OSError(errno.EROFS, "Read-only file system", str(arguments[0]))

X = np.random.default_rng(0).normal(size=(60, 6))
sys.addaudithook(refuse)
for sample_shape in (None, (1, 2, 3)):
    architecture = "dense" if sample_shape is None else "conv"
    model = AutoencoderTransformer(
        2, architecture=architecture, sample_shape=sample_shape, max_iter=1, random_state=0
    )
    model.fit(X).transform(X)
"""


@pytest.mark.slow
def test_fits_with_a_read_only_folder_of_torch(tmp_path):
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-B", "-W", "ignore", "-c", SCRIPT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
