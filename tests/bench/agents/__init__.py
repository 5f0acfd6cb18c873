"""`make bench-agents`: the agent runtime beside what people would write instead."""
