"""Starting points of networks: tables made ready, their PCA, and noise."""
