"""Preparation of tables for training: statistics, PCA and noise."""
