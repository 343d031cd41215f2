//! Outlook to replicas, usage to requests.
