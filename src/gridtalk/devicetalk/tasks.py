"""DeviceTalk's background tasks."""
