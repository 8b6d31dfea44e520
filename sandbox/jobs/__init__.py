"""The asynchronous service: requests and batches that are answered first and run later, as jobs of tasks."""
