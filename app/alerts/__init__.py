"""Alerts and objectives, declared once: Prometheus' rules, docs/alerts.md and the tests are derived from here.

Pure: thresholds in, rules out. Nothing here knows whether Prometheus is there.
"""
