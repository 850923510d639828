"""Training steps, and the optimisers and schedules behind them."""
