"""The LangGraph state machines."""
