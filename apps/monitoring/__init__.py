"""Monitoring and alerting for AI customer-service agents."""

from apps.monitoring.monitor import AgentMonitor, get_agent_monitor

__all__ = ["AgentMonitor", "get_agent_monitor"]
