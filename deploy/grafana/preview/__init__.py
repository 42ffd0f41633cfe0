"""Dashboards drawn without Grafana: their queries are asked of the real programs, and the answers become a page.

The page is our own and does not look like Grafana's; the numbers, names, limits and places are those of the dashboards.
"""
