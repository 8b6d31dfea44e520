"""What starts runs without a person: the schedules, and the sensor that keeps the tenant partitions right."""
