//! HTTP: probes, metrics, the JSON API, chat, and the page. Reads what the tick published; calls no verb of it.
