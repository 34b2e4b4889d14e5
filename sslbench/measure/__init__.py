"""What a step costs: time, memory, arithmetic; and what the machine is."""
