"""Training and applying networks with torch and skorch. Private."""

from skae._engine.applying.draws import Evidence, Feature, draw_tables
from skae._engine.applying.filling import (
    FillJudgement,
    fill_table,
    find_corrections,
    judge_changes,
    judge_fills,
    measure_fills,
)
from skae._engine.applying.rows import (
    bound_log_densities,
    cell_errors,
    column_losses,
    decode_table,
    encode_deviations,
    encode_sparsely,
    encode_table,
    row_errors_and_deviations,
)
from skae._engine.applying.texts import decode_tokens, encode_tokens, find_token_losses
from skae._engine.compute.device import multiplies_in_bfloat16, resolve_device
from skae._engine.compute.ranks import ALONE, RANKS, Ranks
from skae._engine.compute.seeds import ordinary_torch_state
from skae._engine.families.adversarial import Adversarial
from skae._engine.families.family import Family
from skae._engine.families.neighbors import Neighbors
from skae._engine.families.nested import Nested
from skae._engine.families.plain import Plain
from skae._engine.families.plan import NetworkPlan
from skae._engine.families.sparse_codes import SparseCodes
from skae._engine.families.tokens import Tokens
from skae._engine.families.variational import Variational
from skae._engine.fitting.checkpoints import Checkpoints
from skae._engine.fitting.fit import train_autoencoder
from skae._engine.fitting.net import AutoencoderNet
from skae._engine.fitting.result import TrainedModel
from skae._engine.fitting.setup import StartingPoint
from skae._engine.fitting.splitting import Separation, Split, hold_out
from skae._engine.settings import DTYPES, LoopSettings, NetworkSettings
from skae._engine.start.giant_cells import find_rows_without_giants
from skae._engine.start.parallel_analysis import count_components
from skae._engine.start.principal_components import find_principal_components
from skae._engine.steps.step import Step
from skae._engine.tables.columns import describe_columns, find_ends
from skae._engine.tables.rows import chunk_slices, draw_rows
from skae._engine.tables.standardization import Standardization, find_float_type
from skae._engine.tables.stored import StoredTable, holds_many_bytes
