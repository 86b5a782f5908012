"""Training of the fraud models: data, split, models, figures, and the files that are shipped."""
