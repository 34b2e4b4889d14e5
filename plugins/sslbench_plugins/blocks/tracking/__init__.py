"""What observers that report to a tracker share: one run of the tracker for each pretraining."""
