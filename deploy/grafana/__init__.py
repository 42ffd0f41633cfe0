"""Grafana of Tracegram: what it is provisioned with, and the dashboards with the code that they are written from."""
