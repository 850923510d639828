"""Where and how to compute: device, threads, seeds."""
