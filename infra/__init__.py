"""The world outside: settings, local servers, topic provisioning, artifacts, Redis views, the demo."""
