"""A simulated AWS account: WorkSpaces, and moto's STS beside it. Started by the demo and by tests only."""
