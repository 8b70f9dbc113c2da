"""A lesson about Gaussian splatting, as one page for any browser, in four languages."""
