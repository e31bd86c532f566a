"""Who gets what, under which plans: policies, roles, locations, assignment rules, and permissions."""
