"""The timeline of a desktop or a person: AWS, agent, gateway and broker in one list, the future above the past."""
