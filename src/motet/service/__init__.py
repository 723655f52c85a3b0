"""The service: answers over HTTP, from one model and a durable store."""
