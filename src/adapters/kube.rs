//! The Kubernetes API: watches into facts, released changes into server-side applies, status, events, the queue and the lease.
