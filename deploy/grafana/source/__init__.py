"""The dashboards as code: declared with the metrics of the catalogue, written to deploy/grafana/dashboards by `make dashboards`."""
