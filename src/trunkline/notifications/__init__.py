"""Webhooks: subscriptions, deliveries and their retries; ``listener`` creates deliveries, ``deliverer`` sends them."""
