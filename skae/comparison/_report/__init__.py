"""One page of HTML that tells whether an autoencoder is worth having; private."""
