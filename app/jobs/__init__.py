"""What users came for: a queue in the database, workers that claim from it, and engines that do the work."""
