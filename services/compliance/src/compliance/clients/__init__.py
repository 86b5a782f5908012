"""What compliance calls: the provider of identity checks, and the process that reads documents."""
