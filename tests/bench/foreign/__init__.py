"""Programs for other environments: they stand alone and import nothing of ours."""
