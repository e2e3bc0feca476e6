"""Networks that produce scores and conductances, and their composition with a cut."""
