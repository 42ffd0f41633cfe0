"""What this distribution instruments; the same bound stands in the extra `instruments`."""

_instruments = ("aiogram >= 3.2, < 4",)

_supports_metrics = True

_semconv_status = "development"
