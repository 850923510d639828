"""Numbers on which several packages must agree."""

# Log rates are clipped at this value: e^30 is 10^13, and e^89 would overflow float32.
GREATEST_LOG_RATE = 30.0
# Integers of texts that do not represent a word of the vocabulary.
PADDING, UNKNOWN = 0, 1
