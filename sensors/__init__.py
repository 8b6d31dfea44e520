"""What starts runs without a person, and what watches: schedules, and sensors over tenants and credentials."""
