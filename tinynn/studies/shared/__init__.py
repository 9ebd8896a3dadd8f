"""What studies share: running many trainings, drawing them, and writing a report of them."""
