"""What this distribution instruments; the same bound stands in the extra `instruments`."""

_instruments = ("aiogram >= 3.20, < 4",)

_supports_metrics = False

_semconv_status = "development"
