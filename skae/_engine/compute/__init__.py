"""Devices, threads, random seeds and ranks."""
